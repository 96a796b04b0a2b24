import type { Logger } from '@tailrace/platform/logger';

/**
 * A line of the log that a stranger may cause: at most one in so many ms, with the number of those that were left out.
 */
export class LimitedWarning {
  readonly #warn: Logger['warn'];
  readonly #sentence: string;
  readonly #everyMs: number;
  /** Monotonic ms. */
  readonly #now: () => number;
  #lastMs = Number.NEGATIVE_INFINITY;
  #leftOut = 0;

  constructor(warn: Logger['warn'], sentence: string, everyMs: number, now: () => number) {
    this.#warn = warn;
    this.#sentence = sentence;
    this.#everyMs = everyMs;
    this.#now = now;
  }

  /** `facts` is called only where the line is written. */
  write(facts: () => object): void {
    const nowMs = this.#now();
    if (nowMs - this.#lastMs < this.#everyMs) {
      this.#leftOut++;
      return;
    }
    const leftOut = this.#leftOut === 0 ? {} : { leftOut: this.#leftOut };
    this.#lastMs = nowMs;
    this.#leftOut = 0;
    this.#warn({ ...facts(), ...leftOut }, this.#sentence);
  }
}
