/**
 * The message IDs a partition has seen of late, so that a report which a sender's retry wrote twice is delivered once.
 * Remembers the newest `idsMax` of them; a retry that comes later than that many other reports is not recognised.
 * Depends on nothing but the records and their order: every node that reads the partition decides alike.
 */
export class RecentIds {
  readonly #idsMax: number;
  readonly #firstSeqs = new Map<string, number>();

  constructor(idsMax: number) {
    this.#idsMax = idsMax;
  }

  /** For reading a bounded number of records again: knows what is known here, and what it notes pushes out nothing. */
  fork(): RecentIds {
    const fork = new RecentIds(Number.POSITIVE_INFINITY);
    for (const [key, seq] of this.#firstSeqs) fork.#firstSeqs.set(key, seq);
    return fork;
  }

  get size(): number {
    return this.#firstSeqs.size;
  }

  /** Notes the ID, and says whether this record repeats an earlier one. Safe to ask again of the same record. */
  repeats(device: string, id: string, seq: number): boolean {
    // No path holds a blank, so that no other pair of device and ID makes the same key.
    const key = `${device} ${id}`;
    const first = this.#firstSeqs.get(key);
    if (first !== undefined) return first < seq;
    this.#firstSeqs.set(key, seq);
    if (this.#firstSeqs.size > this.#idsMax) {
      const oldest = this.#firstSeqs.keys().next();
      if (!oldest.done) this.#firstSeqs.delete(oldest.value);
    }
    return false;
  }
}
