import type { Clock, Timer } from '@tailrace/platform/clock';
import { backoffMs, noJitter } from '@tailrace/protocol/backoff';

const backoff = { baseMs: 50, capMs: 5_000 };

export interface ReachabilityOptions {
  readonly clock: Clock;
  /** Returns why the log is unreachable; undefined if it is reachable. */
  blocked(): Error | undefined;
  /** Called with the error at each attempt. */
  report(error: Error): void;
}

/** Whether one member of a connection can reach the log. Operations wait, with retries, while it cannot. */
export class Reachability {
  readonly #options: ReachabilityOptions;
  #waiting: (() => void)[] = [];
  #timer: Timer | undefined;
  #failures = 0;
  #isClosed = false;

  constructor(options: ReachabilityOptions) {
    this.#options = options;
  }

  /** Returns whether the log is reachable. If not, reports the error and retries until `whenReachable` resolves. */
  isOpen(): boolean {
    if (this.#isClosed) return true;
    if (this.#timer !== undefined) return false;
    const error = this.#options.blocked();
    if (error === undefined) {
      this.#failures = 0;
      this.release();
      return true;
    }
    this.#timer = this.#options.clock.after(backoffMs(this.#failures++, noJitter, backoff), () => {
      this.#timer = undefined;
      if (this.#waiting.length > 0) this.isOpen();
    });
    this.#options.report(error);
    return false;
  }

  /** Resolves when the log is reachable, or at `release`. */
  async whenReachable(): Promise<void> {
    if (!this.isOpen()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Retries at once, with the backoff of a first attempt: the cause of the error may have gone. */
  retry(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#failures = 0;
    if (this.#waiting.length > 0) this.isOpen();
  }

  /** Stops to wait: the member has stopped. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.release();
  }

  /** Resolves all waits, although the log is unreachable. */
  release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
