import { shown, TailraceError } from '@tailrace/protocol/error';
import { partitionsMax } from '@tailrace/protocol/partition';
import type { NewRecord, TopicSpec } from './event-log.ts';

/** A key is a device path (200 bytes) or a short name. The embedded log has an index whose keys are bounded. */
const keyBytesMax = 1_024;
/** Key, value and headers together. Kafka's default for a batch is 1 MB, which includes the overhead of a record. */
const recordBytesMax = 1_000_000;
const headersMax = 32;
const nameBytesMax = 200;

/** Throws `invalid_config` with the value and what was expected. */
export function assertTopicSpec(spec: TopicSpec): void {
  assertName('topic', spec.name);
  if (!Number.isInteger(spec.partitions) || spec.partitions < 1 || spec.partitions > partitionsMax) {
    const what = `partitions of topic ${shown(spec.name)}: expected 1 to ${partitionsMax}, got ${shown(spec.partitions)}`;
    throw new TailraceError('invalid_config', what);
  }
  for (const key of ['retentionMs', 'retentionBytes'] as const) {
    if (spec[key] > 0) continue;
    const what = `${key} of topic ${shown(spec.name)}: expected more than 0, got ${spec[key]}`;
    throw new TailraceError('invalid_config', what);
  }
}

/** Throws `invalid_config` for a name that Kafka does not allow, so that every adapter allows the same names. */
export function assertName(what: 'topic' | 'group' | 'member', name: string): void {
  if (name.length <= nameBytesMax && /^[A-Za-z0-9._-]+$/.test(name) && name !== '.' && name !== '..') return;
  const expected = `expected 1 to ${nameBytesMax} letters, digits, ".", "_" and "-", not "." or ".." alone`;
  throw new TailraceError('invalid_config', `name of a ${what}: ${expected}, got ${shown(name)}`);
}

/** Throws `invalid_config` if a topic exists with another number of partitions, or another cleanup policy. */
export function assertSameTopic(existing: TopicSpec, requested: TopicSpec): void {
  const topic = `topic ${shown(existing.name)}`;
  if (existing.partitions !== requested.partitions) {
    const wrong = `expected ${requested.partitions} partitions, got ${existing.partitions}`;
    const advice = `use ${existing.partitions}, or another topic prefix`;
    throw new TailraceError('invalid_config', `${topic}: ${wrong}; ${advice}`);
  }
  if ((existing.compacted ?? false) !== (requested.compacted ?? false)) {
    const [got, expected] = existing.compacted === true ? ['compacted', 'plain'] : ['plain', 'compacted'];
    const wrong = `expected a ${expected} topic, got a ${got} one`;
    throw new TailraceError('invalid_config', `${topic}: ${wrong}; use another topic prefix`);
  }
}

/** Returns the size of a record, bytes. Throws `too_large` beyond a limit, with the size and the limit. */
export function recordBytes(record: NewRecord): number {
  const keyBytes = Buffer.byteLength(record.key);
  if (keyBytes > keyBytesMax) {
    throw new TailraceError(
      'too_large',
      `key ${shown(record.key)}: expected at most ${keyBytesMax} bytes, got ${keyBytes}`,
    );
  }
  let bytes = keyBytes + record.value.length;
  if (record.headers !== undefined) {
    const names = Object.keys(record.headers);
    if (names.length > headersMax) {
      throw new TailraceError('too_large', `headers of a record: expected at most ${headersMax}, got ${names.length}`);
    }
    for (const name of names) bytes += Buffer.byteLength(name) + Buffer.byteLength(record.headers[name]!);
  }
  if (bytes > recordBytesMax) {
    const what = `record with key ${shown(record.key)}: expected at most ${recordBytesMax} bytes, got ${bytes}`;
    throw new TailraceError('too_large', `${what}; send smaller reports`);
  }
  return bytes;
}

/** Throws `invalid_config` if topics of a subscription differ in their number of partitions, or there is none. */
export function assertSamePartitions(topics: readonly { readonly name: string; readonly partitions: number }[]): void {
  if (new Set(topics.map(({ partitions }) => partitions)).size === 1) return;
  const got = topics.map(({ name, partitions }) => `${name} with ${partitions}`).join(', ') || 'none';
  const expected = 'expected topics with the same number of partitions';
  throw new TailraceError('invalid_config', `topics of a subscription: ${expected}, got ${got}`);
}
