import type { LogRecord } from '@tailrace/eventlog/event-log';

/** Records worked through at a time: about a millisecond. */
const recordsPerTurn = 250;
/** So often in one turn of the event loop, of all partitions together. */
const grantsPerTurn = 4;

/**
 * Turns of the event loop, shared by all that read back: a node that takes over twenty partitions at once must not
 * spend twenty milliseconds on them in each turn. First come, first served.
 */
export class SharedTurns {
  readonly #defer: (call: () => void) => void;
  readonly #waiting: (() => void)[] = [];
  #isDeferred = false;

  /** `defer` calls once in a later turn of the event loop, after what is ready now. */
  constructor(defer: (call: () => void) => void) {
    this.#defer = defer;
  }

  /** Resolves in a later turn of the event loop. */
  take(): Promise<void> {
    const turn = new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#arm();
    return turn;
  }

  #arm(): void {
    if (this.#isDeferred) return;
    this.#isDeferred = true;
    this.#defer(() => {
      this.#isDeferred = false;
      for (const resolve of this.#waiting.splice(0, grantsPerTurn)) resolve();
      if (this.#waiting.length > 0) this.#arm();
    });
  }
}

/**
 * Batches a little at a time, with a turn of the event loop between: what is read back is much at once, and clients
 * wait for what comes now.
 */
export async function* inTurns(
  batches: AsyncIterable<readonly LogRecord[]>,
  turn: () => Promise<void>,
): AsyncIterable<readonly LogRecord[]> {
  let isFirst = true;
  for await (const batch of batches) {
    for (let from = 0; from < batch.length; from += recordsPerTurn) {
      if (!isFirst) await turn();
      isFirst = false;
      yield from === 0 && batch.length <= recordsPerTurn ? batch : batch.slice(from, from + recordsPerTurn);
    }
  }
}
