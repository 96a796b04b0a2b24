import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import type { Dial, Wire } from './wire.ts';

/**
 * Keeps one wire up. The client library could reconnect by itself, but then what was published during an outage may sit in its
 * buffer and go out late, and a connection whose server has stopped reading is not given up while bytes wait in the socket. A fresh
 * wire for each connection has neither fault: nothing of the old one can reach the new one.
 *
 * States:
 * - `idle`: before `start`, or after a `start` that failed.
 * - `connecting`: a dial is under way.
 * - `greeting`: a wire is there and `onUp` (which makes the subscriptions known) has not resolved.
 * - `up`: `wire` may be used.
 * - `waiting`: lost; the next dial starts when the timer fires.
 * - `closed`: for good.
 */
export interface Link {
  /** The wire, only while `up`. */
  readonly wire: Wire | undefined;
  readonly closed: boolean;
  /** Dials once, bounded by the dial itself. Throws its TailraceError; may be called again then. */
  start(): Promise<void>;
  /** Ends for good; what is queued goes out within `withinMs`. */
  close(withinMs: number): Promise<void>;
}

export interface LinkOptions {
  dial: Dial;
  clock: Clock;
  random: () => number;
  logger: Logger;
  /** Before the nth dial in a row: a random time up to `min(maxMs, minMs * 2^n)`, so that nodes do not come back all at once. */
  wait: { minMs: number; maxMs: number };
  /** A new wire. The link is up when it resolves; where it rejects, the wire is given up. */
  onUp(wire: Wire): Promise<void>;
  /** The wire that was given to `onUp` is gone. */
  onDown(wire: Wire, reason: Error): void;
  /** Up, or no longer. */
  onState(up: boolean): void;
  onRefusedPublish(subject: string, error: Error): void;
}

type LinkState = 'idle' | 'connecting' | 'greeting' | 'up' | 'waiting' | 'closed';

export function createLink(options: LinkOptions): Link {
  const { dial, clock, random, logger, wait } = options;
  let state: LinkState = 'idle';
  let wire: Wire | undefined;
  let timer: Timer | undefined;
  let dialsInARow = 0;

  const isClosed = () => state === 'closed';

  async function connect(): Promise<void> {
    state = 'connecting';
    let made: Wire | undefined;
    const fresh = await dial({
      onLost: (reason) => made !== undefined && lost(made, reason),
      onRefusedPublish: options.onRefusedPublish,
    });
    made = fresh;
    if (isClosed()) {
      await fresh.close(0);
      throw closedError();
    }
    state = 'greeting';
    wire = fresh;
    await options.onUp(fresh);
    if (wire !== fresh)
      throw new TailraceError('unavailable', `the connection to NATS at ${fresh.address} was lost at once`);
    state = 'up';
    dialsInARow = 0;
    options.onState(true);
  }

  function lost(gone: Wire, reason: Error): void {
    if (wire !== gone) return;
    const wasUp = state === 'up';
    wire = undefined;
    options.onDown(gone, reason);
    if (!wasUp) return; // `connect` is still running and sees it.
    logger.warn({ address: gone.address, reason: reason.message }, 'lost the connection to NATS, reconnecting');
    options.onState(false);
    if (!isClosed()) retryLater();
  }

  function retryLater(): void {
    state = 'waiting';
    // Half of it fixed: a random time near nothing would make the first waits a busy loop.
    const boundMs = Math.min(wait.maxMs, wait.minMs * 2 ** Math.min(dialsInARow, 20));
    dialsInARow++;
    timer = clock.after((boundMs * (1 + random())) / 2, () => {
      connect().then(
        () => logger.info({ address: wire?.address }, 'connected to NATS again'),
        (error: Error) => {
          if (isClosed()) return;
          dropHalfMade(error);
          // Not every try: an outage of an hour would be thousands of lines.
          if (dialsInARow === 1 || dialsInARow % 30 === 0)
            logger.warn({ tries: dialsInARow, reason: error.message }, 'still no connection to NATS');
          retryLater();
        },
      );
    });
  }

  /** `onUp` failed on a living wire: it is of no use. */
  function dropHalfMade(reason: Error): void {
    const half = wire;
    if (half === undefined) return;
    wire = undefined;
    options.onDown(half, reason);
    void half.close(0);
  }

  return {
    get wire() {
      return state === 'up' ? wire : undefined;
    },
    get closed() {
      return isClosed();
    },
    async start() {
      if (isClosed()) throw closedError();
      if (state !== 'idle') return;
      try {
        await connect();
      } catch (error) {
        if (!isClosed()) {
          dropHalfMade(error as Error);
          state = 'idle';
        }
        throw error;
      }
    },
    async close(withinMs) {
      if (isClosed()) return;
      const wasUp = state === 'up';
      const last = wire;
      state = 'closed';
      timer?.cancel();
      wire = undefined;
      if (last === undefined) return;
      await last.close(withinMs);
      options.onDown(last, closedError());
      if (wasUp) options.onState(false);
    },
  };
}

export function closedError(): TailraceError {
  return new TailraceError('closed', 'the bus is closed');
}
