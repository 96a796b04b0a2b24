import type { TailraceError } from '@tailrace/protocol/error';
import type { Delivery } from '@tailrace/protocol/report';

/** The subscription of a buffer. */
export interface BufferSource {
  /** Pauses: the buffer is full. */
  hold(): void;
  /** Unsubscribes: the buffer has four times its limit, from reports in flight. */
  shed(): void;
  /** Resumes: the buffer is half empty. */
  release(): void;
  /** Called when the program leaves the loop. */
  leave(): void;
}

interface Batch {
  readonly reports: readonly Delivery[];
  /** Called when the loop has consumed the batch. */
  readonly onConsumed: () => void;
}

type Result = IteratorResult<Delivery, undefined>;

/**
 * The buffer between a subscription and its `for await` loop. When it is full, the server pauses, so that a slow loop
 * loses no report. Positions advance by whole frames, because within a frame the order is by device.
 */
export class ReportBuffer implements AsyncIterableIterator<Delivery, undefined, undefined> {
  readonly #source: BufferSource;
  readonly #reportsMax: number;
  readonly #batches: Batch[] = [];
  /** Number of consumed reports of the first batch. */
  #consumed = 0;
  #size = 0;
  #level: 'open' | 'held' | 'shed' = 'open';
  #waiters: { resolve: (result: Result) => void; reject: (error: TailraceError) => void }[] = [];
  #closed: { readonly error: TailraceError | undefined } | undefined;

  constructor(source: BufferSource, reportsMax: number) {
    this.#source = source;
    this.#reportsMax = Math.max(1, reportsMax);
  }

  /** Number of buffered reports. */
  get size(): number {
    return this.#size;
  }

  push(reports: readonly Delivery[], onConsumed: () => void): void {
    if (this.#closed !== undefined) return;
    this.#batches.push({ reports, onConsumed });
    this.#size += reports.length;
    while (this.#waiters.length > 0) {
      const report = this.#shift();
      if (report === undefined) break;
      this.#waiters.shift()?.resolve({ done: false, value: report });
    }
    if (this.#level === 'open' && this.#size >= this.#reportsMax) {
      this.#level = 'held';
      this.#source.hold();
    } else if (this.#level === 'held' && this.#size >= 4 * this.#reportsMax) {
      this.#level = 'shed';
      this.#source.shed();
    }
  }

  /** Completes the loop, or fails it with the error, after it has consumed the buffered reports. */
  close(error?: TailraceError): void {
    this.#closed ??= { error };
    for (const waiter of this.#waiters.splice(0)) {
      if (error === undefined) waiter.resolve({ done: true, value: undefined });
      else waiter.reject(error);
    }
  }

  next(): Promise<Result> {
    const value = this.#shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#closed?.error !== undefined) return Promise.reject(this.#closed.error);
    if (this.#closed !== undefined) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  return(): Promise<Result> {
    this.#batches.length = 0;
    this.#size = 0;
    this.close();
    this.#source.leave();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #shift(): Delivery | undefined {
    for (let first = this.#batches[0]; first !== undefined; first = this.#batches[0]) {
      const report = first.reports[this.#consumed];
      if (report !== undefined) this.#consumed++;
      if (this.#consumed >= first.reports.length) {
        this.#batches.shift();
        this.#consumed = 0;
        first.onConsumed();
      }
      if (report === undefined) continue;
      this.#size--;
      if (this.#level !== 'open' && this.#size <= this.#reportsMax / 2) {
        this.#level = 'open';
        this.#source.release();
      }
      return report;
    }
    return undefined;
  }
}
