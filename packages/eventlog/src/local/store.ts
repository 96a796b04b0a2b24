import type { LogRecord, NewRecord, Position, TopicInfo, TopicSpec } from '../event-log.ts';
import type { Commit } from '../group-ports.ts';

/**
 * The port to the records of a log within this process, in memory or on disk. Groups, delivery, errors and ranges are
 * built once on this interface. Internal to this package.
 *
 * Reading is synchronous: both stores read from memory (the one on disk from its memory map).
 */
export interface Store {
  /** Called when new records of a topic are durable and visible. Set by the log. */
  onAppended: (topic: string) => void;
  /** Called at the start of every connection. Idempotent. */
  open(): Promise<void>;
  /** Closes after the writes in progress. Idempotent. */
  close(): Promise<void>;
  topic(name: string): StoredTopic | undefined;
  /** Creates a topic that does not exist. Resolves when it is durable. */
  createTopic(spec: TopicSpec): Promise<StoredTopic>;
  /** Changes the retention. */
  retain(topic: StoredTopic, spec: TopicSpec): Promise<void>;
  /**
   * Appends in the order of the calls with the same `sender`. Sizes are checked already. Resolves when durable and
   * visible to readers.
   */
  append(topic: StoredTopic, records: readonly NewRecord[], sender?: object): Promise<readonly Position[]>;
  /** Returns records with `from <= seq < until`, oldest first, within the limits, but at least one if there is any. */
  slice(topic: StoredTopic, partition: number, range: SliceRange): LogRecord[];
  /** Returns the first position whose record time is `>= timeMs`; the end if there is none. */
  positionAt(topic: StoredTopic, partition: number, timeMs: number): number;
  /** Deletes the records before `first`, except the last one of the partition. */
  forget(topic: StoredTopic, partition: number, first: number): Promise<void>;
  /** Returns the committed position of the group, if any. */
  committed(group: string, topic: string, partition: number): number | undefined;
  commit(group: string, commits: readonly Commit[]): Promise<void>;
  /** Returns the highest generation of the group; 0 before the first. */
  generation(group: string): number;
  saveGeneration(group: string, generation: number): Promise<void>;
}

export interface StoredTopic {
  readonly info: TopicInfo;
  readonly spec: TopicSpec;
  readonly partitions: readonly StoredPartition[];
}

/** The bounds of a partition, updated: `next` when records are durable, `first` when old ones are deleted. */
export interface StoredPartition {
  readonly first: number;
  readonly next: number;
}

export interface SliceRange {
  readonly from: number;
  readonly until: number;
  readonly recordsMax: number;
  readonly bytesMax: number;
}
