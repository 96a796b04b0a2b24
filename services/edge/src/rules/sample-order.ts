/** How long after the newest sample an older one is late, ms. Afterwards, the clock of the source was set back. */
export const lateMsMax = 10_000;

/** Distinguishes samples that come late from those of a clock that was set back, for one tag. */
export class SampleOrder {
  #latestTime = Number.NEGATIVE_INFINITY;
  /** When that was taken, monotonic ms. */
  #takenMs = 0;

  /**
   * Returns what a sample with this source time is: `next`; `late`: older than one of the last `lateMsMax`; or
   * `set_back`: it is older, and no newer one came since. Then it is the newest from now on. `nowMs`: monotonic.
   */
  take(time: number, nowMs: number): 'next' | 'late' | 'set_back' {
    const isOlder = time < this.#latestTime;
    if (isOlder && nowMs - this.#takenMs < lateMsMax) return 'late';
    this.#latestTime = time;
    this.#takenMs = nowMs;
    return isOlder ? 'set_back' : 'next';
  }
}
