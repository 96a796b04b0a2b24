import { type Batch, bytesOf, type Entry, entryBytes, merged } from './entry.ts';
import type { SentRange } from './sent-ranges.ts';

/**
 * The entries in memory, in two queues in the order of their numbers: `live`, which is sent as it comes, and `spill`,
 * which is written to the disk or sent as a part of the backlog. Entries that are taken, to be sent or written, count
 * until they are released.
 */
export class MemoryEntries {
  /** Entries and their bytes, also of those that are taken. */
  count = 0;
  bytes = 0;
  /** Of the entries of `spill`. */
  spillBytes = 0;
  #live: Entry[] = [];
  #spill: Entry[] = [];

  get live(): readonly Entry[] {
    return this.#live;
  }

  get spill(): readonly Entry[] {
    return this.#spill;
  }

  put(queue: 'live' | 'spill', entry: Entry): void {
    this.count++;
    this.bytes += entryBytes(entry);
    if (queue === 'live') this.#live.push(entry);
    else {
      this.#spill.push(entry);
      this.spillBytes += entryBytes(entry);
    }
  }

  /** All of `live` becomes part of `spill`. */
  toSpill(): void {
    this.#spill = merged(this.#spill, this.#live);
    this.#live = [];
    this.spillBytes = bytesOf(this.#spill);
  }

  /** Takes the first entries of a queue. */
  take(queue: 'live' | 'spill', count: number): Entry[] {
    if (queue === 'live') return this.#live.splice(0, count);
    const entries = this.#spill.splice(0, count);
    this.spillBytes -= bytesOf(entries);
    return entries;
  }

  /** Takes the entries of a batch that was sent before; undefined if they are not all in one queue. */
  takeRange({ first, last, count }: SentRange): { queue: Batch['queue']; entries: Entry[] } | undefined {
    for (const [queue, waiting] of [
      ['live', this.#live],
      ['backlog', this.#spill],
    ] as const) {
      const entries = waiting.filter(({ number }) => number >= first && number <= last);
      if (entries.length !== count) continue;
      waiting.splice(waiting.indexOf(entries[0]!), count);
      if (queue === 'backlog') this.spillBytes -= bytesOf(entries);
      return { queue, entries };
    }
    return undefined;
  }

  /** Entries that were taken are in their places again. */
  putBack(queue: 'live' | 'spill', entries: readonly Entry[]): void {
    if (queue === 'live') this.#live = merged(entries, this.#live);
    else {
      this.#spill = merged(entries, this.#spill);
      this.spillBytes += bytesOf(entries);
    }
  }

  /** Entries that were taken are acknowledged, on disk or lost. */
  release(entries: readonly Entry[]): void {
    this.count -= entries.length;
    this.bytes -= bytesOf(entries);
  }

  /** Drops entries that are not taken, until all have at most `bytesMax`. Returns them. */
  drop(which: 'oldest' | 'newest', bytesMax: number): readonly Entry[] {
    const gone: Entry[] = [];
    while (this.bytes > bytesMax) {
      const [first, last] = [this.#spill, this.#live].filter((queue) => queue.length > 0);
      const entry = which === 'oldest' ? first?.shift() : (last ?? first)?.pop();
      if (entry === undefined) break;
      this.release([entry]);
      gone.push(entry);
    }
    if (gone.length > 0) this.spillBytes = bytesOf(this.#spill);
    return gone;
  }

  /** The numbers of all entries are `by` higher. */
  shift(by: number): void {
    for (const entry of [...this.#spill, ...this.#live]) entry.number += by;
  }
}
