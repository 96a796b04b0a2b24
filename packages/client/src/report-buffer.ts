import type { TailraceError } from '@tailrace/protocol/error';
import type { Delivery } from '@tailrace/protocol/report';

/** What a buffer asks of its subscription. */
export interface BufferSource {
  /** As many wait as may: no more, please. */
  hold(): void;
  /** Four times as many wait: what was on its way is too much, and must not be taken at all. */
  shed(): void;
  /** Half are gone: go on. */
  release(): void;
  /** The loop was left. */
  leave(): void;
}

interface Batch {
  readonly reports: readonly Delivery[];
  /** Notes that the program has come past it. */
  readonly passed: () => void;
}

type Result = IteratorResult<Delivery, undefined>;

/**
 * Between a subscription and its `for await` loop. It is bounded by asking the server to pause, so that a loop that is too slow loses nothing. What
 * a position says counts by whole frames, because within one the order is by device.
 */
export class ReportBuffer implements AsyncIterableIterator<Delivery, undefined, undefined> {
  readonly #source: BufferSource;
  readonly #reportsMax: number;
  readonly #batches: Batch[] = [];
  /** Of the first batch, how many are taken. */
  #taken = 0;
  #size = 0;
  #level: 'open' | 'held' | 'shed' = 'open';
  #waiters: { resolve: (result: Result) => void; reject: (error: TailraceError) => void }[] = [];
  #over: { readonly error: TailraceError | undefined } | undefined;

  constructor(source: BufferSource, reportsMax: number) {
    this.#source = source;
    this.#reportsMax = Math.max(1, reportsMax);
  }

  /** Reports that wait. */
  get size(): number {
    return this.#size;
  }

  push(reports: readonly Delivery[], passed: () => void): void {
    if (this.#over !== undefined) return;
    this.#batches.push({ reports, passed });
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

  /** What waits is still handed out, then the loop ends, or fails. */
  end(error?: TailraceError): void {
    this.#over ??= { error };
    for (const waiter of this.#waiters.splice(0)) {
      if (error === undefined) waiter.resolve({ done: true, value: undefined });
      else waiter.reject(error);
    }
  }

  next(): Promise<Result> {
    const value = this.#shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#over?.error !== undefined) return Promise.reject(this.#over.error);
    if (this.#over !== undefined) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  return(): Promise<Result> {
    this.#batches.length = 0;
    this.#size = 0;
    this.end();
    this.#source.leave();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #shift(): Delivery | undefined {
    for (let first = this.#batches[0]; first !== undefined; first = this.#batches[0]) {
      const report = first.reports[this.#taken];
      if (report !== undefined) this.#taken++;
      if (this.#taken >= first.reports.length) {
        this.#batches.shift();
        this.#taken = 0;
        first.passed();
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
