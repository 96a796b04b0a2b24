const bucketMs = 0.1;
const bucketsMax = 100_000;

/** Delays by tenths of a millisecond, up to 10 s: of any number of messages, in memory that does not grow with it. */
export class DelayCounts {
  readonly #counts = new Uint32Array(bucketsMax + 1);
  #total = 0;
  #mostMs = 0;

  get total(): number {
    return this.#total;
  }

  /** The longest delay, ms; 0 without any. */
  get mostMs(): number {
    return this.#mostMs;
  }

  add(delayMs: number): void {
    const bucket = Math.min(bucketsMax, Math.max(0, Math.floor(delayMs / bucketMs)));
    this.#counts[bucket]!++;
    this.#total++;
    if (delayMs > this.#mostMs) this.#mostMs = delayMs;
  }

  /**
   * Returns the delay, ms, that a share (0 to 1) of all delays does not exceed; NaN without any. Beyond 10 s it is the
   * longest of all.
   */
  percentile(share: number): number {
    if (this.#total === 0) return Number.NaN;
    let left = Math.max(1, Math.ceil(this.#total * share));
    for (let bucket = 0; bucket < bucketsMax; bucket++) {
      left -= this.#counts[bucket]!;
      if (left <= 0) return Math.min((bucket + 1) * bucketMs, this.#mostMs);
    }
    return this.#mostMs;
  }

  /** Returns the counts for another process. */
  toJson(): DelayCountsJson {
    const counts: [number, number][] = [];
    for (const [bucket, count] of this.#counts.entries()) if (count > 0) counts.push([bucket, count]);
    return { counts, mostMs: this.#mostMs };
  }

  /** Adds those of another process. */
  addAll({ counts, mostMs }: DelayCountsJson): void {
    for (const [bucket, count] of counts) {
      this.#counts[bucket]! += count;
      this.#total += count;
    }
    this.#mostMs = Math.max(this.#mostMs, mostMs);
  }
}

export interface DelayCountsJson {
  /** Bucket and count, without empty buckets. */
  readonly counts: readonly (readonly [bucket: number, count: number])[];
  readonly mostMs: number;
}
