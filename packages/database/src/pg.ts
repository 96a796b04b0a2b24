import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Clock, systemClock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { TlsTexts } from '@tailrace/platform/tls-files';
import { TailraceError } from '@tailrace/protocol/error';
import { Client, type ClientConfig, Pool, type PoolClient, type QueryArrayConfig } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { Database, DatabaseStats, Listening, NotificationListener } from './database.ts';
import { isConnectionCode, type ServerReport } from './database-error.ts';
import { PgListener } from './pg-listener.ts';
import type { Session, SessionResult, SessionSource } from './session.ts';
import { SessionDatabase } from './session-database.ts';
import { waitedTooLong, waitingFull } from './session-queue.ts';

export interface PgOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string;
  /** Options of TLS; undefined: without. Called at each connect, so that renewed certificates take effect. */
  readonly tls?: () => TlsTexts;
  readonly logger: Logger;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** In [0, 1], for the waits between connects. Default: `Math.random`. */
  readonly random?: () => number;
  /** Its name in `pg_stat_activity`. Default: `tailrace`. */
  readonly applicationName?: string;
  /** Connections at once, one more for notifications. Default: 10. */
  readonly connectionsMax?: number;
  /** Calls that wait for a connection; beyond it they are rejected with `limit_reached`. Default: 1,000. */
  readonly waitingMax?: number;
  /** Maximum wait for a free connection, and of a connect, ms. Default: 5,000. */
  readonly acquireTimeoutMs?: number;
  /** Maximum of a statement, ms; the server cancels it. Default: 30,000. */
  readonly statementTimeoutMs?: number;
}

const idleTimeoutMs = 30_000;
/** A server that has not canceled a statement this long after its time-out, at most, is taken for lost. */
const graceMs = 5_000;
const keepAliveMs = 10_000;
const cancelPeriodMs = 20;

/** Creates a database on a PostgreSQL server, version 15 or newer, with a pool of connections. */
export function createPgDatabase(options: PgOptions): Database {
  const clock = options.clock ?? systemClock;
  return new SessionDatabase(new PgSource(options, clock), clock);
}

class PgSource implements SessionSource {
  readonly #clock: Clock;
  readonly #client: () => ClientConfig;
  readonly #statementTimeoutMs: number;
  readonly #connectionsMax: number;
  readonly #waitingMax: number;
  readonly #acquireTimeoutMs: number;
  readonly #pool: Pool;
  readonly #listener: PgListener;
  #refused = 0;
  #lost = 0;
  #isConnected = false;

