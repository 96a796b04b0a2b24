import type { LogRecord, NewRecord, Position, TopicInfo, TopicSpec } from '../event-log.ts';
import type { Commit } from '../group-ports.ts';

/**
 * Where a log inside this process keeps its records: in memory or on disk. What the two have in common (groups,
 * delivery, errors, ranges) is built once on this interface; it is not for anyone outside this package.
 *
 * Reading is synchronous: both stores answer from memory (the one on disk from its memory map).
 */
export interface Store {
  /** Called by every connection's start; opening what is open is nothing. */
  open(): Promise<void>;
  /** Lets writes that are under way finish. Idempotent. */
  close(): Promise<void>;
  topic(name: string): StoredTopic | undefined;
  /** The topic does not exist. Resolves when it is durable. */
  createTopic(spec: TopicSpec): Promise<StoredTopic>;
  /** From now on another retention. */
  retain(topic: StoredTopic, spec: TopicSpec): Promise<void>;
  /** In the order of the calls. Sizes are checked already. Resolves when durable, and visible to readers. */
  append(topic: StoredTopic, records: readonly NewRecord[]): Promise<readonly Position[]>;
  /** Records with `from <= seq < until`, oldest first: as many as fit the limits, at least one where there is any. */
  slice(topic: StoredTopic, partition: number, range: SliceRange): LogRecord[];
  /** The first position whose record time is `>= timeMs`; the end where there is none. */
  positionAt(topic: StoredTopic, partition: number, timeMs: number): number;
  /** Deletes the records before `first`; the last record of a partition is never deleted. */
  forget(topic: StoredTopic, partition: number, first: number): Promise<void>;
  /** What the group committed, if anything. */
  committed(group: string, topic: string, partition: number): number | undefined;
  commit(group: string, commits: readonly Commit[]): Promise<void>;
  /** The highest generation that the group has had, 0 at first. */
  generation(group: string): number;
  saveGeneration(group: string, generation: number): Promise<void>;
}

export interface StoredTopic {
  readonly info: TopicInfo;
  readonly spec: TopicSpec;
  readonly partitions: readonly PartitionEnds[];
}

/** Live: `next` grows when records are durable, `first` when old ones are deleted. */
export interface PartitionEnds {
  readonly first: number;
  readonly next: number;
}

export interface SliceRange {
  readonly from: number;
  readonly until: number;
  readonly recordsMax: number;
  readonly bytesMax: number;
}
