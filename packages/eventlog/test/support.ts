import { randomBytes } from 'node:crypto';
import { partitionOf } from '@tailrace/protocol/partition';
import { eventually as eventuallyTrue } from '@tailrace/testkit/eventually';
import type { EventLog, LogRecord, NewRecord, TopicSpec } from '../src/event-log.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Returns a name that no other test uses. */
export function unique(prefix: string): string {
  return `${prefix}.${randomBytes(6).toString('hex')}`;
}

/** Creates a topic with a unique name and a retention of a day. */
export async function newTopic(
  eventLog: EventLog,
  partitions: number,
  overrides: Partial<TopicSpec> = {},
): Promise<string> {
  const name = unique('contract');
  await eventLog.ensureTopic({
    name,
    partitions,
    retentionMs: 86_400_000,
    retentionBytes: 1_000_000_000,
    ...overrides,
  });
  return name;
}

export function recordOf(key: string, text: string): NewRecord {
  return { key, value: encoder.encode(text) };
}

export function textOf(record: LogRecord): string {
  return decoder.decode(record.value);
}

/** Returns one key for each partition. */
export function keysByPartition(partitions: number): string[] {
  const keys = new Array<string | undefined>(partitions).fill(undefined);
  let missing = partitions;
  for (let n = 0; missing > 0; n++) {
    const key = `plant1.machine${n}`;
    const partition = partitionOf(key, partitions);
    if (keys[partition] === undefined) {
      keys[partition] = key;
      missing--;
    }
  }
  return keys.map((key) => key as string);
}

/** Appends `count` records to every partition, in one append: values `<partition>:<n>`, n from `start`. */
export async function fill(
  eventLog: EventLog,
  topic: string,
  partitions: number,
  count: number,
  start = 0,
): Promise<void> {
  const records = keysByPartition(partitions).flatMap((key, partition) =>
    Array.from({ length: count }, (_, n) => recordOf(key, `${partition}:${start + n}`)),
  );
  if (records.length > 0) await eventLog.append(topic, records);
}

export async function readAll(eventLog: EventLog, topic: string, partition: number, from = 0): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for await (const batch of eventLog.read(topic, partition, { from })) records.push(...batch);
  return records;
}

/** Returns `from` … `count` - 1. */
export function numbersTo(count: number, from = 0): number[] {
  return Array.from({ length: count - from }, (_, n) => from + n);
}

/** Resolves with the first result of `check` that is not false. A thrown assertion is retried. */
export function eventually<T>(
  promise: string,
  deadlineMs: number,
  check: () => T | Promise<T>,
): Promise<Exclude<T, false>> {
  return eventuallyTrue(check, { describe: promise, deadlineMs });
}

/** A promise that the caller resolves. */
export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

export function createGate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}
