import type { Logger } from '@tailrace/platform/logger';

/** A warning that clients can cause: logged at most once in `everyMs`, with the number of those left out since. */
export class LimitedWarning {
  readonly #warn: Logger['warn'];
  readonly #message: string;
  readonly #everyMs: number;
  /** Monotonic ms. */
  readonly #now: () => number;
  #lastMs = Number.NEGATIVE_INFINITY;
  #leftOut = 0;

  constructor(warn: Logger['warn'], message: string, everyMs: number, now: () => number) {
    this.#warn = warn;
    this.#message = message;
    this.#everyMs = everyMs;
    this.#now = now;
  }

  /** Logs the warning. `facts` is called only if it is logged. */
  write(facts: () => object): void {
    const nowMs = this.#now();
    if (nowMs - this.#lastMs < this.#everyMs) {
      this.#leftOut++;
      return;
    }
    const leftOut = this.#leftOut === 0 ? {} : { leftOut: this.#leftOut };
    this.#lastMs = nowMs;
    this.#leftOut = 0;
    this.#warn({ ...facts(), ...leftOut }, this.#message);
  }
}
