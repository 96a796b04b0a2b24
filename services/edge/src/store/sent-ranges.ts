import type { Batch, Entry } from './entry.ts';

interface SentRange {
  readonly first: number;
  readonly last: number;
  readonly count: number;
}

/**
 * The batches that were in flight when the link was lost. The receiver may have them, without the sender knowing it:
 * the same entries are sent as the same batch again, with the same ID, by which the receiver recognizes it.
 */
export class SentRanges {
  /** Ascending. */
  #ranges: SentRange[] = [];

  /** Remembers the batches, beside those before that were not sent again. */
  remember(batches: Iterable<Batch>): void {
    for (const { entries } of batches) {
      if (entries.length === 0) continue;
      this.#ranges.push({ first: entries[0]!.number, last: entries.at(-1)!.number, count: entries.length });
    }
    this.#ranges.sort((a, b) => a.first - b.first);
  }

  /** The numbers of all entries are `by` higher. */
  shift(by: number): void {
    this.#ranges = this.#ranges.map(({ first, last, count }) => ({ first: first + by, last: last + by, count }));
  }

  /**
   * Returns the entries of the next batch, of `count` that fit: those of a batch that was sent before, or only those
   * before it. `until`: the first number that does not belong to it for another reason.
   */
  select(entries: readonly Entry[], count: number, until: number): Entry[] {
    const first = entries[0]!.number;
    while (this.#ranges.length > 0 && this.#ranges[0]!.last < first) this.#ranges.shift();
    const range = this.#ranges.find((each) => each.last >= first);
    if (range === undefined) return entries.slice(0, count);
    if (range.first > first) {
      const before = entries.findIndex(({ number }) => number >= range.first);
      return entries.slice(0, before < 0 ? count : Math.min(count, before));
    }
    const end = entries.findIndex(({ number }) => number > range.last || number >= until);
    const same = entries.slice(0, end < 0 ? entries.length : end);
    this.#ranges = this.#ranges.filter((each) => each !== range);
    return range.first === first && same.length === range.count ? same : entries.slice(0, count);
  }
}

/**
 * Returns the ID of a batch: two batches have the same one only if they have the same entries. `stream`: of the store.
 * The hash (FNV-1a, 32 bits) is of the numbers, since some in between may be gone.
 */
export function batchId(stream: string, entries: readonly Entry[], lossId: string): string {
  let hash = 0x811c9dc5;
  const add = (value: number) => {
    hash = Math.imul(hash ^ (value & 0xffff), 0x01000193);
    hash = Math.imul(hash ^ ((value / 0x10000) & 0xffff), 0x01000193);
  };
  for (const { number } of entries) add(number);
  for (let at = 0; at < lossId.length; at++) add(lossId.charCodeAt(at));
  const first = entries[0]?.number ?? 0;
  return `${stream}.${first.toString(36)}.${entries.length.toString(36)}.${(hash >>> 0).toString(36)}`;
}
