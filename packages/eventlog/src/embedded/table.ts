import type { Transaction } from './disk-space.ts';

/** What the embedded log needs of a file of sorted keys, so that only one file of ours knows which library keeps it. */
export interface TableFile {
  /** Record keys (see embeddedpartition.ts) → encoded records. */
  readonly records: Table;
  /** Compacted topics: partition and key → the position of its last record. */
  readonly latest: Table;
  /** Names → JSON: the layout's number, the topics. */
  readonly meta: Table;
  /** `group/topic/partition` → committed position, `group` → generation; JSON. */
  readonly groups: Table;
  /**
   * Every `put` and `remove` comes from inside `apply`. Resolves when all of them are flushed to disk; after a
   * rejection none is. `storage_full` where the disk has no room for it.
   */
  transaction(apply: () => void, size: Transaction): Promise<void>;
  close(): Promise<void>;
}

/** Keys sort by their bytes. Values are copies: the caller may keep them. */
export interface Table {
  get(key: Buffer): Buffer | undefined;
  /** The buffers must not change until the transaction has ended. */
  put(key: Buffer, value: Buffer): void;
  remove(key: Buffer): void;
  /** Entries with `from <= key < until`, ascending. */
  range(from: Buffer, until: Buffer, limit: number): Iterable<Entry>;
  /** The last key with `from <= key < until`. */
  lastKey(from: Buffer, until: Buffer): Buffer | undefined;
}

export interface Entry {
  readonly key: Buffer;
  readonly value: Buffer;
}
