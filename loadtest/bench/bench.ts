/** `make bench`: every figure in one run, as a table here and in docs/PERFORMANCE.md. */
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { benchDemo } from './demo.ts';
import { benchFanout } from './fanout.ts';
import { benchIngest } from './ingest.ts';
import type { Row } from './row.ts';

const page = join(import.meta.dirname, '../../docs/PERFORMANCE.md');
const [begin, end] = ['<!-- made by make bench -->', '<!-- end -->'];

const rows: Row[] = [];
for (const [name, bench] of Object.entries({ 'fan-out': benchFanout, ingest: benchIngest, demo: benchDemo })) {
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
const text = await readFile(page, 'utf8');
const made = `${begin}\n${table}\n\nOn ${machine}.\n${end}`;
await writeFile(page, text.slice(0, text.indexOf(begin)) + made + text.slice(text.indexOf(end) + end.length));
// A bench never fails a build: it says what it saw.
process.exit(0);
