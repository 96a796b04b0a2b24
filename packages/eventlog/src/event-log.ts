/**
 * The port to the log: durable topics in numbered partitions, read by consumer groups or by range.
 *
 * Adapters: `memory` (tests, simulation), `embedded` (LMDB on disk, one process), `kafka`. One contract suite
 * (`test/contract.ts`) states what every adapter keeps; where this text and the suite differ, the suite counts.
 *
 * Every method that fails rejects with a TailraceError: `unavailable` (broker gone; retryable), `storage_full`
 * (retryable), `not_found` (no such topic or partition), `closed` (after `close`), `too_large` (a record over the
 * limit).
 */
export interface EventLog {
  /**
   * What the records lie in, by OpenTelemetry's name for it (`messaging.system`), for spans. Absent: in this process.
   */
  readonly system?: string;
  /** Connects. `unavailable` names the address and what to check. */
  start(): Promise<void>;
  /** Stops subscriptions, waits for running appends, closes. Idempotent. */
  close(): Promise<void>;
  /**
   * Creates the topic if it is missing. Resolves with the topic as it is: a number of partitions other than asked for
   * is an `invalid_config` error. `epoch` is a random ID created with the topic; positions are comparable only within
   * one epoch.
   */
  ensureTopic(topic: TopicSpec): Promise<TopicInfo>;
  /**
   * The topic as it is now; `not_found` where there is none. Another epoch than before: it was deleted and created
   * again.
   */
  describeTopic(topic: string): Promise<TopicInfo>;
  /**
   * Appends in order, resolves when durable, with the position of each record in the order given. All or nothing is not
   * promised: after a rejection any prefix per partition may be in the log. Records appended by one caller to one
   * partition keep their order across calls, also when the calls overlap.
   */
  append(topic: string, records: readonly NewRecord[]): Promise<readonly Position[]>;
  /** Joins a group. Resolves when the member is known to the log, before its first assignment. */
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  /**
   * Reads records with `from <= seq < until` of one partition, oldest first, in batches, ending at `until` or at the
   * end of the partition at the time of the call, whichever comes first. Where `from` lies before the first record
   * kept, starts there. What the log has and cannot read is a record with `unreadable`; reading goes on behind it.
   */
  read(topic: string, partition: number, range: ReadRange): AsyncIterable<readonly LogRecord[]>;
  /**
   * First position kept and next position to be written, by partition number; of these `partitions` only, where they
   * are given. A partition whose broker does not answer now is left out: there is a hole in the list. Rejects where
   * none answers.
   */
  bounds(topic: string, partitions?: readonly number[]): Promise<readonly PartitionBounds[]>;
  /**
   * Returns the next position to be written, by partition number; undefined where the broker that leads the partition
   * has not answered within `waitMs`, or none leads it. An error of one partition concerns no other.
   */
  ends(topic: string, waitMs: number): Promise<readonly (number | undefined)[]>;
  /**
   * By partition: the first position whose record time is `>= timeMs`; the end where there is none. Of these
   * `partitions` only, where they are given. Rejects where the broker of one of them does not answer.
   */
  positionsAt(topic: string, timeMs: number, partitions?: readonly number[]): Promise<readonly number[]>;
  /** Returns by partition the number of records that the group has still to commit. */
  lag(group: string, topic: string): Promise<readonly number[]>;
}

export interface TopicSpec {
  /** Letters, digits, `.`, `_`, `-`; at most 200 bytes. */
  name: string;
  partitions: number;
  /** Records older than this may be deleted. */
  retentionMs: number;
  /** Oldest records of a partition may be deleted when it is larger than this. */
  retentionBytes: number;
  /**
   * Keeps at least the last record of each key, however old; earlier ones of the same key may be deleted. A record with an
   * empty value, a tombstone, deletes its key; how long the tombstone itself can be read depends on the adapter.
   */
  compacted?: boolean;
}

export interface TopicInfo {
  readonly name: string;
  readonly partitions: number;
  readonly epoch: string;
}

