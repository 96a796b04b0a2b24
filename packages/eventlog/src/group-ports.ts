import type { RecordQueue } from './record-buffer.ts';

/** The source of a member's records: Kafka's fetches, or a log within this process. */
export interface Source {
  /**
   * Resolves with the first retained positions of these partitions, by partition number. Rejects if they are unknown.
   */
  firstPositions(topic: string, partitions: readonly number[]): Promise<readonly number[]>;
  /**
   * Starts to read from the position into the queue, by `RecordBuffer.push`, while the buffer has capacity. A position
   * that is not in the log is reported, and reading starts at the first one.
   */
  start(queue: RecordQueue, position: number): void;
  /** Stops to read into a closed queue. */
  stop(queue: RecordQueue): void;
  /** Stops to read. */
  close(): void;
}

export interface Commit {
  readonly topic: string;
  readonly partition: number;
  readonly next: number;
}

/** The requests of a member to its group. The group calls `assign`, `release` and `revoke` of the member. */
export interface Membership {
  /** Resolves with the committed positions, by topic, then partition; none for partitions without a commit. */
  committed(partitions: readonly number[]): Promise<ReadonlyMap<string, ReadonlyMap<number, number>>>;
  commit(commits: readonly Commit[]): Promise<void>;
  /** Leaves the group, after the member has stopped. */
  leave(): Promise<void>;
}
