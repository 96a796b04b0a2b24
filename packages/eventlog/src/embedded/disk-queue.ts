import { TailraceError } from '@tailrace/protocol/error';
import { closedError } from '../log-state.ts';
import { GroupCommit } from './group-commit.ts';
import type { QueueFile } from './table.ts';

export interface QueueItem {
  /** Its place in the queue, below 2^53. */
  readonly number: number;
  readonly value: Buffer;
}

/** Version of the layout, stored in `meta`. Other versions are refused. */
const layout = 1;
/** Most bytes and items of one transaction. */
const groupBytesMax = 2_000_000;
const groupItemsMax = 2_000;
/** Most bytes that wait for the disk: the caller waits for its own writes, so it is one of them. */
const pendingBytesMax = 8_000_000;
/** A key, and what LMDB adds to each item. */
const itemBytes = 16;
const metaBytes = 512;

const layoutKey = Buffer.from('layout');
const sizeKey = Buffer.from('size');
const keyOf = (name: string) => Buffer.from(`owner/${name}`);
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

/**
 * A queue of numbered items on disk, with some values that its owner keeps beside them. Numbers may come in any order,
 * and items are removed from any place. What resolved survives a crash of the process and of the machine.
 *
 * It knows its size, and has no limit: the owner decides what is dropped. The file does not shrink; pages that removals
 * free are reused.
 */
export class DiskQueue {
  readonly #openFile: () => Promise<QueueFile>;
  readonly #writes: GroupCommit;
  #file: QueueFile | undefined;
  #size = { count: 0, bytes: 0 };
  /** Of the open transaction. */
  #nextSize = { count: 0, bytes: 0 };

  constructor(openFile: () => Promise<QueueFile>) {
    this.#openFile = openFile;
    this.#writes = new GroupCommit({
      transaction: (apply, size) =>
        this.#opened().transaction(() => {
          this.#nextSize = { ...this.#size };
          apply();
          this.#opened().meta.put(sizeKey, json(this.#nextSize));
        }, size),
      committed: () => {
        this.#size = this.#nextSize;
      },
      failed: () => {},
      groupBytesMax,
      groupRecordsMax: groupItemsMax,
      pendingBytesMax,
    });
  }

  get count(): number {
    return this.#size.count;
  }

  /** Bytes of keys and values. The file has more. */
  get bytes(): number {
    return this.#size.bytes;
  }

  /** Idempotent. Rejects with `invalid_config` for a file of another version. */
  async open(): Promise<void> {
    if (this.#file !== undefined) return;
    const file = await this.#openFile();
    try {
      this.#file = file;
      const found = file.meta.get(layoutKey)?.toString();
      if (found === undefined) await this.#putMeta(layoutKey, layout);
      else if (found !== String(layout)) {
        throw new TailraceError('invalid_config', `layout of the queue: expected ${layout}, got ${found}`);
      }
      this.#size = sizeFrom(file.meta.get(sizeKey)) ?? { count: 0, bytes: 0 };
    } catch (thrown) {
      this.#file = undefined;
      await file.close();
      throw thrown;
    }
  }

  /** Closes after the writes that wait. Idempotent. */
  async close(): Promise<void> {
    await this.#writes.drained();
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  /**
   * Resolves when the items, whose numbers are not in the queue, are on disk. Rejects with `storage_full` on a full
   * disk, and then has none of them. The buffers must not change until it has settled.
   */
  put(items: readonly QueueItem[]): Promise<void> {
    let bytes = 0;
    for (const { value } of items) bytes += itemBytes + value.length;
    return this.#writes.write({
      flow: 'put',
      bytes,
      records: items.length,
      apply: () => {
        const { records } = this.#opened();
        for (const { number, value } of items) records.put(numberKey(number), value);
        this.#nextSize.count += items.length;
        this.#nextSize.bytes += bytes;
      },
    });
  }

  /** Resolves when the items are removed. It is tried also on a full disk. A number that is not there is ignored. */
  remove(numbers: readonly number[]): Promise<void> {
    return this.#writes.write({
      flow: 'remove',
      bytes: numbers.length * itemBytes,
      records: numbers.length,
      frees: true,
      apply: () => {
        const { records } = this.#opened();
        for (const number of new Set(numbers)) {
          const key = numberKey(number);
          const value = records.get(key);
          if (value === undefined) continue;
          records.remove(key);
          this.#nextSize.count--;
          this.#nextSize.bytes -= itemBytes + value.length;
        }
      },
    });
  }

  /** Returns at most `limit` items with `from <= number < until`, ascending, that are on disk. */
  read(from: number, until: number, limit: number): QueueItem[] {
    const items: QueueItem[] = [];
    if (from >= until) return items;
    for (const { key, value } of this.#opened().records.range(numberKey(from), numberKey(until), limit)) {
      items.push({ number: numberOf(key), value });
    }
    return items;
  }

  /** Returns the value that the owner has stored under the name. */
  meta(name: string): unknown {
    const text = this.#opened().meta.get(keyOf(name))?.toString();
    return text === undefined ? undefined : JSON.parse(text);
  }

  /** Stores a value, as JSON of at most some hundred bytes. It is tried also on a full disk. */
  putMeta(name: string, value: unknown): Promise<void> {
    return this.#putMeta(keyOf(name), value);
  }

  #putMeta(key: Buffer, value: unknown): Promise<void> {
    const text = json(value);
    return this.#writes.write({
      flow: 'meta',
      bytes: metaBytes,
      frees: true,
      apply: () => this.#opened().meta.put(key, text),
    });
  }

  #opened(): QueueFile {
    if (this.#file !== undefined) return this.#file;
    throw closedError('access the folder of the queue');
  }
}

function numberKey(number: number): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeUInt32BE(Math.floor(number / 2 ** 32), 0);
  key.writeUInt32BE(number % 2 ** 32, 4);
  return key;
}

function numberOf(key: Buffer): number {
  return key.readUInt32BE(0) * 2 ** 32 + key.readUInt32BE(4);
}

function sizeFrom(text: Buffer | undefined): { count: number; bytes: number } | undefined {
  if (text === undefined) return undefined;
  const { count, bytes } = JSON.parse(text.toString()) as { count: number; bytes: number };
  return { count, bytes };
}
