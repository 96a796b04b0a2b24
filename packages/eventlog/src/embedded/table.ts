import type { Transaction } from './disk-space.ts';

/** The port to a file of sorted keys, so that one file alone depends on the library. */
export interface TransactionFile {
  /**
   * Every `put` and `remove` is called within `apply`. Resolves when all are flushed to disk; after a rejection none
   * is. Rejects with `storage_full` if the disk has no space.
   */
  transaction(apply: () => void, size: Transaction): Promise<void>;
  close(): Promise<void>;
}

/** The file of an event log. */
export interface TableFile extends TransactionFile {
  /** `recordKey` → encoded record. */
  readonly records: Table;
  /** Compacted topics: `latestKey` → position of the last record. */
  readonly latest: Table;
  /** Name → JSON: the version of the layout, and the topics. */
  readonly meta: Table;
  /** `group/topic/partition` → committed position, `group` → generation; JSON. */
  readonly groups: Table;
}

/** The file of a queue. */
export interface QueueFile extends TransactionFile {
  /** Number → item. */
  readonly records: Table;
  /** Name → JSON: the version of the layout, the size, and what the owner of the queue keeps with it. */
  readonly meta: Table;
}

/** Keys sort by their bytes. Values are copies that the caller owns. */
export interface Table {
  get(key: Buffer): Buffer | undefined;
  /** The buffers must not change until the transaction has settled. */
  put(key: Buffer, value: Buffer): void;
  remove(key: Buffer): void;
  /** Returns the entries with `from <= key < until`, ascending. */
  range(from: Buffer, until: Buffer, limit: number): Iterable<Entry>;
  /** Returns the last key with `from <= key < until`. */
  lastKey(from: Buffer, until: Buffer): Buffer | undefined;
}

export interface Entry {
  readonly key: Buffer;
  readonly value: Buffer;
}
