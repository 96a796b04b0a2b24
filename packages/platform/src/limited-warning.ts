import type { Logger } from './logger.ts';

/**
 * A warning that may repeat many times a second, as clients or an outage cause it. It is logged at once, then at most
 * once in `everyMs`, with the number of those that were suppressed since.
 */
export class LimitedWarning {
  readonly #log: Logger['warn'];
  readonly #message: string;
  readonly #everyMs: number;
  /** Monotonic ms. */
  readonly #now: () => number;
  #lastMs = Number.NEGATIVE_INFINITY;
  #suppressed = 0;

  /** `log`: `warn` or `error` of a logger, bound to it. */
  constructor(log: Logger['warn'], message: string, everyMs: number, now: () => number) {
    this.#log = log;
    this.#message = message;
    this.#everyMs = everyMs;
    this.#now = now;
  }

  /** Logs the warning. `facts` is called only if it is logged. */
  write(facts: () => object): void {
    const nowMs = this.#now();
    if (nowMs - this.#lastMs < this.#everyMs) {
      this.#suppressed++;
      return;
    }
    const suppressed = this.#suppressed === 0 ? {} : { suppressed: this.#suppressed };
    this.#lastMs = nowMs;
    this.#suppressed = 0;
    this.#log({ ...facts(), ...suppressed }, this.#message);
  }
}
