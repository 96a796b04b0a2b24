import { isTailraceError, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';

export interface BatchesOptions<Item, Result> {
  /**
   * Does all of the items, in one statement or transaction. Resolves with the result of each, in their order; a
   * TailraceError rejects that item alone.
   */
  readonly run: (items: readonly Item[]) => Promise<readonly (Result | TailraceError)[]>;
  /** Items of one batch. Default: 100. */
  readonly itemsMax?: number;
  /** Items that wait; beyond it `add` rejects with `limit_reached`. Default: none, because the callers are bounded. */
  readonly waitingMax?: number;
}

interface Waiting<Item, Result> {
  readonly item: Item;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/** Errors that may be of one item, such as a violated constraint. All others are of the database. */
const codesOfItems: ReadonlySet<string> = new Set(['conflict', 'invalid_message', 'too_large', 'internal']);

/**
 * Does together what arrives together: while a batch is in progress, items collect for the next one. So an item alone
 * waits for nothing, and the more of them arrive, the fewer statements and commits each one costs. Batches follow each
 * other, so that items are done in the order of the calls. As the group commit of a database.
 */
export class Batches<Item, Result> {
  readonly #options: BatchesOptions<Item, Result>;
  #waiting: Waiting<Item, Result>[] = [];
  #isRunning = false;

  constructor(options: BatchesOptions<Item, Result>) {
    this.#options = options;
  }

  /** Items that wait for the batch in progress. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Resolves and rejects with the result of an item, when its batch is done. */
  add(item: Item): Promise<Result> {
    const { waitingMax = Number.POSITIVE_INFINITY } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    if (this.#waiting.length < waitingMax) this.#waiting.push({ item, resolve, reject });
    else {
      const text = `expected at most ${waitingMax} waiting requests, got one more; try again later`;
      reject(new TailraceError('limit_reached', text, { retryable: true }));
    }
    if (!this.#isRunning) void this.#runAll();
    return promise;
  }

  async #runAll(): Promise<void> {
    this.#isRunning = true;
    // For the other items of this moment.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#run(this.#waiting.splice(0, this.#options.itemsMax ?? 100));
    this.#isRunning = false;
  }

  /** Never rejects. */
  async #run(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#options.run(batch.map(({ item }) => item));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const result = results[index]!;
        if (isTailraceError(result)) reject(result);
        else resolve(result);
      }
    } catch (error) {
      const { code, retryable } = tailraceErrorFrom(error);
      // One item alone may have failed it.
      if (batch.length > 1 && !retryable && codesOfItems.has(code)) for (const each of batch) await this.#run([each]);
      else for (const { reject } of batch) reject(error);
    }
  }
}
