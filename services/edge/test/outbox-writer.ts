/**
 * A process to be killed: puts reports into an outbox on the folder argv[2], numbered from argv[3] on, while its link
 * comes and goes by the seed argv[4]. It writes synchronously to standard output: `got <id>=<value> …` for a batch
 * that the receiver has, before its acknowledgement, and `stored <value>` when all reports below are on disk or
 * received.
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { decodeReport } from '@tailrace/protocol/report-proto';
import type { Batch } from '../src/store/entry.ts';
import { openStore } from '../src/store/open-store.ts';
import { Outbox } from '../src/store/outbox.ts';

const [, , path = '', first = '0', seed = '1'] = process.argv;
const outbox = new Outbox({
  openDisk: () => openStore({ path, clock: systemClock, logger: silentLogger }),
  device: 'p.edge',
  drops: 'oldest',
  memoryBytesMax: 4_000_000,
  storeBytesMax: 1_000_000_000,
  clock: systemClock,
  random: Math.random,
  logger: silentLogger,
});
await outbox.open();
writeSync(1, 'ready\n');

export function receivedText({ entries }: Batch): string {
  return entries
    .map(({ report }) => {
      const { id, readings } = decodeReport(report);
      return `${id}=${readings[0]!.value}`;
    })
    .join(' ');
}

const limits = { reportsMax: 40, bytesMax: 100_000 };
let value = Number(first);
let isUp = false;
for (let step = Number(seed); ; step = (step * 48_271) % 2_147_483_647) {
  for (let n = 0; n < 1 + (step % 20); n++, value++) {
    outbox.put({ device: 'p.d', time: 1_700_000_000_000 + value, readings: [{ tag: 'n', value }] });
  }
  if (step % 31 === 0) {
    isUp = !isUp;
    if (isUp) outbox.linkUp();
    else outbox.linkDown();
  }
  for (const queue of ['live', 'backlog'] as const) {
    const batch = outbox.next(queue, limits);
    if (batch === undefined) continue;
    if (step % 7 === 0) {
      outbox.returned(batch);
      continue;
    }
    writeSync(1, `got ${receivedText(batch)}\n`);
    if (step % 5 === 0) await sleep(1);
    outbox.acked(batch);
  }
  if (outbox.memoryBytes === 0) writeSync(1, `stored ${value}\n`);
  await sleep(step % 4);
}
