/** Load at which the table grows: an entry of eight bytes takes 11 to 23. */
const loadMax = 0.7;
const slotsMin = 64;

/**
 * A set of 64-bit hashes, none of them 0, by open addressing with linear probing (Knuth, TAOCP volume 3, section 6.4,
 * algorithm L). Hashes cannot be removed.
 */
export class HashSet {
  size = 0;
  #slots: Uint32Array;

  /** `sizeHint`: the expected size. */
  constructor(sizeHint = 0) {
    let slots = slotsMin;
    while (slots * loadMax < sizeHint) slots *= 2;
    this.#slots = new Uint32Array(2 * slots);
  }

  /** Bytes of the table. */
  get bytes(): number {
    return this.#slots.byteLength;
  }

  has(high: number, low: number): boolean {
    return this.#isTaken(this.#find(high, low));
  }

  /** Returns false if the set has the hash already. */
  add(high: number, low: number): boolean {
    let at = this.#find(high, low);
    if (this.#isTaken(at)) return false;
    if (2 * (this.size + 1) > this.#slots.length * loadMax) {
      this.#grow();
      at = this.#find(high, low);
    }
    this.#slots[at] = high;
    this.#slots[at + 1] = low;
    this.size++;
    return true;
  }

  #isTaken(at: number): boolean {
    return (this.#slots[at]! | this.#slots[at + 1]!) !== 0;
  }

  /** Returns the index of the hash, or of the free slot where it belongs. */
  #find(high: number, low: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let at = (2 * low) & mask; ; at = (at + 2) & mask) {
      const thereHigh = slots[at]!;
      const thereLow = slots[at + 1]!;
      if ((thereHigh === high && thereLow === low) || (thereHigh | thereLow) === 0) return at;
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(2 * old.length);
    for (let from = 0; from < old.length; from += 2) {
      const high = old[from]!;
      const low = old[from + 1]!;
      if ((high | low) === 0) continue;
      const to = this.#find(high, low);
      this.#slots[to] = high;
      this.#slots[to + 1] = low;
    }
  }
}
