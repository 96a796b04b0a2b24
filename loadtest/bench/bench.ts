/**
 * `make bench`: every figure in one run, as tables here and in docs/PERFORMANCE.md. `make bench ONLY=relay` prints one;
 * `make bench ONLY=intake` measures how devices come in, and writes that table; `make bench ONLY=control` the one of
 * alarms and commands. `make bench ONLY=anomaly NAB=<folder>` needs data that the project does not have, and is only
 * printed.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { withGeneratedPart } from '../../scripts/generated-text.ts';
import { benchAnomaly } from './anomaly.ts';
import { benchByKey } from './by-key.ts';
import { benchConnections } from './connections.ts';
import { benchControl } from './control.ts';
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
import { type Row, tableOf } from './row.ts';

const page = join(import.meta.dirname, '../../docs/PERFORMANCE.md');

type Bench = () => Promise<Row[]>;

/** The tables of the page, by the name of the generated part. */
const tables: Readonly<Record<string, Readonly<Record<string, Bench>>>> = {
  'make bench': {
    fanout: benchFanout,
    bykey: benchByKey,
    connections: benchConnections,
    devices: benchDevices,
    relay: benchRelay,
    growth: benchGrowth,
    reconnect: benchReconnect,
    observability: benchObservability,
    demo: benchDemo,
  },
  'make bench ONLY=control': { control: () => benchControl() },
  'make bench ONLY=intake': {
    ingest: benchIngest,
    mqtt: benchMqtt,
    mqttsessions: benchMqttSessions,
    edge: benchEdge,
  },
};
/** Of these tables, each has a name by which it is measured and written alone. */
const ofTable: Readonly<Record<string, string>> = {
  intake: 'make bench ONLY=intake',
  control: 'make bench ONLY=control',
};
const printed: Readonly<Record<string, Bench>> = { anomaly: () => benchAnomaly(process.env['NAB']) };
const requested = process.argv.slice(2);
const known = [...[...Object.values(tables), printed].flatMap((benches) => Object.keys(benches)), 'intake'];
for (const name of requested) {
  if (known.includes(name)) continue;
  process.stderr.write(`bench: expected one of ${known.join(', ')}, got ${name}\n`);
  process.exit(2);
}

const machine = `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}, Node ${process.version}`;
const measured = new Map<string, string>();
for (const [part, benches] of Object.entries(tables)) {
  const isWhole = requested.length === 0 || requested.some((name) => ofTable[name] === part);
  const rows: Row[] = [];
  for (const [name, bench] of Object.entries(benches)) {
    if (!isWhole && !requested.includes(name)) continue;
    process.stderr.write(`${name} …\n`);
    rows.push(...(await bench()));
  }
  if (rows.length === 0) continue;
  const text = `${tableOf(rows)}\n\nOn ${machine}.`;
  process.stdout.write(`${text}\n\n`);
  // Some benches are only printed; a table of the page has the figures of one run.
  if (isWhole) measured.set(part, text);
}
for (const [name, bench] of Object.entries(printed)) {
  if (requested.includes(name)) process.stdout.write(`${tableOf(await bench())}\n\nOn ${machine}.\n\n`);
}
let text = await readFile(page, 'utf8');
for (const [part, table] of measured) text = withGeneratedPart(text, part, table);
if (measured.size > 0) await writeFile(page, text);
// A bench never fails a build.
process.exit(0);
