/**
 * `make bench`: every figure in one run, as a table here and in docs/PERFORMANCE.md. `make bench ONLY=relay` prints
 * one.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { benchByKey } from './by-key.ts';
import { benchConnections } from './connections.ts';
import { benchDemo } from './demo.ts';
import { benchDevices } from './devices.ts';
import { benchEdge } from './edge.ts';
import { benchFanout } from './fanout.ts';
import { benchGrowth } from './growth.ts';
import { benchIngest } from './ingest.ts';
import { benchMqtt } from './mqtt.ts';
import { benchMqttSessions } from './mqtt-idle-devices.ts';
import { benchObservability } from './observability.ts';
import { benchReconnect } from './reconnect.ts';
import { benchRelay } from './relay.ts';
import type { Row } from './row.ts';

const page = join(import.meta.dirname, '../../docs/PERFORMANCE.md');
const [startTag, endTag] = ['<!-- generated: make bench -->', '<!-- end -->'];

const benches: Readonly<Record<string, () => Promise<Row[]>>> = {
  fanout: benchFanout,
  bykey: benchByKey,
  connections: benchConnections,
  devices: benchDevices,
  relay: benchRelay,
  growth: benchGrowth,
  reconnect: benchReconnect,
  ingest: benchIngest,
  mqtt: benchMqtt,
  mqttsessions: benchMqttSessions,
  edge: benchEdge,
  observability: benchObservability,
  demo: benchDemo,
};
const requested = process.argv.slice(2);
const known = Object.keys(benches).join(', ');
for (const name of requested) {
  if (name in benches) continue;
  process.stderr.write(`bench: expected one of ${known}, got ${name}\n`);
  process.exit(2);
}

const rows: Row[] = [];
for (const [name, bench] of Object.entries(benches)) {
  if (requested.length > 0 && !requested.includes(name)) continue;
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
// Some benches are only printed; the page has the figures of one whole run.
if (requested.length > 0) process.exit(0);
const text = await readFile(page, 'utf8');
const generated = `${startTag}\n${table}\n\nOn ${machine}.\n${endTag}`;
await writeFile(
  page,
  text.slice(0, text.indexOf(startTag)) + generated + text.slice(text.indexOf(endTag) + endTag.length),
);
// A bench never fails a build.
process.exit(0);
