/**
 * Runs the tasks of one key one after the other, in the order of their calls: each when the one before has settled, or
 * has called `release`.
 */
export class KeyedMutex {
  /** By key, the task that was called last. */
  readonly #last = new Map<string, Promise<unknown>>();

  /** Resolves and rejects as the task does. */
  run<T>(key: string, task: (release: () => void) => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const result = before.then(() => task(release));
    const settled = Promise.race([result.catch(() => {}), released]).finally(() => {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    });
    this.#last.set(key, settled);
    return result;
  }
}
