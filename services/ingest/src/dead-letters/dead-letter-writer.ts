import type { Clock } from '@tailrace/platform/clock';
import { type RetryItem, RetryQueue } from '../intake/retry-queue.ts';
import type { DeadLetter } from './dead-letter.ts';
import type { DeadLetters } from './dead-letters.ts';

export interface DeadLetterWriterOptions {
  readonly letters: Pick<DeadLetters, 'write'>;
  readonly clock: Pick<Clock, 'after'>;
  /** From 0 to 1. */
  readonly random?: () => number;
}

interface PendingLetter extends RetryItem {
  readonly letter: DeadLetter;
  readonly done: () => void;
}

/**
 * The dead letters of one source. What the log refuses for now is written again, see `RetryQueue`: the same object, so
 * that a further attempt takes no tokens of its source. The source limits what it writes.
 */
export class DeadLetterWriter {
  readonly #queue: RetryQueue<PendingLetter>;

  constructor({ letters, ...options }: DeadLetterWriterOptions) {
    const append = (item: PendingLetter) => {
      letters.write(item.letter, (error) => {
        // Closed: the process stops, and its message is not acknowledged.
        if (error === undefined || error.code === 'closed') this.#queue.done(item);
        else this.#queue.refused(item);
        if (error === undefined) item.done();
      });
    };
    this.#queue = new RetryQueue<PendingLetter>({ append, ...options });
  }

  /** Letters that the log does not have. */
  get size(): number {
    return this.#queue.size;
  }

  /** Calls `done` when the log has the letter, or it was dropped: then its message may be acknowledged. */
  write(letter: DeadLetter, done: () => void): void {
    this.#queue.add({ letter, done, bytes: letter.payload.length, order: 0 });
  }

  /** Writes nothing again from now on. `done` is not called for what the log does not have. */
  stop(): void {
    this.#queue.stop();
  }
}
