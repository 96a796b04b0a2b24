import type { Clock, Timer } from '@tailrace/platform/clock';

/**
 * Counts the bytes that were passed to the client library and may still be in this process: the library neither bounds
 * its send buffer nor reports its size. A round trip to the server (PING, PONG) proves that everything before it was
 * sent. At most one is under way. It starts at once when `confirmBytes` are pending, else after `confirmMs`. The cost
 * is one PING per 64 KB or 100 ms, whichever is rarer.
 */
export interface PendingBytes {
  /** Bytes added and not yet confirmed as sent; outdated by at most `confirmMs` and a round trip. */
  readonly bytes: number;
  add(bytes: number): void;
  /** Resolves when at most `bytes` are pending. Rejects when the connection is lost. */
  below(bytes: number): Promise<void>;
  /** Called when the connection is lost: rejects every waiting `below` with `reason`. */
  close(reason: Error): void;
}

export interface PendingBytesOptions {
  clock: Clock;
  /** A round trip to the server. */
  flush(): Promise<void>;
}

const confirmBytes = 64 * 1024;
const confirmMs = 100;

export function createPendingBytes({ clock, flush }: PendingBytesOptions): PendingBytes {
  let pendingBytes = 0;
  let closeReason: Error | undefined;
  let isConfirming = false;
  let timer: Timer | undefined;
  let waiters: { bytes: number; resolve(): void; reject(reason: Error): void }[] = [];

  function arm(): void {
    if (isConfirming || closeReason !== undefined || pendingBytes === 0) return;
    if (pendingBytes >= confirmBytes || waiters.length > 0) confirm();
    else timer ??= clock.after(confirmMs, confirm);
  }

  function confirm(): void {
    timer?.cancel();
    timer = undefined;
    if (isConfirming || closeReason !== undefined) return;
    isConfirming = true;
    const coveredBytes = pendingBytes;
    flush().then(
      () => {
        isConfirming = false;
        pendingBytes -= coveredBytes;
        const before = waiters;
        waiters = [];
        for (const waiter of before) {
          if (pendingBytes <= waiter.bytes) waiter.resolve();
          else waiters.push(waiter);
        }
        arm();
      },
      // A round trip fails only with its connection, whose owner calls `close`.
      () => {},
    );
  }

  return {
    get bytes() {
      return pendingBytes;
    },
    add(bytes) {
      pendingBytes += bytes;
      // The cheap test first: this runs for every message.
      if (!isConfirming && (timer === undefined || pendingBytes >= confirmBytes)) arm();
    },
    below(bytes) {
      if (closeReason !== undefined) return Promise.reject(closeReason);
      if (pendingBytes <= bytes) return Promise.resolve();
      return new Promise((resolve, reject) => {
        waiters.push({ bytes, resolve, reject });
        arm();
      });
    },
    close(reason) {
      closeReason ??= reason;
      timer?.cancel();
      timer = undefined;
      pendingBytes = 0;
      for (const waiter of waiters) waiter.reject(reason);
      waiters = [];
    },
  };
}