export interface NewRecord {
  /**
   * Decides the partition: murmur2(key) mod partitions, as Kafka's own producers do (`@tailrace/protocol/partition`).
   */
  readonly key: string;
  readonly value: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Position {
  readonly partition: number;
  readonly seq: number;
}

export interface LogRecord {
  readonly seq: number;
  /** When it was appended, epoch ms, by the appender's or the log's clock. */
  readonly timeMs: number;
  readonly key: string;
  /** The reader may keep it; it does not change. */
  readonly value: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** There is no record: the log has positions from `seq` on that it cannot read. Key and value are empty. */
  readonly unreadable?: UnreadableRange;
  /**
   * There is no record, and nothing is missing: the positions from `seq` on up to here, exclusive, are markers of other
   * programs' transactions. Key and value are empty.
   */
  readonly emptyUntil?: number;
}

/** Positions that the log has and cannot read. They start at the `seq` of the record that stands for them. */
export interface UnreadableRange {
  /** Exclusive. */
  readonly until: number;
  readonly reason: UnreadableReason;
  /** What was expected and what is there, for the log. */
  readonly message: string;
}

/**
 * `codec`: compressed by a codec that is not known, or cannot be loaded here. `checksum`: the bytes are not those that
 * were written. `too_large`: decompressed they are more than is taken. `malformed`: they do not have the form that
 * records have.
 */
export type UnreadableReason = 'codec' | 'checksum' | 'too_large' | 'malformed';

export const unreadableReasons: readonly UnreadableReason[] = ['codec', 'checksum', 'too_large', 'malformed'];

/** The record that stands for positions [seq, until) that cannot be read. */
export function unreadableRecord(seq: number, unreadable: UnreadableRange): LogRecord {
  return { seq, timeMs: 0, key: '', value: noBytes, unreadable };
}

/** The record that stands for positions [seq, emptyUntil) that hold none. */
export function emptyRecord(seq: number, emptyUntil: number): LogRecord {
  return { seq, timeMs: 0, key: '', value: noBytes, emptyUntil };
}

const noBytes = new Uint8Array(0);

/** Returns the position behind a record, or behind the positions that it stands for. */
export function recordEnd({ seq, unreadable, emptyUntil }: LogRecord): number {
  return unreadable?.until ?? emptyUntil ?? seq + 1;
}

/** Consecutive records of one partition, oldest first, never empty. */
export interface LogBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly LogRecord[];
}

export interface ReadRange {
  readonly from: number;
  /** Exclusive. Default: the end. */
  readonly until?: number;
  /**
   * For the history that clients ask for: small batches, over connections of their own, so that no reader of live
   * records waits for them. Default: false.
   */
  readonly background?: boolean;
}

export interface PartitionBounds {
  readonly first: number;
  /** The position that the next record gets; `next === first` is an empty partition. */
  readonly next: number;
}

export interface SubscribeOptions {
  /** Topics with the same number of partitions; partition n of all of them is assigned to the same member. */
  readonly topics: readonly string[];
  readonly group: string;
  /** Stable name of this member: the same after a restart. Decides by rendezvous hashing what it is assigned. */
  readonly member: string;
  /** How long the log may hold records back to hand over more at once, ms. The subscriber's batching window. */
  readonly flushMs: number;
  /**
   * Called at every change of the assignment, before any record of a gained partition. May answer where to start in
   * gained partitions (by topic, then partition); where it does not, reading starts at the group's committed position,
   * else at the first record. A promise holds up its own partition alone; one that rejects leaves the partition unread
   * until it is gained again. Partitions kept over a change go on exactly where this member was: nothing twice, nothing
   * skipped.
   */
  onAssigned(assignment: Assignment): StartPositions | undefined | Promise<StartPositions | undefined>;
  /**
   * Called with what has come since the last call, several partitions at once: of much that waits, as many records as
   * are worked through in some milliseconds, and the rest in further turns of the event loop. While its promise is
   * pending nothing more is handed over; what arrives is queued up to a bound, then fetching pauses. A rejection is
   * reported to `onError` and the same batches are handed over again after a pause.
   */
  onBatches(batches: readonly LogBatch[]): void | Promise<void>;
  /** Errors that the adapter handles by itself (reconnecting, rejoining). For logs and metrics. */
  onError?(error: Error): void;
}

export interface Assignment {
  /** Grows with every assignment of the group, over all members: of two claims to a partition the higher counts. */
  readonly generation: number;
  readonly partitions: readonly number[];
  readonly gained: readonly number[];
  readonly lost: readonly number[];
}

export type StartPositions = Readonly<Record<string, Readonly<Record<number, number | Promise<number>>>>>;

export interface Subscription {
  /** Notes that everything before `next` was processed. Written in the background, at the latest on `stop`. */
  commit(topic: string, partition: number, next: number): void;
  /** Leaves the group in order; no call comes after it resolves. Idempotent. */
  stop(): Promise<void>;
  /** Records waiting for `onBatches`, and the bound at which fetching pauses. */
  queue(): { readonly records: number; readonly recordsMax: number };
}
