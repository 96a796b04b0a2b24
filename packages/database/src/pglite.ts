import { type Clock, systemClock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { backoffMs, noJitter } from '@tailrace/protocol/backoff';
import { TailraceError } from '@tailrace/protocol/error';
import { quoted } from './copy-text.ts';
import type { Database, DatabaseStats, Listening, NotificationListener } from './database.ts';
import { PgliteClient } from './pglite-client.ts';
import { PgliteDirectory } from './pglite-directory.ts';
import { PgliteSession } from './pglite-session.ts';
import type { Session, SessionSource } from './session.ts';
import { SessionDatabase } from './session-database.ts';
import { SessionQueue } from './session-queue.ts';

export interface PgliteOptions {
  /** Folder of the store, created if it is missing. Undefined: in memory, lost at `close`. */
  readonly directory?: string;
  readonly logger: Logger;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Calls that wait for the one connection; beyond it they are rejected with `limit_reached`. Default: 1,000. */
  readonly waitingMax?: number;
  /** Maximum wait for the connection, ms. Default: 10,000. */
  readonly acquireTimeoutMs?: number;
  /**
   * Maximum of a statement, ms. Default: 30,000. PostgreSQL in WebAssembly cannot be interrupted: the call is rejected,
   * the statement continues, and the calls behind it wait. A store in a directory stops the thread after the same
   * time again, at most 30 s, and starts again.
   */
  readonly statementTimeoutMs?: number;
  /**
   * Bytes of PostgreSQL's log after which the directory gets a new backup, and a quarter of the bytes between two
   * checkpoints. The log takes twice as much space. Default: 32 MiB.
   */
  readonly backupBytes?: number;
  /** The file of `writePgliteTemplate`, which saves the second that a new database takes. For tests. */
  readonly template?: string;
}

/**
 * Creates a database on PostgreSQL in a worker thread of this process, with one connection. The start takes 0.5 s, and
 * 3 s for a new directory. One process at a time may have the directory: another one is refused with `conflict`. What
 * was acknowledged survives kill -9 and a loss of power, see `pglite-directory.ts`.
 */
export function createPgliteDatabase(options: PgliteOptions): Database {
  const clock = options.clock ?? systemClock;
  return new SessionDatabase(new PgliteSource(options, clock), clock);
}

/** Writes a new, empty database into a file, for `PgliteOptions.template`. */
export async function writePgliteTemplate(file: string): Promise<void> {
  const data = { directory: undefined, template: undefined, logKeepBytes: 0 };
  const client = await PgliteClient.start(data, { onNotification() {}, onFailed() {} });
  await client.call({ call: 'template', file });
  await client.close();
}

/** The log is examined after this number of connections that were released. */
const maintenancePeriod = 200;
const backupBytesDefault = 32 * 1_048_576;
const restartWaits = { baseMs: 100, capMs: 10_000 };

class PgliteSource implements SessionSource {
  readonly #options: PgliteOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #waitingMax: number;
  readonly #backupBytes: number;
  readonly #queue: SessionQueue;
  readonly #listeners = new Map<string, Set<NotificationListener>>();
  #directory: PgliteDirectory | undefined;
  #client: PgliteClient | undefined;
  #released = 0;
  #maintenance: Promise<void> | undefined;
  /** Bytes of the log at the last checkpoint, and at the last backup. */
  #checkpointAt = 0;
  #backupAt = 0;
  #lost = 0;
  #isClosed = false;

  constructor(options: PgliteOptions, clock: Clock) {
    const { waitingMax = 1_000, acquireTimeoutMs = 10_000 } = options;
    this.#backupBytes = options.backupBytes ?? backupBytesDefault;
    this.#options = options;
    this.#clock = clock;
    this.#logger = options.logger;
    this.#waitingMax = waitingMax;
    this.#queue = new SessionQueue({ clock, waitingMax, acquireTimeoutMs });
  }

  async start(): Promise<void> {
    const { directory } = this.#options;
    if (directory !== undefined) {
      this.#directory = await PgliteDirectory.open(directory, this.#clock, this.#logger);
    }
    try {
      this.#client = await this.#open();
      await this.#startMaintenance();
    } catch (error) {
      await this.#client?.terminate();
      await this.#directory?.release();
      throw error;
    }
  }

  async acquire(): Promise<Session> {
    const release = await this.#queue.acquire();
    const client = this.#client;
    if (client === undefined) {
      release();
      throw new TailraceError('unavailable', 'database: the embedded store is not running');
    }
    return new PgliteSession({
      client,
      clock: this.#clock,
      statementTimeoutMs: this.#options.statementTimeoutMs ?? 30_000,
      recovers: this.#directory !== undefined,
      release: () => {
        release();
        this.#countReleased();
      },
    });
  }

  async listen(channel: string, listener: NotificationListener): Promise<Listening> {
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners);
    // The same listener may be there twice.
    const entry: NotificationListener = {
      onNotification: (payload) => listener.onNotification(payload),
      onReconnect: () => listener.onReconnect(),
    };
    listeners.add(entry);
    await this.#client?.call(listenCall(channel));
    return {
      stop: async () => {
        listeners.delete(entry);
      },
    };
  }

  stats(): DatabaseStats {
    const isRunning = this.#client !== undefined;
    return {
      busy: this.#queue.isBusy ? 1 : 0,
      connections: isRunning ? 1 : 0,
      connectionsMax: 1,
      waiting: this.#queue.waiting,
      waitingMax: this.#waitingMax,
      refused: this.#queue.refused,
      lost: this.#lost,
      connected: isRunning,
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#maintenance;
    // The checkpoint of the stop removes log that is older than what is kept. The backup needs all of it since then.
    if (this.#directory !== undefined && this.#client !== undefined) await this.#maintain(this.#directory);
    const client = this.#client;
    this.#client = undefined;
    try {
      await client?.close();
      await this.#directory?.closed();
    } catch (error) {
      this.#logger.error({ error }, 'the embedded database did not stop in order; its next start recovers it');
      await client?.terminate();
      await this.#directory?.release();
    }
  }

  /** Starts PostgreSQL on its data; else on the backup with the log of the data; else on the backup alone. */
  async #open(): Promise<PgliteClient> {
    const directory = this.#directory;
    const { template } = this.#options;
    if (directory === undefined) return await this.#startClient(template);
    const found = await directory.prepare();
    if (found === 'unclean') this.#logger.warn({}, 'the embedded database was not stopped in order; recovering it');
    try {
      if (found === 'new') {
        // In a thread of its own: initdb leaves 200 MB in the memory of its thread.
        await (await this.#startClient(template)).close();
        await directory.created();
      }
      return await this.#startClient();
    } catch (error) {
      if (found === 'new' || !(await directory.hasBackup())) throw error;
      this.#logger.error({ error }, 'the embedded database does not open');
    }
    await directory.restore({ withLog: true });
    try {
      return await this.#startClient();
    } catch (error) {
      this.#logger.error({ error }, 'its backup does not open with its log; what was changed since then is lost');
    }
    await directory.restore({ withLog: false });
    return await this.#startClient();
  }

  #startClient(template?: string): Promise<PgliteClient> {
    return PgliteClient.start(
      { directory: this.#directory?.data, template, logKeepBytes: 2 * this.#backupBytes },
      {
        onNotification: (channel, payload) => this.#each(channel, (listener) => listener.onNotification(payload)),
        onFailed: (error) => this.#onFailed(error),
      },
    );
  }

  /** A store in a directory has lost nothing that was acknowledged; one in memory has lost everything. */
  #onFailed(error: TailraceError): void {
    this.#client = undefined;
    this.#lost++;
    this.#logger.error({ error }, 'the embedded database has stopped by itself');
    if (this.#directory !== undefined) void this.#restart();
  }

  async #restart(): Promise<void> {
    for (let attempt = 0; !this.#isClosed; attempt++) {
      try {
        const client = await this.#open();
        for (const channel of this.#listeners.keys()) await client.call(listenCall(channel));
        this.#client = client;
        break;
      } catch (error) {
        this.#logger.error({ error }, 'the embedded database does not start again; trying again');
        await this.#clock.sleep(backoffMs(attempt, noJitter, restartWaits));
      }
    }
    if (this.#isClosed) await this.#client?.terminate();
    else for (const channel of this.#listeners.keys()) this.#each(channel, (listener) => listener.onReconnect());
  }

  #each(channel: string, call: (listener: NotificationListener) => void): void {
    for (const listener of this.#listeners.get(channel) ?? []) {
      try {
        call(listener);
      } catch (error) {
        this.#logger.error({ error, channel }, 'a listener of notifications failed');
      }
    }
  }

  async #startMaintenance(): Promise<void> {
    const directory = this.#directory;
    if (directory === undefined) return;
    const bytes = await this.#logBytes();
    this.#checkpointAt = bytes;
    this.#backupAt = (await directory.backupPosition()) ?? Number.NEGATIVE_INFINITY;
    if (bytes - this.#backupAt >= this.#backupBytes) await this.#backUp(directory);
  }

  #countReleased(): void {
    this.#released++;
    if (this.#directory === undefined || this.#released % maintenancePeriod !== 0) return;
    this.#maintenance ??= this.#maintain(this.#directory).finally(() => {
      this.#maintenance = undefined;
    });
  }

  /** Bounds the log and the dead rows, which a server does in background processes. */
  async #maintain(directory: PgliteDirectory): Promise<void> {
    try {
      const bytes = await this.#logBytes();
      if (bytes - this.#backupAt >= this.#backupBytes) {
        await this.#inSession((session) => session.script('VACUUM ANALYZE'));
        await this.#backUp(directory);
      } else if (bytes - this.#checkpointAt >= this.#backupBytes / 4) {
        // PostgreSQL without its background processes removes its log at our checkpoints alone.
        await this.#inSession((session) => session.script('CHECKPOINT'));
        this.#checkpointAt = bytes;
      }
    } catch (error) {
      if (!this.#isClosed) this.#logger.warn({ error }, 'the maintenance of the embedded database failed');
    }
  }

  async #backUp(directory: PgliteDirectory): Promise<void> {
    const bytes = await this.#logBytes();
    await this.#inSession((session) => session.backUp(directory.unfinishedBackup));
    await directory.finishBackup(bytes);
    this.#checkpointAt = bytes;
    this.#backupAt = bytes;
  }

  async #logBytes(): Promise<number> {
    const sql = "SELECT pg_current_wal_insert_lsn() - '0/0'";
    const { rows } = await this.#inSession((session) => session.query(sql, []));
    return Number(rows[0]?.[0]);
  }

  async #inSession<T>(work: (session: PgliteSession) => Promise<T>): Promise<T> {
    const session = (await this.acquire()) as PgliteSession;
    try {
      return await work(session);
    } finally {
      session.release();
    }
  }
}

function listenCall(channel: string): { readonly call: 'script'; readonly sql: string } {
  return { call: 'script', sql: `LISTEN ${quoted(channel)}` };
}
