import assert from 'node:assert/strict';
import { isTailraceError } from '@tailrace/protocol/error';
import type { EventLog } from '../src/event-log.ts';
import { type Member, seqsOf } from './member.ts';
import { eventually, keysByPartition, numbersTo, readAll, recordOf, textOf } from './support.ts';

const deadlineMs = 60_000;
export const partitions = 6;
export const until = <T>(promise: string, check: () => T | Promise<T>) => eventually(promise, deadlineMs, check);

/** Appends records to each partition, one at a time, until stopped. Collects acknowledged records and errors. */
export function startAppending(eventLog: EventLog, topic: string) {
  const acknowledged: string[] = [];
  const failures: unknown[] = [];
  const keys = keysByPartition(partitions);
  let stopped = false;
  const running = Promise.all(
    keys.map(async (key, partition) => {
      for (let n = 0; !stopped; n++) {
        const text = `${partition}:${n}`;
        try {
          await eventLog.append(topic, [recordOf(key, text)]);
          acknowledged.push(text);
        } catch (thrown) {
          failures.push(thrown);
          // The test is complete without a stop: every further append is refused at once.
          if (isTailraceError(thrown) && thrown.code === 'closed') return;
        }
      }
    }),
  );
  return {
    acknowledged,
    failures,
    async stop() {
      stopped = true;
      await running;
    },
  };
}

/** Returns the texts in the topic. Fails if a partition has duplicates or texts out of order. */
export async function assertOnceAndInOrder(eventLog: EventLog, topic: string): Promise<Set<string>> {
  const all = new Set<string>();
  for (const partition of numbersTo(partitions)) {
    const texts = (await readAll(eventLog, topic, partition)).map(textOf);
    for (const text of texts) all.add(text);
    const numbers = texts.map((text) => Number(text.split(':')[1]));
    for (let n = 1; n < numbers.length; n++)
      assert.ok(numbers[n]! > numbers[n - 1]!, `${texts[n]} after ${texts[n - 1]}`);
  }
  return all;
}

/** Asserts that the member has received every record, possibly again after a rebalance. */
export async function assertReceivedAtLeastOnce(eventLog: EventLog, topic: string, member: Member): Promise<void> {
  const bounds = await eventLog.bounds(topic);
  for (const [partition, { next }] of bounds.entries()) {
    const seqs = () => new Set(seqsOf(member.received(topic, partition)));
    await until(`partition ${partition} is complete`, () => seqs().size === next);
  }
}

/** Asserts that the member has received every record once. */
export async function assertReceivedAll(eventLog: EventLog, topic: string, member: Member): Promise<void> {
  const bounds = await eventLog.bounds(topic);
  for (const [partition, { next }] of bounds.entries()) {
    await until(`partition ${partition} is complete`, () => member.received(topic, partition).length >= next);
    assert.deepEqual(seqsOf(member.received(topic, partition)), numbersTo(next));
  }
}
