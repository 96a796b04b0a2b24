import type { Clock, Timer } from '@tailrace/platform/clock';

/**
 * Counts the bytes that went to the client library and may still wait in this process, because the library itself neither bounds
 * its buffer nor tells its size. A round trip to the server (PING, PONG) proves that everything before it has left: one is under way at
 * most, started at once when `confirmBytes` wait, else after `confirmMs`. Costs one PING per 64 KB or 100 ms, whichever is rarer.
 */
export interface Outgoing {
  /** Bytes added and not yet proven to have left; at most `confirmMs` and a round trip old. */
  readonly pendingBytes: number;
  add(bytes: number): void;
  /** Resolves when at most `bytes` are pending. Rejects when the connection ends. */
  below(bytes: number): Promise<void>;
  /** The connection is gone: everybody who waits is told `reason`. */
  end(reason: Error): void;
}

export interface OutgoingOptions {
  clock: Clock;
  /** A round trip to the server. */
  flush(): Promise<void>;
}

const confirmBytes = 64 * 1024;
const confirmMs = 100;

export function createOutgoing({ clock, flush }: OutgoingOptions): Outgoing {
  let pendingBytes = 0;
  let ended: Error | undefined;
  let confirming = false;
  let timer: Timer | undefined;
  let waiting: { bytes: number; resolve(): void; reject(reason: Error): void }[] = [];

  function arm(): void {
    if (confirming || ended !== undefined || pendingBytes === 0) return;
    if (pendingBytes >= confirmBytes || waiting.length > 0) confirm();
    else timer ??= clock.after(confirmMs, confirm);
  }

  function confirm(): void {
    timer?.cancel();
    timer = undefined;
    if (confirming || ended !== undefined) return;
    confirming = true;
    const coveredBytes = pendingBytes;
    flush().then(
      () => {
        confirming = false;
        pendingBytes -= coveredBytes;
        const still = waiting;
        waiting = [];
        for (const waiter of still) {
          if (pendingBytes <= waiter.bytes) waiter.resolve();
          else waiting.push(waiter);
        }
        arm();
      },
      // Only a lost connection fails a round trip: whoever owns us calls `end`.
      () => {},
    );
  }

  return {
    get pendingBytes() {
      return pendingBytes;
    },
    add(bytes) {
      pendingBytes += bytes;
      // The cheap test first: this runs for every message.
      if (!confirming && (timer === undefined || pendingBytes >= confirmBytes)) arm();
    },
    below(bytes) {
      if (ended !== undefined) return Promise.reject(ended);
      if (pendingBytes <= bytes) return Promise.resolve();
      return new Promise((resolve, reject) => {
        waiting.push({ bytes, resolve, reject });
        arm();
      });
    },
    end(reason) {
      ended ??= reason;
      timer?.cancel();
      timer = undefined;
      pendingBytes = 0;
      for (const waiter of waiting) waiter.reject(reason);
      waiting = [];
    },
  };
}
