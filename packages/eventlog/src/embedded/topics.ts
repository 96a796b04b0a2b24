import type { TopicSpec } from '../event-log.ts';
import { EmbeddedPartition, type EmbeddedTopic, recordKey, seqOfKey } from './partition.ts';
import { sumBytesOf, timeOf } from './record-codec.ts';
import type { Probe } from './retention.ts';
import type { TableFile } from './table.ts';

/** A topic in `meta`, as JSON under `topicKey`. */
export interface StoredSpec {
  readonly id: number;
  readonly epoch: string;
  readonly spec: TopicSpec;
}

export function topicKey(name: string): Buffer {
  return Buffer.from(`topic/${name}`);
}

export function topicFrom({ id, epoch, spec }: StoredSpec): EmbeddedTopic {
  const info = { name: spec.name, partitions: spec.partitions, epoch };
  const partitions = Array.from({ length: spec.partitions }, () => new EmbeddedPartition());
  return { id, info, spec: { ...spec }, partitions };
}

/** JSON has no Infinity: the limits of a topic that retains everything are stored as null. */
function storedSpecFrom(json: Buffer): StoredSpec {
  const { id, epoch, spec } = JSON.parse(json.toString()) as StoredSpec;
  const { retentionMs, retentionBytes } = spec as { retentionMs: number | null; retentionBytes: number | null };
  return {
    id,
    epoch,
    spec: { ...spec, retentionMs: retentionMs ?? Infinity, retentionBytes: retentionBytes ?? Infinity },
  };
}

/** Returns all topics of the file, with their partitions recovered from their last records. */
export function* topicsIn(file: TableFile): Generator<EmbeddedTopic> {
  for (const { value } of file.meta.range(topicKey(''), topicKey('\uffff'), 1_000_000)) {
    const topic = topicFrom(storedSpecFrom(value));
    for (const [number, partition] of topic.partitions.entries()) recover(file, topic, number, partition);
    yield topic;
  }
}

function recover(file: TableFile, topic: EmbeddedTopic, number: number, partition: EmbeddedPartition): void {
  const key = file.records.lastKey(recordKey(topic.id, number, 0), endKey(topic, number));
  const last = key === undefined ? undefined : file.records.get(key);
  if (key === undefined || last === undefined) return;
  const seq = seqOfKey(key);
  const first = probeOf(file, topic, number)(0)?.seq ?? seq;
  partition.recover(first, { seq, timeMs: timeOf(last), sumBytes: sumBytesOf(last) });
}

/** Returns a function that finds records of one partition by position. */
export function probeOf({ records }: TableFile, topic: EmbeddedTopic, number: number): Probe {
  const end = endKey(topic, number);
  return (from) => {
    for (const { key, value } of records.range(recordKey(topic.id, number, from), end, 1)) {
      return { seq: seqOfKey(key), timeMs: timeOf(value), bytes: value.length, sumBytes: sumBytesOf(value) };
    }
    return undefined;
  };
}

/** Returns a key after every possible record of the partition. */
function endKey(topic: EmbeddedTopic, number: number): Buffer {
  return recordKey(topic.id, number, Number.MAX_SAFE_INTEGER);
}
