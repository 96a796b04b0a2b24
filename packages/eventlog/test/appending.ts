import assert from 'node:assert/strict';
import { isTailraceError } from '@tailrace/protocol/error';
import type { EventLog } from '../src/event-log.ts';
import { type Member, seqsOf } from './member.ts';
import { eventually, keysByPartition, numbersTo, readAll, recordOf, textOf } from './support.ts';

const deadlineMs = 60_000;
export const partitions = 6;
export const until = <T>(promise: string, check: () => T | Promise<T>) => eventually(promise, deadlineMs, check);

/** Appends one record to each partition at a time until stopped. Notes what was acknowledged and what was not. */
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
          // The test has ended without stopping: every further append would be refused at once.
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

/** What is in the topic, by partition. Fails where a text stands there twice or out of order. */
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

/**
 * Everything in the log came to the member, also where it lost its partitions in between and started again at what it
 * had committed.
 */
export async function assertReceivedAtLeastOnce(eventLog: EventLog, topic: string, member: Member): Promise<void> {
  const bounds = await eventLog.bounds(topic);
  for (const [partition, { next }] of bounds.entries()) {
    const seqs = () => new Set(seqsOf(member.received(topic, partition)));
    await until(`partition ${partition} came whole`, () => seqs().size === next);
  }
}

/** Everything in the log came to the member, once. */
export async function assertReceivedAll(eventLog: EventLog, topic: string, member: Member): Promise<void> {
  const bounds = await eventLog.bounds(topic);
  for (const [partition, { next }] of bounds.entries()) {
    await until(`partition ${partition} came whole`, () => member.received(topic, partition).length >= next);
    assert.deepEqual(seqsOf(member.received(topic, partition)), numbersTo(next));
  }
}
