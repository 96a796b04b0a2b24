import { TailraceError } from '@tailrace/protocol/error';

/**
 * The port to the log: durable topics in numbered partitions, read by consumer groups or by range.
 *
 * Adapters: `memory` (tests, simulation), `embedded` (LMDB on disk, one process), `kafka`. All pass one contract suite,
 * `test/contract.ts`; if this text and the suite differ, the suite counts.
 *
 * Every method that fails rejects with a TailraceError: `unavailable` (no broker answers; retryable), `storage_full`
 * (retryable), `not_found` (no such topic or partition), `closed` (after `close`), `too_large` (a record over the
 * limit).
 */
export interface EventLog {
  /** OpenTelemetry's name of the system (`messaging.system`), for spans. Undefined: in this process. */
  readonly system?: string;
  /** Whether appends wait for the disk of this process. Undefined: the log is not in this process. */
  readonly isAppending?: boolean;
  /** Connects. Rejects with `unavailable`, with the address and what to check. */
  start(): Promise<void>;
  /** Stops subscriptions, waits for appends in progress, closes. Idempotent. */
  close(): Promise<void>;
  /**
   * Creates the topic if it is missing. Resolves with the topic; rejects with `invalid_config` if it has another number
   * of partitions. `epoch` is a random ID created with the topic; positions are comparable only within one epoch.
   */
  ensureTopic(topic: TopicSpec): Promise<TopicInfo>;
  /**
   * Resolves with the current topic; rejects with `not_found`. A changed epoch: the topic was deleted and re-created.
   */
  describeTopic(topic: string): Promise<TopicInfo>;
  /**
   * Appends in order. Resolves when durable, with the position of each record in the order given. An append is not
   * atomic: after a rejection any prefix of each partition may be in the log. Records of one sender for one partition
   * keep their order across calls, also if the calls overlap.
   *
   * `sender`: the same object for all appends of one origin, so that a log that writes them one after the other lets
   * the senders take turns. Default: one sender for each topic.
   */
  append(topic: string, records: readonly NewRecord[], sender?: object): Promise<readonly Position[]>;
  /**
   * Appends records that do not depend on each other, such as messages of many devices, in order per key. Calls
   * `settled` once for each record, when it is durable or has failed; never before this method returns, which never
   * throws. A failed record does not affect the others: later records of its key may be in the log. The failed one may
   * be there, too, unless it is `too_large`. Keeps the order of a key across overlapping calls, and with `append`
   * without a sender.
   *
   * The records must not change until they are settled.
   */
  appendEach(topic: string, records: readonly NewRecord[], settled: RecordSettled): void;
  /** Joins a group. Resolves when the member has joined, before its first assignment. */
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  /**
   * Reads records with `from <= seq < until` of one partition, oldest first, in batches, up to `until` or the end of
   * the partition at the time of the call, whichever is first. Starts at the first retained record if `from` is before
   * it. Positions that cannot be read are a record with `unreadable`; reading continues after it.
   */
  read(topic: string, partition: number, range: ReadRange): AsyncIterable<readonly LogRecord[]>;
  /**
   * Resolves with the first retained position and the next position, by partition number. `partitions`: only of these.
   * A partition whose broker does not answer is missing: the list has a hole. Rejects if no broker answers.
   */
  bounds(topic: string, partitions?: readonly number[]): Promise<readonly PartitionBounds[]>;
  /**
   * Resolves with the next position, by partition number; undefined if the leader of the partition has not answered
   * within `waitMs`, or it has no leader. An error of one partition does not affect the others.
   */
  endOffsets(topic: string, waitMs: number): Promise<readonly (number | undefined)[]>;
  /**
   * Resolves with the first position whose record time is `>= timeMs`, by partition number; the end if there is none.
   * `partitions`: only of these. Rejects if the broker of one of them does not answer.
   */
  positionsAt(topic: string, timeMs: number, partitions?: readonly number[]): Promise<readonly number[]>;
  /** Resolves with the consumer lag, by partition number: records that the group has not committed. */
  lag(group: string, topic: string): Promise<readonly number[]>;
}

