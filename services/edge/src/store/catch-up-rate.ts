export interface CatchUpRateOptions {
  /** Most readings per second of the backlog. */
  readonly readingsPerSecondMax: number;
  /** Readings per second of what is live, at the start. */
  readonly liveReadingsPerSecond: number;
  /** Monotonic ms. */
  readonly nowMs: number;
}

const rateMin = 1_000;
const ackMsMax = 500;
const waitMsMax = 1_000;
const secondMs = 1_000;
/** Acknowledgements of one second, at 8 batches in flight of 5 ms each. */
const acksMax = 2_000;

/**
 * How fast a backlog is sent, so that live readings are not late: a token bucket whose rate starts at twice the live
 * rate, and grows by a quarter each second. It halves after a second in which live readings were late: 5 % of their
 * acknowledgements took over 500 ms, one waited for over a second, or the receiver asked to slow down. (Additive
 * increase would take minutes after ten minutes without a link; a rate that is too high is corrected within a second.)
 */
export class CatchUpRate {
  readonly #max: number;
  #rate: number;
  #tokens: number;
  #refilledMs: number;
  #secondStartMs: number;
  #acksMs: number[] = [];
  #isLate = false;

  constructor({ readingsPerSecondMax, liveReadingsPerSecond, nowMs }: CatchUpRateOptions) {
    this.#max = Math.max(rateMin, readingsPerSecondMax);
    this.#rate = Math.min(Math.max(2 * liveReadingsPerSecond, rateMin), this.#max);
    this.#tokens = this.#rate / 4;
    this.#refilledMs = nowMs;
    this.#secondStartMs = nowMs;
  }

  /** Readings per second. */
  get rate(): number {
    return this.#rate;
  }

  /** Whether a batch of the backlog may be sent now. Its readings are counted by `sent`. */
  maySend(nowMs: number): boolean {
    this.#endSecond(nowMs);
    this.#tokens = Math.min(this.#rate / 4, this.#tokens + (this.#rate * (nowMs - this.#refilledMs)) / secondMs);
    this.#refilledMs = nowMs;
    return this.#tokens > 0;
  }

  /** A batch may have more readings than there are tokens: then the next one waits for longer. */
  sent(readings: number): void {
    this.#tokens -= readings;
  }

  /** A batch of live readings was acknowledged. */
  liveAcked(afterMs: number): void {
    if (this.#acksMs.length < acksMax) this.#acksMs.push(afterMs);
  }

  /** A live report had to wait for a place to be sent. */
  liveWaited(waitedMs: number): void {
    if (waitedMs > waitMsMax) this.#isLate = true;
  }

  /** The receiver refuses for now: 429, 503, close code 1013, or a window that is closed. */
  slowDown(): void {
    this.#isLate = true;
  }

  /** Adjusts the rate once a second, also after seconds without a call. */
  #endSecond(nowMs: number): void {
    const seconds = Math.floor((nowMs - this.#secondStartMs) / secondMs);
    if (seconds === 0) return;
    this.#secondStartMs += seconds * secondMs;
    const sorted = this.#acksMs.sort((a, b) => a - b);
    const isLate = this.#isLate || (sorted[Math.ceil(0.95 * sorted.length) - 1] ?? 0) > ackMsMax;
    this.#acksMs = [];
    this.#isLate = false;
    this.#rate = isLate ? Math.max(rateMin, this.#rate / 2) : Math.min(this.#max, 1.25 * this.#rate);
  }
}