  constructor(options: PgOptions, clock: Clock) {
    const { url, tls, logger, random = Math.random, applicationName = 'tailrace' } = options;
    const { connectionsMax = 10, waitingMax = 1_000 } = options;
    const { acquireTimeoutMs = 5_000, statementTimeoutMs = 30_000 } = options;
    this.#clock = clock;
    this.#statementTimeoutMs = statementTimeoutMs;
    this.#connectionsMax = connectionsMax;
    this.#waitingMax = waitingMax;
    this.#acquireTimeoutMs = acquireTimeoutMs;
    this.#client = () => ({
      connectionString: url,
      application_name: applicationName,
      connectionTimeoutMillis: acquireTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: keepAliveMs,
      ssl: tls === undefined ? false : tls(),
    });
    const settings = sessionSettings(statementTimeoutMs);
    this.#pool = new Pool({
      ...this.#client(),
      max: connectionsMax,
      idleTimeoutMillis: idleTimeoutMs,
      Client: freshClient(this.#client),
      // Not parameters of the connection, which PgBouncer refuses.
      onConnect: async (client) => void (await client.query(settings)),
    });
    this.#pool.on('error', (error) => {
      this.#lost++;
      logger.warn({ error }, 'an idle connection to the database was lost');
    });
    this.#listener = new PgListener({ connect: () => this.#connect(), clock, random, logger });
  }

  async start(): Promise<void> {
    const session = await this.acquire();
    try {
      await session.query('SELECT 1', []);
    } finally {
      session.release();
    }
  }

  async acquire(): Promise<Session> {
    if (this.#pool.waitingCount >= this.#waitingMax) {
      this.#refused++;
      throw waitingFull(this.#waitingMax);
    }
    let client: PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      throw this.#connectError(error);
    }
    this.#isConnected = true;
    return new PgSession({
      client,
      clock: this.#clock,
      statementTimeoutMs: this.#statementTimeoutMs,
      cancel: (pid) => this.#cancel(pid),
      onLost: () => {
        this.#lost++;
      },
    });
  }

  listen(channel: string, listener: NotificationListener): Promise<Listening> {
    return this.#listener.listen(channel, listener);
  }

  stats(): DatabaseStats {
    const { totalCount, idleCount, waitingCount } = this.#pool;
    return {
      busy: totalCount - idleCount,
      connections: totalCount,
      connectionsMax: this.#connectionsMax,
      waiting: waitingCount,
      waitingMax: this.#waitingMax,
      refused: this.#refused,
      lost: this.#lost,
      connected: this.#isConnected,
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.#listener.close(), this.#pool.end()]);
  }

  /** A connection outside of the pool. */
  async #connect(): Promise<Client> {
    const client = new Client(this.#client());
    try {
      await client.connect();
    } catch (error) {
      throw this.#connectError(error);
    }
    return client;
  }

  async #cancel(pid: number): Promise<void> {
    const client = await this.#connect();
    try {
      await client.query('SELECT pg_cancel_backend($1)', [pid]);
    } finally {
      await client.end();
    }
  }

  #connectError(error: unknown): unknown {
    // The pool has the same text for both waits, without a code.
    const isFull = this.#pool.totalCount >= this.#connectionsMax;
    if (isFull && /^timeout exceeded/.test((error as Error).message)) {
      this.#refused++;
      return waitedTooLong(this.#acquireTimeoutMs);
    }
    this.#isConnected = false;
    return connectionError(error, 'cannot connect');
  }
}

/** A class of clients for the pool that reads the options at each connect, because certificates are renewed. */
function freshClient(config: () => ClientConfig): typeof Client {
  return class FreshClient extends Client {
    constructor() {
      super(config());
    }
  } as typeof Client;
}

function sessionSettings(statementTimeoutMs: number): string {
  return [
    `SET statement_timeout = ${statementTimeoutMs}`,
    // A transaction whose process hangs keeps its locks no longer.
    `SET idle_in_transaction_session_timeout = ${2 * statementTimeoutMs}`,
    "SET timezone = 'UTC'",
    "SET datestyle = 'ISO'",
    "SET bytea_output = 'hex'",
  ].join('; ');
}

interface PgSessionOptions {
  readonly client: PoolClient;
  readonly clock: Clock;
  readonly statementTimeoutMs: number;
  cancel(pid: number): Promise<void>;
  onLost(): void;
}

type ArrayStatement = QueryArrayConfig<(string | null)[]>;

/** Values are text, see `values.ts`; one statement alone, also without parameters. */
const textRows = {
  rowMode: 'array',
  queryMode: 'extended',
  types: { getTypeParser: () => (text: string) => text },
} as const;

class PgSession implements Session {
  readonly #options: PgSessionOptions;
  readonly #client: PoolClient;
  #statementTimeoutMs: number;
  /** The driver sends one statement after the other, and warns if it gets a second one before. */
  #last: Promise<unknown> = Promise.resolve();
  #canceling: Promise<void> | undefined;
  /** The statement in progress. */
  #active: object | undefined;
  #isBroken = false;
  #isReleased = false;

  constructor(options: PgSessionOptions) {
    this.#options = options;
    this.#client = options.client;
    this.#statementTimeoutMs = options.statementTimeoutMs;
    this.#client.on('error', this.#onError);
  }