export interface TopicSpec {
  /** Letters, digits, `.`, `_`, `-`; at most 200 bytes. */
  name: string;
  partitions: number;
  /** Older records may be deleted. */
  retentionMs: number;
  /** The oldest records of a larger partition may be deleted. */
  retentionBytes: number;
  /**
   * Retains at least the last record of each key; earlier records of the key may be deleted. A record with an empty
   * value, a tombstone, deletes its key. How long the tombstone itself can be read depends on the adapter.
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
   * Selects the partition: murmur2(key) mod partitions, as Kafka's own producers do (`@tailrace/protocol/partition`).
   */
  readonly key: string;
  readonly value: Uint8Array;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface Position {
  readonly partition: number;
  readonly seq: number;
}

/**
 * Called with the index of a record in its call, and its position or the error. A record that failed has the position
 * -1, in partition -1; records may share one error. Must not throw, and is to be short: it delays the other records.
 */
export type RecordSettled = (index: number, error: TailraceError | undefined, partition: number, seq: number) => void;

export interface LogRecord {
  readonly seq: number;
  /** Time of the append, epoch ms, by the clock of the appender or the log. */
  readonly timeMs: number;
  readonly key: string;
  /** Does not change: the reader may keep it. */
  readonly value: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Set if the positions from `seq` on cannot be read. Key and value are empty. */
  readonly unreadable?: UnreadableRange;
  /**
   * Set if the positions from `seq` up to this one, exclusive, have no records: markers of other programs'
   * transactions. Key and value are empty.
   */
  readonly emptyUntil?: number;
}

/** Positions of the log that cannot be read, from the `seq` of the record that represents them. */
export interface UnreadableRange {
  /** Exclusive. */
  readonly until: number;
  readonly reason: UnreadableReason;
  /** What was expected and what was found, for the logger. */
  readonly message: string;
}

/**
 * `codec`: the codec is unknown or cannot be loaded. `checksum`: the bytes have changed. `too_large`: the decompressed
 * size exceeds the limit. `malformed`: the bytes are not records.
 */
export type UnreadableReason = 'codec' | 'checksum' | 'too_large' | 'malformed';

export const unreadableReasons: readonly UnreadableReason[] = ['codec', 'checksum', 'too_large', 'malformed'];

/** Returns the record that represents positions [seq, until) that cannot be read. */
export function unreadableRecord(seq: number, unreadable: UnreadableRange): LogRecord {
  return { seq, timeMs: 0, key: '', value: noBytes, unreadable };
}

/** Returns the record that represents positions [seq, emptyUntil) without records. */
export function emptyRecord(seq: number, emptyUntil: number): LogRecord {
  return { seq, timeMs: 0, key: '', value: noBytes, emptyUntil };
}

const noBytes = new Uint8Array(0);

/** Returns the position after a record, or after the positions that it represents. */
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
   * For history that clients request: small batches over separate connections, so that readers of live records do not
   * wait for them. Default: false.
   */
  readonly background?: boolean;
}

export interface PartitionBounds {
  readonly first: number;
  /** The position of the next record; `next === first` for an empty partition. */
  readonly next: number;
}

/** Returns the bounds of one partition from the answer of `EventLog.bounds`. Throws `unavailable` if it has none. */
export function boundsOf(bounds: readonly PartitionBounds[], partition: number): PartitionBounds {
  const found = bounds[partition];
  if (found !== undefined) return found;
  throw new TailraceError('unavailable', `bounds: expected those of partition ${partition}, got no answer`);
}

export interface SubscribeOptions {
  /** Topics with the same number of partitions. Partition n of all topics is assigned to the same member. */
  readonly topics: readonly string[];
  readonly group: string;
  /** Stable name of this member, the same after a restart. Its assignment depends on it, by rendezvous hashing. */
  readonly member: string;
  /** How long the log may delay records to deliver more at once, ms: the batching window of the subscriber. */
  readonly flushMs: number;
  /**
   * Called at every change of the assignment, before any record of a gained partition. May return the start positions
   * of gained partitions, by topic, then partition. Default: the committed position of the group, else the first
   * record. A promise delays its own partition alone; one that rejects leaves the partition unread until it is gained
   * again. A partition that is retained over a change continues at the position of this member, without duplicates and
   * gaps.
   */
  onAssigned(assignment: Assignment): StartPositions | undefined | Promise<StartPositions | undefined>;
  /**
   * Called with the records since the last call, of several partitions at once. Of a backlog, each call has as many
   * records as are processed in some milliseconds. While its promise is pending there is no other call: further records
   * are queued up to a limit, then fetching pauses. A rejection is reported to `onError`, and the same batches are
   * delivered again after a pause.
   */
  onBatches(batches: readonly LogBatch[]): void | Promise<void>;
  /** Called with errors that the adapter handles itself (by reconnecting or rejoining). For logs and metrics. */
  onError?(error: Error): void;
}

export interface Assignment {
  /** Increases with every assignment of the group, over all members: of two claims to a partition the higher counts. */
  readonly generation: number;
  readonly partitions: readonly number[];
  readonly gained: readonly number[];
  readonly lost: readonly number[];
}

export type StartPositions = Readonly<Record<string, Readonly<Record<number, number | Promise<number>>>>>;

export interface Subscription {
  /** Commits that everything before `next` was processed. Written in the background, at the latest on `stop`. */
  commit(topic: string, partition: number, next: number): void;
  /** Leaves the group. There is no call after it resolves. Idempotent. */
  stop(): Promise<void>;
  /** Returns the records that wait for `onBatches`, and the limit at which fetching pauses. */
  queue(): { readonly records: number; readonly recordsMax: number };
}
