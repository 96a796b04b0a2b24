import type { Batch, Entry } from './entry.ts';

/** A batch that was sent, by the numbers of its entries. */
export interface SentRange {
  readonly first: number;
  readonly last: number;
  readonly count: number;
  /** The ID of the report of a loss that was sent with it; '' for none. */
  readonly lossId: string;
}

/**
 * The batches that were in flight when the link was lost, or the process stopped. The receiver may have them, without
 * the sender knowing it: the same entries are sent as the same batch again, with the same ID, by which the receiver
 * recognizes it. It remembers few IDs, so that they are sent again before all others.
 */
export class SentRanges {
  /** In the order in which they were sent. */
  #ranges: SentRange[] = [];

  /** In the order in which they were sent. */
  get all(): readonly SentRange[] {
    return this.#ranges;
  }

  /** Remembers batches, beside those before that were not sent again. */
  remember(ranges: Iterable<SentRange>): void {
    for (const range of ranges) {
      // Of a process that was killed while it sent it again.
      if (!this.#ranges.some(({ first, last }) => range.first <= last && range.last >= first)) this.#ranges.push(range);
    }
  }

  /** The batch is sent again, or its entries are gone. */
  forget(range: SentRange): void {
    this.#ranges = this.#ranges.filter((each) => each !== range);
  }

  /** The numbers of all entries are `by` higher. */
  shift(by: number): void {
    this.#ranges = this.#ranges.map((range) => ({ ...range, first: range.first + by, last: range.last + by }));
  }

  /**
   * Returns the number before which a batch that starts with `first` stops, so that it has nothing of a batch that is
   * sent again. `writingFrom`: entries from this number on are at no place for a moment. A batch with such entries is
   * awaited: then the result is at most `first`. Another one with `first` cannot be sent again, and is forgotten.
   */
  bound(first: number, writingFrom: number): number {
    let least = Number.POSITIVE_INFINITY;
    for (const range of this.#ranges) {
      if (range.last < first) continue;
      if (range.first <= first && range.last < writingFrom) this.forget(range);
      else least = Math.min(least, range.first);
    }
    return least;
  }
}

/** Returns what is remembered of a batch; undefined for one without entries, which is the report of a loss alone. */
export function sentRangeOf({ entries, lossId }: Batch): SentRange | undefined {
  const [first, last] = [entries[0], entries.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  return { first: first.number, last: last.number, count: entries.length, lossId };
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
