/**
 * A limit of this process of which one sender uses half at most, so that it cannot lock out the others. Senders are
 * named by a key: the identity of their token, or their tenant.
 */
export class SharedLimit {
  readonly max: number;
  readonly ofOneMax: number;
  #used = 0;
  /** Above 0. */
  readonly #byKey = new Map<string, number>();

  /** `ofOneMax`: default half. */
  constructor(max: number, ofOneMax = Math.ceil(max / 2)) {
    this.max = max;
    this.ofOneMax = ofOneMax;
  }

  get used(): number {
    return this.#used;
  }

  /** Returns the most that one sender uses. For metrics. */
  mostOfOne(): number {
    let most = 0;
    for (const used of this.#byKey.values()) most = Math.max(most, used);
    return most;
  }

  usedBy(key: string): number {
    return this.#byKey.get(key) ?? 0;
  }

  /** Returns what a sender may use if `amount` more are too many; undefined: they are within the limits. */
  exceeded(key: string, amount = 1): { readonly max: number; readonly of: 'one sender' | 'all senders' } | undefined {
    if (this.#used + amount > this.max) return { max: this.max, of: 'all senders' };
    return this.usedBy(key) + amount > this.ofOneMax ? { max: this.ofOneMax, of: 'one sender' } : undefined;
  }

  /** Counts `amount` more, or less where it is negative, whatever the limits are. */
  add(key: string, amount = 1): void {
    this.#used += amount;
    const used = this.usedBy(key) + amount;
    if (used > 0) this.#byKey.set(key, used);
    else this.#byKey.delete(key);
  }
}
