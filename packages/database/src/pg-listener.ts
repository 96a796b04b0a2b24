import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { backoffMs } from '@tailrace/protocol/backoff';
import { TailraceError } from '@tailrace/protocol/error';
import { quoted } from './copy-text.ts';
import type { Listening, NotificationListener } from './database.ts';

/** What is used of a connection. */
interface ListenClient {
  query(sql: string): Promise<unknown>;
  end(): Promise<void>;
  on(event: 'notification', listener: (message: { channel: string; payload?: string | undefined }) => void): unknown;
  on(event: 'error' | 'end', listener: () => void): unknown;
}

interface PgListenerOptions {
  connect(): Promise<ListenClient>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

/** A connection that is lost without a word is noticed within this and the time of the system's own probes. */
const probeMs = 15_000;
const reconnectWaits = { baseMs: 100, capMs: 5_000 };

/**
 * The connection for notifications. States: none (no listener yet), connecting (also after a loss, with backoff, until
 * it succeeds or the database is closed), connected.
 */
export class PgListener {
  readonly #options: PgListenerOptions;
  readonly #listeners = new Map<string, Set<NotificationListener>>();
  #connection: Promise<ListenClient> | undefined;
  /** While it listens. */
  #client: ListenClient | undefined;
  #probe: Timer | undefined;
  #isClosed = false;

  constructor(options: PgListenerOptions) {
    this.#options = options;
  }

  async listen(channel: string, listener: NotificationListener): Promise<Listening> {
    // The same listener may be there twice.
    const entry: NotificationListener = {
      onNotification: (payload) => listener.onNotification(payload),
      onReconnect: () => listener.onReconnect(),
    };
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners);
    listeners.add(entry);
    await this.#untilListening(channel);
    return {
      stop: async () => {
        listeners.delete(entry);
      },
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#probe?.cancel();
    // A connect in progress closes its connection itself.
    await this.#client?.end();
  }

  async #untilListening(channel: string): Promise<void> {
    for (;;) {
      this.#connection ??= this.#connected(false);
      const connection = this.#connection;
      const client = await connection;
      try {
        await client.query(`LISTEN ${quoted(channel)}`);
        return;
      } catch (error) {
        // The loss has replaced the connection; else the server refuses the statement.
        if (this.#connection === connection && !this.#isClosed) throw error;
      }
    }
  }

  async #connected(isAgain: boolean): Promise<ListenClient> {
    const { clock, random, logger } = this.#options;
    for (let attempt = 0; ; attempt++) {
      if (this.#isClosed) throw new TailraceError('closed', 'the database is closed');
      try {
        return await this.#open(isAgain);
      } catch (error) {
        if (attempt === 0) logger.warn({ error }, 'cannot listen for notifications of the database; trying again');
        await clock.sleep(backoffMs(attempt, random, reconnectWaits));
      }
    }
  }

  async #open(isAgain: boolean): Promise<ListenClient> {
    const client = await this.#options.connect();
    let isListening = false;
    let isLost = false;
    const lose = () => {
      if (isLost) return;
      isLost = true;
      if (isListening && !this.#isClosed) this.#reconnect();
    };
    client.on('error', lose);
    client.on('end', lose);
    client.on('notification', ({ channel, payload = '' }) => {
      this.#each(channel, (listener) => listener.onNotification(payload));
    });
    try {
      // A loss rejects the statements.
      for (const channel of this.#listeners.keys()) await client.query(`LISTEN ${quoted(channel)}`);
    } catch (error) {
      // A server that refuses them, as a replica does, would keep a connection of each attempt. Not awaited: the end of
      // a lost one may never come.
      void client.end().catch(() => {});
      throw error;
    }
    if (isLost) throw new TailraceError('unavailable', 'database: the connection was lost');
    if (this.#isClosed) {
      await client.end();
      throw new TailraceError('closed', 'the database is closed');
    }
    isListening = true;
    this.#client = client;
    this.#probe = this.#options.clock.every(probeMs, () => void client.query('SELECT 1').catch(lose));
    if (isAgain) for (const channel of this.#listeners.keys()) this.#each(channel, (each) => each.onReconnect());
    return client;
  }

  #reconnect(): void {
    this.#probe?.cancel();
    this.#client = undefined;
    this.#connection = this.#connected(true);
    // `listen` reports it; without a caller the database is closed.
    this.#connection.catch(() => {});
  }

  #each(channel: string, call: (listener: NotificationListener) => void): void {
    for (const listener of this.#listeners.get(channel) ?? []) {
      try {
        call(listener);
      } catch (error) {
        this.#options.logger.error({ error, channel }, 'a listener of notifications failed');
      }
    }
  }
}
