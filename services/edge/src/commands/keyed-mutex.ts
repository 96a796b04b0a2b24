/** Runs the tasks of one key one after the other, in the order of their calls. */
export class KeyedMutex {
  /** By key, the task that was called last. */
  readonly #last = new Map<string, Promise<unknown>>();

  /** Resolves and rejects as the task does. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const result = before.then(task);
    const settled = result
      .catch(() => {})
      .finally(() => {
        if (this.#last.get(key) === settled) this.#last.delete(key);
      });
    this.#last.set(key, settled);
    return result;
  }
}
