/**
 * An asynchronous mutex, first in, first out. The subscriptions of one client catch up one at a time, so that it is
 * charged for the memory of one.
 */
export class Mutex {
  #taken = false;
  /** Created on the first wait, because every connection has a mutex. */
  #waiting: (() => void)[] | undefined;

  /** Returns undefined if the mutex was free and is taken now; else resolves when it is taken. To be released. */
  take(): Promise<void> | undefined {
    if (this.#taken) {
      this.#waiting ??= [];
      const waiting = this.#waiting;
      return new Promise((resolve) => waiting.push(resolve));
    }
    this.#taken = true;
    return undefined;
  }

  release(): void {
    const next = this.#waiting?.shift();
    if (next === undefined) this.#taken = false;
    else next();
  }
}
