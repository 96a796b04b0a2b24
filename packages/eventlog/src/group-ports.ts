import type { RecordQueue } from './record-buffer.ts';

/** Where a member's records come from: Kafka's fetches, or a log inside this process. */
export interface Source {
  /** By partition number: the first position that is kept, of these partitions. Rejects where it cannot be had now. */
  firstPositions(topic: string, partitions: readonly number[]): Promise<readonly number[]>;
  /**
   * Reads from the position on into the queue, by `RecordBuffer.push`, while the buffer has room. A position that is
   * not in the log is reported, and reading starts at the first one.
   */
  start(queue: RecordQueue, position: number): void;
  /** The queue is closed. */
  stop(queue: RecordQueue): void;
  /** Reads nothing any more. */
  close(): void;
}

export interface Commit {
  readonly topic: string;
  readonly partition: number;
  readonly next: number;
}

/** What a member asks of its group. Assignments come the other way: see `assign`, `release` and `revoke`. */
export interface Membership {
  /** What the group committed, by topic, then partition; nothing where it never did. */
  committed(partitions: readonly number[]): Promise<ReadonlyMap<string, ReadonlyMap<number, number>>>;
  commit(commits: readonly Commit[]): Promise<void>;
  /** The member has stopped. */
  leave(): Promise<void>;
}
