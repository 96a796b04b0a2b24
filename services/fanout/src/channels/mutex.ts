/** One at a time, in the order of asking: what the subscriptions of one client hold in memory while they catch up is not held for all of them at once. */
export class Mutex {
  #taken = false;
  /** Made when somebody waits first: every connection has one of these. */
  #waiting: (() => void)[] | undefined;

  /** Undefined: it is yours. Else resolves when it is. `release` it. */
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
