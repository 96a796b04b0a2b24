/**
 * `make bench`: every figure in one run, as a table here and in docs/PERFORMANCE.md. `make bench ONLY=relay` prints
 * one.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { benchByKey } from './bykey.ts';
import { benchConnections } from './connections.ts';
import { benchDemo } from './demo.ts';
import { benchDevices } from './devices.ts';
import { benchFanout } from './fanout.ts';
import { benchGrowth } from './growth.ts';
import { benchIngest } from './ingest.ts';
import { benchObservability } from './observability.ts';
import { benchReconnect } from './reconnect.ts';
import { benchRelay } from './relay.ts';
import type { Row } from './row.ts';

const page = join(import.meta.dirname, '../../docs/PERFORMANCE.md');
const [begin, end] = ['<!-- generated: make bench -->', '<!-- end -->'];

const benches: Readonly<Record<string, () => Promise<Row[]>>> = {
  fanout: benchFanout,
  bykey: benchByKey,
  connections: benchConnections,
  devices: benchDevices,
  relay: benchRelay,
  growth: benchGrowth,
  reconnect: benchReconnect,
  ingest: benchIngest,
  observability: benchObservability,
  demo: benchDemo,
};
const asked = process.argv.slice(2);
const known = Object.keys(benches).join(', ');
for (const name of asked) {
  if (name in benches) continue;
  process.stderr.write(`there is no bench ${name}; right is one of ${known}\n`);
  process.exit(2);
}

const rows: Row[] = [];
for (const [name, bench] of Object.entries(benches)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  process.stderr.write(`${name} …\n`);
  rows.push(...(await bench()));
}
const table = [
  '| what | ours | against, in the same run | result | target | met |',
  '| --- | --- | --- | --- | --- | --- |',
  ...rows.map(
    (row) =>
      `| ${row.what} | ${row.ours} | ${row.against} | **${row.result}** | ${row.target} | ${row.met ? 'yes' : '**no**'} |`,
  ),
].join('\n');
const machine = `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}, Node ${process.version}`;
process.stdout.write(`${table}\n\nOn ${machine}.\n`);
// A part is looked at; the page holds figures of one run.
if (asked.length > 0) process.exit(0);
const text = await readFile(page, 'utf8');
const made = `${begin}\n${table}\n\nOn ${machine}.\n${end}`;
await writeFile(page, text.slice(0, text.indexOf(begin)) + made + text.slice(text.indexOf(end) + end.length));
// A bench never fails a build: it says what it saw.
process.exit(0);
