/**
 * A process to be killed: appends to the log in the folder argv[2] with a hundred concurrent callers, and writes a line
 * `partition seq value` to standard output for each resolved append, synchronously. With argv[3] `hold` it only opens
 * the log and waits.
 */
import { writeSync } from 'node:fs';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createEmbeddedLog } from '../src/embedded.ts';
import { numbersTo, recordOf } from './support.ts';

const [, , path = '', mode] = process.argv;
const eventLog = createEmbeddedLog({ path, clock: systemClock, logger: silentLogger });
await eventLog.start();
await eventLog.ensureTopic({ name: 't', partitions: 4, retentionMs: 86_400_000, retentionBytes: 1_000_000_000 });
const run = `${process.pid}`;
writeSync(1, 'ready\n');

async function call(caller: number): Promise<void> {
  for (let n = 0; ; n++) {
    const batch = numbersTo(1 + (n % 3)).map((m) => `${run}.${caller}.${n}.${m}`);
    const positions = await eventLog.append(
      't',
      batch.map((value) => recordOf(value, value)),
    );
    writeSync(1, positions.map(({ partition, seq }, m) => `${partition} ${seq} ${batch[m]}\n`).join(''));
  }
}

if (mode === 'hold') setInterval(() => undefined, 60_000);
else await Promise.all(numbersTo(100).map(call));
