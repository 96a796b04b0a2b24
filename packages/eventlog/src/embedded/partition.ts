import type { NewRecord, TopicInfo, TopicSpec } from '../event-log.ts';
import { RecordList } from '../local/record-list.ts';
import type { PartitionEnds, StoredTopic } from '../local/store.ts';
import { type EncodedRecord, encodeRecord } from './record-codec.ts';

/** Newest records kept in memory for each partition, so that subscribers that keep up never read the disk. */
const tailBytesMax = 128_000;

export interface EmbeddedTopic extends StoredTopic {
  readonly id: number;
  readonly info: TopicInfo;
  spec: TopicSpec;
  readonly partitions: readonly EmbeddedPartition[];
}

/** What is known of a partition without reading it. Everything but the records under way is on disk. */
export class EmbeddedPartition implements PartitionEnds {
  readonly tail = new RecordList();
  first = 0;
  next = 0;
  #lastTimeMs = 0;
  #sumBytes = 0;
  // Of the transaction under way: in memory only, gone with `rollback`.
  #underWay: EncodedRecord[] = [];

  /** At opening, by the last record. */
  recover(first: number, last: { readonly seq: number; readonly timeMs: number; readonly sumBytes: number }): void {
    this.first = first;
    this.next = last.seq + 1;
    this.#lastTimeMs = last.timeMs;
    this.#sumBytes = last.sumBytes;
  }

  /** Gives the record the next position. */
  encode(record: NewRecord, nowMs: number): EncodedRecord {
    const before = this.#underWay[this.#underWay.length - 1];
    // Times never go back within a partition, whatever the wall clock does, so that a time can be searched for.
    const timeMs = Math.max(nowMs, before?.record.timeMs ?? this.#lastTimeMs);
    const sumBytes = before?.sumBytes ?? this.#sumBytes;
    const encoded = encodeRecord(record, this.next + this.#underWay.length, timeMs, sumBytes);
    this.#underWay.push(encoded);
    return encoded;
  }

  /** The records under way are on disk: from now on they are there for readers. */
  commit(): void {
    for (const { record, sumBytes } of this.#underWay) {
      this.tail.push(record);
      this.next = record.seq + 1;
      this.#lastTimeMs = record.timeMs;
      this.#sumBytes = sumBytes;
    }
    this.#underWay = [];
    while (this.tail.bytes > tailBytesMax && this.tail.length > 1) this.tail.drop(1);
  }

  rollback(): void {
    this.#underWay = [];
  }

  /** The records before `first` are gone. */
  forget(first: number): void {
    this.first = first;
    this.tail.drop(this.tail.indexOf(first));
  }
}

/**
 * Of every record of a partition, the beginning of its key: topic and partition, u32 big endian, so that keys sort by
 * number.
 */
function partitionKey(topicId: number, partition: number, extraBytes: number): Buffer {
  const key = Buffer.allocUnsafe(8 + extraBytes);
  key.writeUInt32BE(topicId, 0);
  key.writeUInt32BE(partition, 4);
  return key;
}

/** `[topicId u32, partition u32, seq u64]`, big endian. */
export function recordKey(topicId: number, partition: number, seq: number): Buffer {
  const key = partitionKey(topicId, partition, 8);
  key.writeUInt32BE(Math.floor(seq / 2 ** 32), 8);
  key.writeUInt32BE(seq % 2 ** 32, 12);
  return key;
}

export function seqOfKey(key: Buffer): number {
  return key.readUInt32BE(8) * 2 ** 32 + key.readUInt32BE(12);
}

/** In the index of a compacted topic: the key of the record behind its partition. */
export function latestKey(topicId: number, partition: number, recordKeyText: string): Buffer {
  const key = partitionKey(topicId, partition, Buffer.byteLength(recordKeyText));
  key.write(recordKeyText, 8);
  return key;
}
