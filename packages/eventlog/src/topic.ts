import { shown, TailraceError } from '@tailrace/protocol/error';
import type { NewRecord, TopicSpec } from './eventlog.ts';

/** A key is a device path (200 bytes) or a short name; the embedded log keeps it in an index whose keys are bounded. */
const keyBytesMax = 1_024;
/** Key, value and headers together. Kafka's own default for a batch is 1 MB; one record must leave room for its frame. */
const recordBytesMax = 1_000_000;
const headersMax = 32;
export const partitionsMax = 10_000;
const nameBytesMax = 200;

/** `invalid_config` with the value that cannot be and what can. */
export function assertTopicSpec(spec: TopicSpec): void {
  assertName('topic', spec.name);
  if (!Number.isInteger(spec.partitions) || spec.partitions < 1 || spec.partitions > partitionsMax) {
    const why = `a topic has 1 to ${partitionsMax} partitions, not ${shown(spec.partitions)}`;
    throw new TailraceError('invalid_config', `${why} (topic ${shown(spec.name)})`);
  }
  for (const key of ['retentionMs', 'retentionBytes'] as const) {
    if (spec[key] > 0) continue;
    throw new TailraceError('invalid_config', `${key} of topic ${shown(spec.name)} must be above 0, not ${spec[key]}`);
  }
}

/** Names of topics, groups and members: what Kafka allows, so that every adapter allows the same. */
export function assertName(what: 'topic' | 'group' | 'member', name: string): void {
  if (name.length <= nameBytesMax && /^[A-Za-z0-9._-]+$/.test(name) && name !== '.' && name !== '..') return;
  const right = `letters, digits, ".", "_" and "-", 1 to ${nameBytesMax} of them, not "." or ".." alone`;
  throw new TailraceError('invalid_config', `${shown(name)} cannot name a ${what}: use ${right}`);
}

/** `invalid_config` where a topic exists with another number of partitions, or the other way of keeping records. */
export function assertSameTopic(existing: TopicSpec, asked: TopicSpec): void {
  const topic = `topic ${shown(existing.name)}`;
  if (existing.partitions !== asked.partitions) {
    const right = `ask for ${existing.partitions}, or use another topic prefix`;
    const wrong = `has ${existing.partitions} partitions, not ${asked.partitions}`;
    throw new TailraceError('invalid_config', `${topic} ${wrong}: ${right}`);
  }
  if ((existing.compacted ?? false) !== (asked.compacted ?? false)) {
    const [is, isNot] = existing.compacted === true ? ['compacted', 'plain'] : ['plain', 'compacted'];
    throw new TailraceError('invalid_config', `${topic} is ${is}, not ${isNot}: use another topic prefix`);
  }
}

/** `too_large` where a record is over a limit; says its size and the limit. Returns the bytes that it counts for. */
export function recordBytes(record: NewRecord): number {
  const keyBytes = Buffer.byteLength(record.key);
  if (keyBytes > keyBytesMax) {
    throw new TailraceError('too_large', `the key ${shown(record.key)} has ${keyBytes} bytes; at most ${keyBytesMax}`);
  }
  let bytes = keyBytes + record.value.length;
  if (record.headers !== undefined) {
    const names = Object.keys(record.headers);
    if (names.length > headersMax) {
      throw new TailraceError('too_large', `a record has at most ${headersMax} headers, not ${names.length}`);
    }
    for (const name of names) bytes += Buffer.byteLength(name) + Buffer.byteLength(record.headers[name]!);
  }
  if (bytes > recordBytesMax) {
    const what = `the record with key ${shown(record.key)} has ${bytes} bytes`;
    throw new TailraceError('too_large', `${what}; at most ${recordBytesMax}: send smaller reports`);
  }
  return bytes;
}

/** `invalid_config` where topics that are read together differ in their number of partitions, or there is none. */
export function assertSamePartitions(topics: readonly { readonly name: string; readonly partitions: number }[]): void {
  if (new Set(topics.map(({ partitions }) => partitions)).size === 1) return;
  const got = topics.map(({ name, partitions }) => `${name} with ${partitions}`).join(', ') || 'none';
  const expected = 'expected topics with the same number of partitions';
  throw new TailraceError('invalid_config', `topics of a subscription: ${expected}, got ${got}`);
}
