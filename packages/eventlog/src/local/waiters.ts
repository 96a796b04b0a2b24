/** Those who wait for the same thing; all go on when it happens. */
export class Waiters {
  #calls: (() => void)[] = [];

  wait(): Promise<void> {
    return new Promise((resolve) => this.#calls.push(resolve));
  }

  release(): void {
    if (this.#calls.length === 0) return;
    const calls = this.#calls;
    this.#calls = [];
    for (const call of calls) call();
  }
}
