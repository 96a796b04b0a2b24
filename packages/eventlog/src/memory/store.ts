import type { Clock } from '@tailrace/platform/clock';
import { partitionOf } from '@tailrace/protocol/partition';
import type { LogRecord, NewRecord, Position, TopicSpec } from '../event-log.ts';
import type { Commit } from '../group-ports.ts';
import { RecordList } from '../local/record-list.ts';
import type { SliceRange, Store, StoredPartition, StoredTopic } from '../local/store.ts';

interface MemoryTopic extends StoredTopic {
  spec: TopicSpec;
  readonly partitions: readonly MemoryPartition[];
}

class MemoryPartition implements StoredPartition {
  readonly records = new RecordList();
  next = 0;
  /** Compacted topics: the length of the list after the last compaction. */
  compactedLength = 0;

  get first(): number {
    return this.records.at(0)?.seq ?? this.next;
  }
}

/** A store in memory. Lost when the process exits. */
export class MemoryStore implements Store {
  readonly #clock: Clock;
  readonly #epoch: () => string;
  readonly #topics = new Map<string, MemoryTopic>();
  readonly #committed = new Map<string, number>();
  readonly #generations = new Map<string, number>();
  onAppended: (topic: string) => void = () => {};

  constructor(clock: Clock, epoch: () => string) {
    this.#clock = clock;
    this.#epoch = epoch;
  }

  async open(): Promise<void> {}

  async close(): Promise<void> {}

  topic(name: string): MemoryTopic | undefined {
    return this.#topics.get(name);
  }

  async createTopic(spec: TopicSpec): Promise<MemoryTopic> {
    const info = { name: spec.name, partitions: spec.partitions, epoch: this.#epoch() };
    const partitions = Array.from({ length: spec.partitions }, () => new MemoryPartition());
    const topic: MemoryTopic = { info, spec: { ...spec }, partitions };
    this.#topics.set(spec.name, topic);
    return topic;
  }

  async retain(topic: MemoryTopic, spec: TopicSpec): Promise<void> {
    topic.spec = { ...spec };
  }

  async append(topic: MemoryTopic, records: readonly NewRecord[]): Promise<readonly Position[]> {
    const nowMs = this.#clock.now();
    const positions = records.map(({ key, value, headers }): Position => {
      const number = partitionOf(key, topic.info.partitions);
      const partition = topic.partitions[number]!;
      // Times do not decrease within a partition, so that a time can be searched.
      const timeMs = Math.max(nowMs, partition.records.at(partition.records.length - 1)?.timeMs ?? 0);
      const record: LogRecord = { seq: partition.next, timeMs, key, value: value.slice() };
      partition.records.push(headers === undefined ? record : { ...record, headers: { ...headers } });
      return { partition: number, seq: partition.next++ };
    });
    for (const number of new Set(positions.map(({ partition }) => partition))) {
      const partition = topic.partitions[number]!;
      if (topic.spec.compacted === true) compact(partition);
      else expire(partition, topic.spec, nowMs);
    }
    this.onAppended(topic.info.name);
    return positions;
  }

  slice(topic: MemoryTopic, partition: number, range: SliceRange): LogRecord[] {
    const { from, until, recordsMax, bytesMax } = range;
    return topic.partitions[partition]!.records.slice(from, until, recordsMax, bytesMax);
  }

  positionAt(topic: MemoryTopic, partition: number, timeMs: number): number {
    const { records, next } = topic.partitions[partition]!;
    return records.at(records.indexAt(timeMs))?.seq ?? next;
  }

  async forget(topic: MemoryTopic, partition: number, first: number): Promise<void> {
    const { records } = topic.partitions[partition]!;
    records.drop(Math.max(0, Math.min(records.indexOf(first), records.length - 1)));
  }

  committed(group: string, topic: string, partition: number): number | undefined {
    return this.#committed.get(`${group}/${topic}/${partition}`);
  }

  async commit(group: string, commits: readonly Commit[]): Promise<void> {
    for (const { topic, partition, next } of commits) this.#committed.set(`${group}/${topic}/${partition}`, next);
  }

  generation(group: string): number {
    return this.#generations.get(group) ?? 0;
  }

  async saveGeneration(group: string, generation: number): Promise<void> {
    this.#generations.set(group, generation);
  }
}

/** Drops the records that the topic does not retain, except the last one. */
function expire({ records }: MemoryPartition, spec: TopicSpec, nowMs: number): void {
  const old = Math.min(records.indexAt(nowMs - spec.retentionMs), records.length - 1);
  if (old > 0) records.drop(old);
  while (records.bytes > spec.retentionBytes && records.length > 1) records.drop(1);
}

/**
 * Once the list has doubled, drops all but the last record of each key, and tombstones that are not the last record.
 */
function compact(partition: MemoryPartition): void {
  const { records } = partition;
  if (records.length < partition.compactedLength * 2 + 64) return;
  const last = new Map<string, number>();
  for (let n = 0; n < records.length; n++) last.set(records.at(n)!.key, records.at(n)!.seq);
  const end = records.at(records.length - 1)!.seq;
  records.filter(({ key, seq, value }) => last.get(key) === seq && (value.length > 0 || seq === end));
  partition.compactedLength = records.length;
}
