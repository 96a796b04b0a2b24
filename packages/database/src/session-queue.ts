import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';

export interface SessionQueueOptions {
  readonly clock: Clock;
  readonly waitingMax: number;
  readonly acquireTimeoutMs: number;
}

/** A queue for the one connection of an embedded store, first come first served. */
export class SessionQueue {
  readonly #options: SessionQueueOptions;
  readonly #waiting = new Set<() => void>();
  #isBusy = false;
  #refused = 0;

  constructor(options: SessionQueueOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  get refused(): number {
    return this.#refused;
  }

  /** Resolves with a function that passes the connection on. Rejects with `limit_reached` and `timeout`. */
  async acquire(): Promise<() => void> {
    if (this.#isBusy) await this.#turn();
    this.#isBusy = true;
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#isBusy = false;
      const [next] = this.#waiting;
      if (next === undefined) return;
      // At once, because that caller continues only after this function.
      this.#waiting.delete(next);
      this.#isBusy = true;
      next();
    };
  }

  async #turn(): Promise<void> {
    const { clock, waitingMax, acquireTimeoutMs } = this.#options;
    if (this.#waiting.size >= waitingMax) {
      this.#refused++;
      throw waitingFull(waitingMax);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    const timer = clock.after(acquireTimeoutMs, () => {
      this.#waiting.delete(resolve);
      this.#refused++;
      reject(waitedTooLong(acquireTimeoutMs));
    });
    try {
      await promise;
    } finally {
      timer.cancel();
    }
  }
}

export function waitingFull(waitingMax: number): TailraceError {
  const text = `database: expected at most ${waitingMax} waiting calls, got one more; try again later`;
  return new TailraceError('limit_reached', text, { retryable: true });
}

export function waitedTooLong(acquireTimeoutMs: number): TailraceError {
  return new TailraceError(
    'timeout',
    `database: no free connection within ${acquireTimeoutMs} ms; a statement inside of a transaction must go through that`,
  );
}
