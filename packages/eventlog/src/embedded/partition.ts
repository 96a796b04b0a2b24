import type { NewRecord, TopicInfo, TopicSpec } from '../event-log.ts';
import { RecordList } from '../local/record-list.ts';
import type { StoredPartition, StoredTopic } from '../local/store.ts';
import { type EncodedRecord, encodeRecord } from './record-codec.ts';

/** Newest records of each partition in memory, so that subscribers without a backlog do not read the disk. */
const tailBytesMax = 128_000;

export interface EmbeddedTopic extends StoredTopic {
  readonly id: number;
  readonly info: TopicInfo;
  spec: TopicSpec;
  readonly partitions: readonly EmbeddedPartition[];
}

/** The state of a partition in memory. Everything but the records of the open transaction is on disk. */
export class EmbeddedPartition implements StoredPartition {
  readonly tail = new RecordList();
  first = 0;
  next = 0;
  #lastTimeMs = 0;
  #sumBytes = 0;
  /** Records of the open transaction. `rollback` drops them. */
  #uncommitted: EncodedRecord[] = [];

  /** Called when the file is opened, with the last record. */
  recover(first: number, last: { readonly seq: number; readonly timeMs: number; readonly sumBytes: number }): void {
    this.first = first;
    this.next = last.seq + 1;
    this.#lastTimeMs = last.timeMs;
    this.#sumBytes = last.sumBytes;
  }

  /** Encodes a record at the next position. */
  encode(record: NewRecord, nowMs: number): EncodedRecord {
    const before = this.#uncommitted[this.#uncommitted.length - 1];
    // Times do not decrease within a partition, whatever the wall clock does, so that a time can be searched.
    const timeMs = Math.max(nowMs, before?.record.timeMs ?? this.#lastTimeMs);
    const sumBytes = before?.sumBytes ?? this.#sumBytes;
    const encoded = encodeRecord(record, this.next + this.#uncommitted.length, timeMs, sumBytes);
    this.#uncommitted.push(encoded);
    return encoded;
  }

  /** Called when the transaction is on disk: makes its records visible to readers. */
  commit(): void {
    for (const { record, sumBytes } of this.#uncommitted) {
      this.tail.push(record);
      this.next = record.seq + 1;
      this.#lastTimeMs = record.timeMs;
      this.#sumBytes = sumBytes;
    }
    this.#uncommitted = [];
    while (this.tail.bytes > tailBytesMax && this.tail.length > 1) this.tail.drop(1);
  }

  rollback(): void {
    this.#uncommitted = [];
  }

  /** Called when the records before `first` are deleted. */
  forget(first: number): void {
    this.first = first;
    this.tail.drop(this.tail.indexOf(first));
  }
}

/** Returns the prefix of the keys of a partition: topic and partition, u32 big endian, so that keys sort by number. */
function partitionKey(topicId: number, partition: number, extraBytes: number): Buffer {
  const key = Buffer.allocUnsafe(8 + extraBytes);
  key.writeUInt32BE(topicId, 0);
  key.writeUInt32BE(partition, 4);
  return key;
}

/** Returns the key of a record: `[topicId u32, partition u32, seq u64]`, big endian. */
export function recordKey(topicId: number, partition: number, seq: number): Buffer {
  const key = partitionKey(topicId, partition, 8);
  key.writeUInt32BE(Math.floor(seq / 2 ** 32), 8);
  key.writeUInt32BE(seq % 2 ** 32, 12);
  return key;
}

export function seqOfKey(key: Buffer): number {
  return key.readUInt32BE(8) * 2 ** 32 + key.readUInt32BE(12);
}

/** Returns the key in the index of a compacted topic: the partition, then the key of the record. */
export function latestKey(topicId: number, partition: number, recordKeyText: string): Buffer {
  const key = partitionKey(topicId, partition, Buffer.byteLength(recordKeyText));
  key.write(recordKeyText, 8);
  return key;
}
