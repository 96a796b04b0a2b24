import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import type { RecordSettled } from '@tailrace/eventlog/event-log';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { IntakeEntry, type IntakeSource } from './intake-entry.ts';
import { LogFailures } from './log-failures.ts';
import { MessageIntake } from './message-intake.ts';
import { Pressure } from './pressure.ts';

const turns = 4_000;
const sources = 64;

/** Returns the bytes that V8 has moved to its old generation while the log has confirmed the messages of many turns. */
async function movedBytes(): Promise<number> {
  const clock = createFakeClock();
  const calls: { count: number; settled: RecordSettled }[] = [];
  const intake: MessageIntake = new MessageIntake({
    eventLog: { appendEach: (_topic, { length: count }, settled) => void calls.push({ count, settled }) },
    topic: 't',
    ackDeadlineMs: 5_000,
    unsettledMax: 100_000,
    pressure: new Pressure({ clock, heldBytes: () => 0, heldBytesMax: 1_000_000 }),
    observer: { appended() {}, settled() {} },
    clock,
    logger: silentLogger,
    logFailures: new LogFailures({ clock, logger: silentLogger }),
  });
  const all = Array.from({ length: sources }, (): IntakeSource => ({ settled() {}, flushAcks() {} }));
  const value = Uint8Array.of(1);
  const run = async (count: number) => {
    for (let turn = 0; turn < count; turn++) {
      for (const source of all) intake.add(new IntakeEntry(source, turn, '', { key: 'd', value }, 10, 0));
      await new Promise((resolve) => setImmediate(resolve));
      const call = calls.pop()!;
      for (let index = 0; index < call.count; index++) call.settled(index, undefined, 0, turn);
    }
  };
  await run(turns / 4);
  // Moves all objects that live: from them V8 keeps what they refer to, also when they are dead.
  collect();
  const before = oldBytes();
  await run(turns);
  const after = oldBytes();
  intake.close();
  return after - before;
}

function collect(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

function oldBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')!.space_used_size;
}

if (isMainThread) {
  // What is moved stays until the whole heap is marked, which takes all processors of a small machine for a while.
  test('answers to messages leave nothing that outlives the young generation of V8', async () => {
    const worker = new Worker(new URL(import.meta.url), { resourceLimits: { maxYoungGenerationSizeMb: 3 } });
    const [bytes] = (await once(worker, 'message')) as [number];
    await worker.terminate();
    assert.ok(bytes < 1_000_000, `${turns * sources} messages: expected below 1 MB, got ${bytes} bytes`);
  });
} else parentPort!.postMessage(await movedBytes());
