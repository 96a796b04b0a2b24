/** A sample of a number. Times in ms. */
export interface Point {
  readonly time: number;
  readonly value: number;
}

/**
 * Swinging door compression (E. H. Bristol, US patent 4,669,097, 1987, expired): keeps the samples between which a
 * straight line is at most `deviation` from every sample that was left out.
 *
 * The pivot is the last sample that was sent. Each further one narrows the slopes [lowest, highest] of the lines
 * through the pivot that pass all samples since within the deviation. While the line to the newest sample has such a
 * slope, the sample is held. The first one that has not is a break: the held sample is sent, since the line from the
 * pivot to it has a slope of all before, and then the new one, so that a screen shows the break at once.
 *
 * A line goes from one real sample to another: with a corrected value at its end, the error could be twice as large.
 */
export class SwingingDoor {
  readonly #deviation: number;
  #pivot: Point | undefined;
  #lowest = Number.NEGATIVE_INFINITY;
  #highest = Number.POSITIVE_INFINITY;

  /** `deviation`: in the unit of the value, above 0. */
  constructor(deviation: number) {
    this.#deviation = deviation;
  }

  /** This sample was sent: the next line starts at it. */
  restart(point: Point): void {
    this.#pivot = point;
    this.#lowest = Number.NEGATIVE_INFINITY;
    this.#highest = Number.POSITIVE_INFINITY;
  }

  /**
   * Returns whether the sample is held, in place of the one before. If not, the caller sends the one that is held, then
   * the sample, and calls `restart` with it. Expects times that never decrease.
   */
  hold(point: Point): boolean {
    const pivot = this.#pivot;
    if (pivot === undefined || point.time <= pivot.time) return false;
    const duration = point.time - pivot.time;
    const slope = (point.value - pivot.value) / duration;
    if (slope < this.#lowest || slope > this.#highest) return false;
    this.#lowest = Math.max(this.#lowest, (point.value - this.#deviation - pivot.value) / duration);
    this.#highest = Math.min(this.#highest, (point.value + this.#deviation - pivot.value) / duration);
    return true;
  }
}
