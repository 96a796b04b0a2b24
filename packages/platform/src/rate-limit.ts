/**
 * A rate limit with a burst: the generic cell rate algorithm (GCRA, ITU-T I.371, annex A). The state of a client is one
 * number, the TAT of the algorithm, which the caller keeps: the time at which the next event would be due at the even
 * rate, monotonic ms. Initially 0.
 *
 * Worked example: 10 a second, a burst of 2. At 1,000 ms the first event is accepted (TAT 1,100), then the second
 * (1,200). A third is refused until 1,100 ms, when the TAT is at most one interval ahead.
 */
export class RateLimit {
  readonly perSecond: number;
  readonly burst: number;
  readonly #intervalMs: number;

  constructor(perSecond: number, burst: number) {
    this.perSecond = perSecond;
    this.burst = burst;
    this.#intervalMs = 1_000 / perSecond;
  }

  /**
   * Returns the TAT after `count` more events at `nowMs`; undefined: all of them are refused, and the TAT does not
   * change. More events than the burst are accepted once the full burst is available, so that they are not refused for
   * ever; the following ones wait for as long as all take at the even rate.
   */
  take(tatMs: number, nowMs: number, count = 1): number | undefined {
    const from = tatMs > nowMs ? tatMs : nowMs;
    const free = count < this.burst ? this.burst - count : 0;
    return from - nowMs > free * this.#intervalMs + 1e-6 ? undefined : from + count * this.#intervalMs;
  }

  /** Returns how long after `nowMs` the events are accepted, ms; 0: now. */
  waitMs(tatMs: number, nowMs: number, count = 1): number {
    const free = count < this.burst ? this.burst - count : 0;
    return Math.max(0, tatMs - nowMs - free * this.#intervalMs);
  }

  /** Returns the number of events that would be accepted at `nowMs`; `burst` after a long pause. */
  left(tatMs: number, nowMs: number): number {
    return Math.max(0, Math.floor(this.burst - Math.max(0, tatMs - nowMs) / this.#intervalMs + 1e-6));
  }

  /** Whether the full burst is available again: the state may be forgotten. */
  hasFullBurst(tatMs: number, nowMs: number): boolean {
    return tatMs <= nowMs;
  }
}
