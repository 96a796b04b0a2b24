import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { assertTransition, type Transitions } from '@tailrace/platform/transition';
import { type BackoffOptions, backoffMs } from '@tailrace/protocol/backoff';
import { TailraceError } from '@tailrace/protocol/error';
import type { Connection, Dial } from './connection.ts';

/**
 * Keeps one connection up. The client library can reconnect by itself, with two defects. Messages published during an
 * outage may stay in its buffer and be sent late. And a connection whose server has stopped reading is not closed while
 * bytes wait in the socket. With a new connection each time, nothing of the old one can reach the new one.
 *
 * States:
 * - `idle`: before `start`, or after a `start` that failed.
 * - `connecting`: a dial is under way.
 * - `initializing`: there is a connection, and `onUp` (which sends the subscriptions) has not resolved.
 * - `up`: the connection may be used.
 * - `waiting`: the connection is lost; the next dial starts when the timer fires.
 * - `closed`: final.
 */
export interface Reconnector {
  /** Dials once, within the dial's own deadline. Throws its TailraceError; may be called again then. */
  start(): Promise<void>;
  /** Disconnects for good; sends what is queued within `withinMs`. */
  close(withinMs: number): Promise<void>;
}

export interface ReconnectorOptions {
  dial: Dial;
  clock: Clock;
  random: () => number;
  logger: Logger;
  /**
   * Before the nth dial in a row: a random time between the half and the whole of `min(capMs, baseMs * 2^n)`, so that
   * nodes do not reconnect at the same moment.
   */
  backoff: BackoffOptions;
  /** Called with a new connection, which is up when this resolves. If this rejects, the connection is closed. */
  onUp(connection: Connection): Promise<void>;
  /** The connection that `onUp` was called with is lost. */
  onDown(connection: Connection, reason: Error): void;
  /** Whether the connection that `onUp` was called with may be used. */
  onState(isUp: boolean): void;
  onRefusedPublish(subject: string, error: Error): void;
}

type ReconnectorState = 'idle' | 'connecting' | 'initializing' | 'up' | 'waiting' | 'closed';

const transitions: Transitions<ReconnectorState> = {
  idle: ['connecting', 'closed'],
  connecting: ['initializing', 'idle', 'waiting', 'closed'],
  initializing: ['up', 'idle', 'waiting', 'closed'],
  up: ['waiting', 'closed'],
  waiting: ['connecting', 'closed'],
  closed: [],
};

export function createReconnector(options: ReconnectorOptions): Reconnector {
  const { dial, clock, random, logger, backoff } = options;
  let state: ReconnectorState = 'idle';
  let connection: Connection | undefined;
  let timer: Timer | undefined;
  let dialsInARow = 0;

  const isClosed = () => state === 'closed';

  function enter(next: ReconnectorState): void {
    assertTransition('reconnector', transitions, state, next);
    state = next;
  }

  async function connect(): Promise<void> {
    enter('connecting');
    let dialled: Connection | undefined;
    const next = await dial({
      onLost: (reason) => dialled !== undefined && onLost(dialled, reason),
      onRefusedPublish: options.onRefusedPublish,
    });
    dialled = next;
    if (isClosed()) {
      await next.close(0);
      throw closedError();
    }
    enter('initializing');
    connection = next;
    await options.onUp(next);
    if (connection !== next)
      throw new TailraceError('unavailable', `the connection to NATS at ${next.address} was lost at once`);
    enter('up');
    dialsInARow = 0;
    options.onState(true);
  }

  function onLost(lost: Connection, reason: Error): void {
    if (connection !== lost) return;
    const wasUp = state === 'up';
    connection = undefined;
    options.onDown(lost, reason);
    if (!wasUp) return; // `connect` is still running and checks it.
    logger.warn({ address: lost.address, reason: reason.message }, 'lost the connection to NATS, reconnecting');
    options.onState(false);
    if (!isClosed()) reconnectLater();
  }

  function reconnectLater(): void {
    enter('waiting');
    // Half of it is fixed: a random time near 0 would make the first waits a busy loop.
    const waitMs = backoffMs(dialsInARow++, () => (1 + random()) / 2, backoff);
    timer = clock.after(waitMs, () => {
      connect().then(
        () => logger.info({ address: connection?.address }, 'connected to NATS again'),
        (error: Error) => {
          if (isClosed()) return;
          dropUninitialized(error);
          // Not every attempt: an outage of an hour would be thousands of lines.
          if (dialsInARow === 1 || dialsInARow % 30 === 0)
            logger.warn({ tries: dialsInARow, reason: error.message }, 'still no connection to NATS');
          reconnectLater();
        },
      );
    });
  }

  /** Closes a connection that is not lost, and for which `onUp` failed. */
  function dropUninitialized(reason: Error): void {
    const dropped = connection;
    if (dropped === undefined) return;
    connection = undefined;
    options.onDown(dropped, reason);
    void dropped.close(0);
  }

  return {
    async start() {
      if (isClosed()) throw closedError();
      if (state !== 'idle') return;
      try {
        await connect();
      } catch (error) {
        if (!isClosed()) {
          dropUninitialized(error as Error);
          enter('idle');
        }
        throw error;
      }
    },
    async close(withinMs) {
      if (isClosed()) return;
      const wasUp = state === 'up';
      const last = connection;
      enter('closed');
      timer?.cancel();
      connection = undefined;
      if (last === undefined) return;
      if (wasUp) options.onState(false);
      await last.close(withinMs);
      options.onDown(last, closedError());
    },
  };
}

export function closedError(): TailraceError {
  return new TailraceError('closed', 'the bus is closed');
}
