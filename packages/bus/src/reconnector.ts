import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { assertTransition, type Transitions } from '@tailrace/platform/transition';
import { type BackoffOptions, backoffMs } from '@tailrace/protocol/backoff';
import { TailraceError } from '@tailrace/protocol/error';
import type { Connection, Dial } from './connection.ts';

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
export class Reconnector {
  readonly #options: ReconnectorOptions;
  #state: ReconnectorState = 'idle';
  #connection: Connection | undefined;
  #timer: Timer | undefined;
  #dialsInARow = 0;

  constructor(options: ReconnectorOptions) {
    this.#options = options;
  }

  /** Dials once, within the dial's own deadline. Throws its TailraceError; may be called again then. */
  async start(): Promise<void> {
    if (this.#isClosed()) throw closedError();
    if (this.#state !== 'idle') return;
    try {
      await this.#connect();
    } catch (error) {
      if (!this.#isClosed()) {
        this.#dropUninitialized(error as Error);
        this.#enter('idle');
      }
      throw error;
    }
  }

  /** Disconnects for good; sends what is queued within `withinMs`. */
  async close(withinMs: number): Promise<void> {
    if (this.#isClosed()) return;
    const wasUp = this.#state === 'up';
    const last = this.#connection;
    this.#enter('closed');
    this.#timer?.cancel();
    this.#connection = undefined;
    if (last === undefined) return;
    if (wasUp) this.#options.onState(false);
    await last.close(withinMs);
    this.#options.onDown(last, closedError());
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #enter(next: ReconnectorState): void {
    assertTransition('reconnector', transitions, this.#state, next);
    this.#state = next;
  }

  async #connect(): Promise<void> {
    const { dial, onRefusedPublish } = this.#options;
    this.#enter('connecting');
    let dialled: Connection | undefined;
    const next = await dial({
      onLost: (reason) => dialled !== undefined && this.#onLost(dialled, reason),
      onRefusedPublish,
    });
    dialled = next;
    if (this.#isClosed()) {
      await next.close(0);
      throw closedError();
    }
    this.#enter('initializing');
    this.#connection = next;
    await this.#options.onUp(next);
    if (this.#connection !== next)
      throw new TailraceError('unavailable', `the connection to NATS at ${next.address} was lost at once`);
    this.#enter('up');
    this.#dialsInARow = 0;
    this.#options.onState(true);
  }

  #onLost(lost: Connection, reason: Error): void {
    if (this.#connection !== lost) return;
    const wasUp = this.#state === 'up';
    this.#connection = undefined;
    this.#options.onDown(lost, reason);
    if (!wasUp) return; // `#connect` is still running and checks it.
    const { address } = lost;
    this.#options.logger.warn({ address, reason: reason.message }, 'lost the connection to NATS, reconnecting');
    this.#options.onState(false);
    if (!this.#isClosed()) this.#reconnectLater();
  }

  #reconnectLater(): void {
    const { clock, random, logger, backoff } = this.#options;
    this.#enter('waiting');
    // Half of it is fixed: a random time near 0 would make the first waits a busy loop.
    const waitMs = backoffMs(this.#dialsInARow++, () => (1 + random()) / 2, backoff);
    this.#timer = clock.after(waitMs, () => {
      this.#connect().then(
        () => logger.info({ address: this.#connection?.address }, 'connected to NATS again'),
        (error: Error) => {
          if (this.#isClosed()) return;
          this.#dropUninitialized(error);
          const tries = this.#dialsInARow;
          // Not every attempt: an outage of an hour would be thousands of lines.
          if (tries === 1 || tries % 30 === 0)
            logger.warn({ tries, reason: error.message }, 'still no connection to NATS');
          this.#reconnectLater();
        },
      );
    });
  }

  /** Closes a connection that is not lost, and for which `onUp` failed. */
  #dropUninitialized(reason: Error): void {
    const dropped = this.#connection;
    if (dropped === undefined) return;
    this.#connection = undefined;
    this.#options.onDown(dropped, reason);
    void dropped.close(0);
  }
}

export function closedError(): TailraceError {
  return new TailraceError('closed', 'the bus is closed');
}
