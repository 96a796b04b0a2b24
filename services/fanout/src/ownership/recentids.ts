/**
 * A sender's retry comes within so many records of its partition: whoever begins to read in the middle reads so many before, to know a
 * repetition across that border.
 */
export const repeatRecordsMax = 1_000;

/**
 * The message IDs a partition has seen of late, so that a report which a sender's retry wrote twice is delivered once.
 * Remembers the newest `idsMax` of them; a retry that comes later than that many other reports is not recognised.
 * Depends on nothing but the records and their order: every node that reads the partition decides alike.
 */
export class RecentIds {
  readonly #idsMax: number;
  readonly #firstSeqs = new Map<string, number>();

  /** What was known before a fork: looked at, not copied, because thousands of clients that come back fork at once. */
  readonly #beneath: ReadonlyMap<string, number> | undefined;

  constructor(idsMax: number, beneath?: RecentIds) {
    this.#idsMax = idsMax;
    this.#beneath = beneath === undefined ? undefined : beneath.#firstSeqs;
  }

  /** For reading records again: knows what is known here. What it notes pushes out nothing, unless it is told how many it may remember itself. */
  fork(idsMax: number = Number.POSITIVE_INFINITY): RecentIds {
    return new RecentIds(idsMax, this);
  }

  get size(): number {
    return this.#firstSeqs.size;
  }

  /** Notes the ID, and says whether this record repeats an earlier one. Safe to ask again of the same record. */
  repeats(device: string, id: string, seq: number): boolean {
    // No path holds a blank, so that no other pair of device and ID makes the same key.
    const key = `${device} ${id}`;
    const first = this.#firstSeqs.get(key) ?? this.#beneath?.get(key);
    if (first !== undefined) return first < seq;
    this.#firstSeqs.set(key, seq);
    if (this.#firstSeqs.size > this.#idsMax) {
      const oldest = this.#firstSeqs.keys().next();
      if (!oldest.done) this.#firstSeqs.delete(oldest.value);
    }
    return false;
  }
}