  query(sql: string, parameters: readonly (string | null)[]): Promise<SessionResult> {
    return this.#inTurn(async () => {
      const statement: ArrayStatement = { ...textRows, text: sql, values: [...parameters] };
      const { fields, rows, rowCount, command } = await this.#client.query<(string | null)[]>(statement);
      return {
        fields: fields.map(({ name, dataTypeID }) => ({ name, typeId: dataTypeID })),
        rows,
        rowCount: rowCount ?? 0,
        command,
      };
    });
  }

  async script(sql: string): Promise<void> {
    await this.#inTurn(() => this.#client.query(sql));
  }

  async copy(sql: string, chunks: AsyncIterable<string>): Promise<void> {
    let failed: { readonly error: unknown } | undefined;
    async function* watched(): AsyncGenerator<string> {
      try {
        yield* chunks;
      } catch (error) {
        failed = { error };
        throw error;
      }
    }
    await this.#inTurn(async () => {
      const rows = Readable.from(watched(), { objectMode: false });
      try {
        await pipeline(rows, this.#client.query(copyFrom(sql)));
      } catch (error) {
        // The connection itself is well: the driver has canceled the copy.
        if (failed === undefined) throw error;
      }
    });
    if (failed !== undefined) throw failed.error;
  }

  async setStatementTimeout(limitMs: number): Promise<void> {
    await this.script(`SET LOCAL statement_timeout = ${limitMs}`);
    this.#statementTimeoutMs = limitMs;
  }

  cancel(): void {
    if (this.#active !== undefined) this.#canceling ??= this.#cancelUntilSettled(this.#active);
  }

  /** Repeats the request: the server ignores one that arrives before the statement. */
  async #cancelUntilSettled(statement: object): Promise<void> {
    const { processID } = this.#client as unknown as { processID: number };
    while (this.#active === statement) {
      // A failed request leaves the time-out.
      await this.#options.cancel(processID).catch(() => {});
      await this.#options.clock.sleep(cancelPeriodMs);
    }
    this.#canceling = undefined;
  }

  release(broken = false): void {
    if (broken) this.#isBroken = true;
    if (this.#isReleased) return;
    this.#isReleased = true;
    void Promise.allSettled([this.#last, this.#canceling]).then(() => {
      // After the cancel, which would otherwise reach a statement of the next caller.
      this.#client.off('error', this.#onError);
      this.#client.release(this.#isBroken);
    });
  }

  readonly #onError = (): void => {
    if (!this.#isBroken) this.#options.onLost();
    this.#isBroken = true;
  };

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#last.then(() => this.#guarded(run));
    this.#last = done.catch(() => {});
    return done;
  }

  async #guarded<T>(run: () => Promise<T>): Promise<T> {
    const limitMs = this.#statementTimeoutMs + Math.min(this.#statementTimeoutMs, graceMs);
    const timer = this.#options.clock.after(limitMs, () => {
      // The network or the server is gone without a word. This rejects the statement.
      (this.#client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    });
    this.#active = run;
    try {
      return await run();
    } catch (error) {
      if (isReportOfServer(error) && !closesConnection(error)) throw error;
      this.#onError();
      throw isReportOfServer(error) ? error : connectionError(error, 'the connection was lost');
    } finally {
      this.#active = undefined;
      timer.cancel();
    }
  }
}

function isReportOfServer(error: unknown): error is ServerReport {
  return (error as ServerReport & { severity?: unknown }).severity !== undefined;
}

/** A server that shuts down, and one that has become a replica. */
function closesConnection({ code = '' }: ServerReport): boolean {
  return code.startsWith('57P') || code.startsWith('08') || code === '25006';
}

/** Converts the driver's own errors, which have no code. Those of the server stay. */
function connectionError(error: unknown, what: string): unknown {
  if (isReportOfServer(error)) return error;
  // Messages of Node have the address of the server, which is in the log alone: this one is sent to users.
  const { code, message } = error as NodeJS.ErrnoException;
  const text = isConnectionCode(code) ? code : message;
  return new TailraceError('unavailable', `database: ${what}: ${text}`, { cause: error });
}
