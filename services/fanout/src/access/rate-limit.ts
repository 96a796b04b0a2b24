/**
 * So many a second, and so many at once after a pause: the generic cell rate algorithm (ITU-T I.371, annex A). What it knows of somebody is
 * one number, the mark, which the caller keeps: the time at which all that was taken would have come at the even rate. 0 to begin with.
 *
 * Worked example: 10 a second, a burst of 2. At 1,000 ms a first is taken (mark 1,100), then a second (1,200); a third is refused until
 * 1,100 ms, when the mark is no more than one interval ahead.
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

  /** The mark after one more at `nowMs` (monotonic); undefined: it is one too many, and the mark stays as it was. */
  take(mark: number, nowMs: number): number | undefined {
    const from = mark > nowMs ? mark : nowMs;
    return from - nowMs > (this.burst - 1) * this.#intervalMs + 1e-6 ? undefined : from + this.#intervalMs;
  }

  /** How many more would be taken at this moment: `burst` for somebody who has been quiet. */
  left(mark: number, nowMs: number): number {
    return Math.max(0, Math.floor(this.burst - Math.max(0, mark - nowMs) / this.#intervalMs + 1e-6));
  }

  /** Whether the mark says nothing any more: nothing need be remembered of him. */
  isOver(mark: number, nowMs: number): boolean {
    return mark <= nowMs;
  }
}
