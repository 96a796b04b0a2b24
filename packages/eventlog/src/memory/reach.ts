import type { Clock, Timer } from '@tailrace/platform/clock';

const retryFirstMs = 50;
const retryMaxMs = 5_000;

export interface ReachOptions {
  readonly clock: Clock;
  /** Why the log cannot be reached now; undefined where it can. */
  blocked(): Error | undefined;
  /** Called with the error at each try. */
  report(error: Error): void;
}

/** Whether one member of a connection reaches the log. While it does not, what needs the log waits and tries again. */
export class Reach {
  readonly #options: ReachOptions;
  #waiting: (() => void)[] = [];
  #timer: Timer | undefined;
  #failures = 0;
  #isClosed = false;

  constructor(options: ReachOptions) {
    this.#options = options;
  }

  /** Returns whether the log can be reached. If not, reports it and tries again: then `whenReached` resolves. */
  isOpen(): boolean {
    if (this.#isClosed) return true;
    if (this.#timer !== undefined) return false;
    const error = this.#options.blocked();
    if (error === undefined) {
      this.#failures = 0;
      this.release();
      return true;
    }
    this.#timer = this.#options.clock.after(Math.min(retryMaxMs, retryFirstMs * 2 ** this.#failures), () => {
      this.#timer = undefined;
      if (this.#waiting.length > 0) this.isOpen();
    });
    this.#failures = Math.min(this.#failures + 1, 10);
    this.#options.report(error);
    return false;
  }

  /** Resolves when the log is reached, or the wait is ended by `release`. */
  async whenReached(): Promise<void> {
    if (!this.isOpen()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** What blocked it may be over: tries at once, and if something else blocks it now, pauses as for the first time. */
  retry(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#failures = 0;
    if (this.#waiting.length > 0) this.isOpen();
  }

  /** The member is gone: nothing is held up any more. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.release();
  }

  /** Ends the waits, although the log is not reached. */
  release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
