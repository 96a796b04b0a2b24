import type { DiskQueue } from '@tailrace/eventlog/embedded/disk-queue';
import type { Logger } from '@tailrace/platform/logger';
import { type BatchLimits, type Entry, entryFromStored, storedEntry } from './entry.ts';

/** What is needed of a disk queue. */
export type Disk = Pick<DiskQueue, 'close' | 'put' | 'remove' | 'read' | 'meta' | 'putMeta' | 'count' | 'bytes'>;

/** Most entries that are dropped in one transaction. */
const dropMax = 500;

/** The entries on disk: which are read next, which are in flight, and which are being removed. */
export class StoredEntries {
  readonly disk: Disk;
  readonly #logger: Logger;
  /** In flight, or being removed. */
  readonly #taken = new Set<number>();
  #removing = 0;
  #cursor = 0;

  constructor(disk: Disk, logger: Logger) {
    this.disk = disk;
    this.#logger = logger;
  }

  /** Entries that are not acknowledged. */
  get count(): number {
    return this.disk.count - this.#removing;
  }

  /** Rejects with `storage_full`, and then has none of the entries. */
  async put(entries: readonly Entry[]): Promise<void> {
    const first = entries[0];
    if (first === undefined) return;
    await this.disk.put(entries.map((entry) => ({ number: entry.number, value: storedEntry(entry) })));
    this.#cursor = Math.min(this.#cursor, first.number);
  }

  /** Starts again with the lowest number. */
  rewind(): void {
    this.#cursor = 0;
  }

  /** Returns the next entries that are not taken, and those that are damaged in `damaged`. */
  read(until: number, { reportsMax, bytesMax }: BatchLimits, damaged: number[]): Entry[] {
    if (this.count === 0) return [];
    const meanBytes = Math.max(1, this.disk.bytes / Math.max(1, this.disk.count));
    const limit = Math.min(reportsMax, Math.ceil(bytesMax / meanBytes) + 1);
    for (;;) {
      const items = this.disk.read(this.#cursor, until, limit);
      const entries: Entry[] = [];
      for (const { number, value } of items) {
        if (this.#taken.has(number)) continue;
        const entry = entryFromStored(number, value);
        if (entry === undefined) damaged.push(number);
        else entries.push(entry);
      }
      if (entries.length > 0 || items.length < limit) return entries;
      this.#cursor = items.at(-1)!.number + 1;
    }
  }

  /** Returns the entries with numbers of `first` to `last` that are not taken, `count` at most. */
  readRange({
    first,
    last,
    count,
  }: {
    readonly first: number;
    readonly last: number;
    readonly count: number;
  }): Entry[] {
    return this.disk
      .read(first, last + 1, count)
      .filter(({ number }) => !this.#taken.has(number))
      .map(({ number, value }) => entryFromStored(number, value))
      .filter((entry) => entry !== undefined);
  }

  /** The entries, as `readRange` returned them, are in flight. */
  takeRange(entries: readonly Entry[]): void {
    for (const { number } of entries) this.#taken.add(number);
  }

  /** The entries, as `read` returned them, are in flight. */
  take(entries: readonly Entry[]): void {
    this.takeRange(entries);
    this.#cursor = entries.at(-1)!.number + 1;
  }

  /** The entries are read again. */
  release(entries: readonly Entry[]): void {
    for (const { number } of entries) this.#taken.delete(number);
    this.#cursor = Math.min(this.#cursor, entries[0]!.number);
  }

  /** Removes entries. Resolves with whether they are removed; if not, they are read again after a restart. */
  async remove(numbers: readonly number[]): Promise<boolean> {
    for (const number of numbers) this.#taken.add(number);
    this.#removing += numbers.length;
    try {
      await this.disk.remove(numbers);
    } catch (error) {
      this.#logger.error({ error }, 'reports could not be removed from the store');
      return false;
    }
    this.#removing -= numbers.length;
    for (const number of numbers) this.#taken.delete(number);
    return true;
  }

  /** Removes the oldest entries that are not in flight, until they have `bytes`. Resolves with them, 500 at most. */
  async dropOldest(bytes: number): Promise<readonly Entry[]> {
    const gone: Entry[] = [];
    let goneBytes = 0;
    for (const { number, value } of this.disk.read(0, Number.MAX_SAFE_INTEGER, dropMax + this.#taken.size)) {
      if (goneBytes >= bytes || gone.length === dropMax) break;
      if (this.#taken.has(number)) continue;
      gone.push(entryFromStored(number, value) ?? { number, report: value, readings: 0, from: 0, until: 0 });
      goneBytes += value.length;
    }
    if (gone.length === 0) return gone;
    return (await this.remove(gone.map(({ number }) => number))) ? gone : [];
  }
}
