import { RecentIds } from './recent-ids.ts';

export interface IdLimits {
  /** How long a message ID is remembered, ms; see `RecentIds`. */
  readonly idWindowMs: number;
  /** Message IDs that are remembered together. */
  readonly idsMax: number;
}

/** The message IDs that a node remembers, of all its partitions together. */
export class IdMemory {
  /** Remembered now. */
  ids = 0;
  readonly limits: IdLimits;
  /** Time buckets forgotten before their time, because there were more IDs than `idsMax`. */
  readonly counts = { forgotten: 0 };
  /** Epoch ms. */
  readonly now: () => number;
  /** Of the hashes. Each process has its own key. */
  readonly keyHigh: number;
  readonly keyLow: number;
  readonly #holders = new Set<RecentIds>();

  constructor(
    limits: IdLimits,
    now: () => number,
    key: ArrayLike<number> = crypto.getRandomValues(new Uint32Array(2)),
  ) {
    this.limits = { idWindowMs: limits.idWindowMs, idsMax: limits.idsMax };
    this.now = now;
    this.keyHigh = key[0]!;
    this.keyLow = key[1]!;
  }

  /**
   * For a reader of a range, or for what may not be used in the end: at most `idsMax` IDs, which do not count among
   * these before `settle`.
   */
  apart(idsMax: number = this.limits.idsMax): RecentIds {
    const memory = new IdMemory({ ...this.limits, idsMax }, this.now, [this.keyHigh, this.keyLow]);
    return new RecentIds(memory, this);
  }

  /** One more is remembered. */
  take(holder: RecentIds): void {
    this.#holders.add(holder);
    this.ids++;
    if (this.ids > this.limits.idsMax) this.#shrink();
  }

  /** What was remembered apart. */
  takeAll(holder: RecentIds): void {
    this.#holders.add(holder);
    this.ids += holder.size;
    this.#shrink();
  }

  /** So many are forgotten. */
  give(holder: RecentIds, ids: number): void {
    this.ids -= ids;
    if (holder.size === 0) this.#holders.delete(holder);
  }

  /** Of the partition that looks back least: how far, at most `idWindowMs`; ms. */
  heldMs(): number {
    let heldMs = this.limits.idWindowMs;
    for (const holder of this.#holders) heldMs = Math.min(heldMs, holder.heldMs());
    return heldMs;
  }

  /** The partition with most forgets its oldest. */
  #shrink(): void {
    while (this.ids > this.limits.idsMax) {
      let most: RecentIds | undefined;
      for (const each of this.#holders) if (most === undefined || each.size > most.size) most = each;
      if (most === undefined) return;
      this.counts.forgotten++;
      most.forgetOldest();
    }
  }
}
