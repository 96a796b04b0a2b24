import type { Clock, Timer } from '@tailrace/platform/clock';

export interface PendingBytesOptions {
  clock: Clock;
  /** A round trip to the server. */
  flush(): Promise<void>;
}

const confirmBytes = 64 * 1024;
const confirmMs = 100;

/**
 * Counts the bytes that were passed to the client library and may still be in this process: the library neither bounds
 * its send buffer nor reports its size. A round trip to the server (PING, PONG) proves that everything before it was
 * sent. At most one is under way. It starts at once when `confirmBytes` are pending, else after `confirmMs`. The cost
 * is one PING per 64 KB or 100 ms, whichever is rarer.
 */
export class PendingBytes {
  readonly #options: PendingBytesOptions;
  #bytes = 0;
  #closeReason: Error | undefined;
  #isConfirming = false;
  #timer: Timer | undefined;
  #waiters: { bytes: number; resolve(): void; reject(reason: Error): void }[] = [];

  constructor(options: PendingBytesOptions) {
    this.#options = options;
  }

  /** Bytes added and not yet confirmed as sent; outdated by at most `confirmMs` and a round trip. */
  get bytes(): number {
    return this.#bytes;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    // The cheap test first: this runs for every message.
    if (!this.#isConfirming && (this.#timer === undefined || this.#bytes >= confirmBytes)) this.#arm();
  }

  /** Resolves when at most `bytes` are pending. Rejects when the connection is lost. */
  below(bytes: number): Promise<void> {
    if (this.#closeReason !== undefined) return Promise.reject(this.#closeReason);
    if (this.#bytes <= bytes) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ bytes, resolve, reject });
      this.#arm();
    });
  }

  /** Called when the connection is lost: rejects every waiting `below` with `reason`. */
  close(reason: Error): void {
    this.#closeReason ??= reason;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#bytes = 0;
    for (const waiter of this.#waiters) waiter.reject(reason);
    this.#waiters = [];
  }

  #arm(): void {
    if (this.#isConfirming || this.#closeReason !== undefined || this.#bytes === 0) return;
    if (this.#bytes >= confirmBytes || this.#waiters.length > 0) this.#confirm();
    else this.#timer ??= this.#options.clock.after(confirmMs, () => this.#confirm());
  }

  #confirm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#isConfirming || this.#closeReason !== undefined) return;
    this.#isConfirming = true;
    const coveredBytes = this.#bytes;
    this.#options.flush().then(
      () => {
        this.#isConfirming = false;
        this.#bytes -= coveredBytes;
        const before = this.#waiters;
        this.#waiters = [];
        for (const waiter of before) {
          if (this.#bytes <= waiter.bytes) waiter.resolve();
          else this.#waiters.push(waiter);
        }
        this.#arm();
      },
      // A round trip fails only with its connection, whose owner calls `close`.
      () => {},
    );
  }
}
