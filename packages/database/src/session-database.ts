import type { Clock } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { copyChunks, copyStatement } from './copy-text.ts';
import type {
  CopyRows,
  Database,
  DatabaseStats,
  Listening,
  NotificationListener,
  QueryOptions,
  Result,
  Row,
  Transaction,
  TransactionOptions,
} from './database.ts';
import { databaseErrorFrom } from './database-error.ts';
import type { Session, SessionResult, SessionSource } from './session.ts';
import { parameterText, valueFrom } from './values.ts';

/** How long `close` waits for calls in progress. */
const closeWaitMs = 5_000;
/** NAMEDATALEN of PostgreSQL less its last byte. */
const channelBytesMax = 63;
/** PostgreSQL's limit of NOTIFY. */
const payloadBytesMax = 7_999;

/** The database over any source of connections: what both adapters have in common. */
export class SessionDatabase implements Database {
  readonly #source: SessionSource;
  readonly #clock: Clock;
  readonly #inProgress = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  constructor(source: SessionSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  start(): Promise<void> {
    return converted(this.#source.start());
  }

  query<R extends object = Row>(
    sql: string,
    parameters: readonly unknown[] = [],
    options: QueryOptions = {},
  ): Promise<Result<R>> {
    return this.#withSession((session) => statement<R>(session, sql, parameters, options));
  }

  transaction<T>(work: (transaction: Transaction) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    return this.#withSession((session) => runTransaction(session, work, options));
  }

  copyIn(table: string, columns: readonly string[], rows: CopyRows): Promise<number> {
    return this.transaction((transaction) => transaction.copyIn(table, columns, rows));
  }

  async notify(channel: string, payload: string): Promise<void> {
    await this.query(...notifyStatement(channel, payload));
  }

  async listen(channel: string, listener: NotificationListener): Promise<Listening> {
    this.#assertOpen();
    assertChannel(channel);
    return await converted(this.#source.listen(channel, listener));
  }

  async health(): Promise<void> {
    await this.query('SELECT 1');
  }

  stats(): DatabaseStats {
    return this.#source.stats();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await withinDeadline(this.#clock, closeWaitMs, async () => void (await Promise.allSettled(this.#inProgress)));
    await this.#source.close();
  }

  async #withSession<T>(work: (session: Session) => Promise<T>): Promise<T> {
    this.#assertOpen();
    const settled = this.#useSession(work);
    this.#inProgress.add(settled);
    try {
      return await settled;
    } finally {
      this.#inProgress.delete(settled);
    }
  }

  async #useSession<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = await converted(this.#source.acquire());
    try {
      return await work(session);
    } finally {
      session.release();
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new TailraceError('closed', 'the database is closed');
  }
}

/** Not for the caller's own errors, which stay as they are. */
async function converted<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw databaseErrorFrom(error);
  }
}

async function statement<R extends object>(
  session: Session,
  sql: string,
  parameters: readonly unknown[],
  { signal }: QueryOptions,
): Promise<Result<R>> {
  const texts = parameters.map(parameterText);
  if (signal?.aborted) throw new TailraceError('canceled', 'the statement was canceled before it started');
  const cancel = () => session.cancel();
  signal?.addEventListener('abort', cancel);
  try {
    return resultFrom<R>(await converted(session.query(sql, texts)));
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

function resultFrom<R extends object>({ fields, rows, rowCount }: SessionResult): Result<R> {
  return {
    rowCount,
    rows: rows.map((values) => {
      const row: Record<string, unknown> = {};
      fields.forEach(({ name, typeId }, i) => {
        row[name] = valueFrom(values[i] ?? null, typeId);
      });
      return row as R;
    }),
  };
}

async function runTransaction<T>(
  session: Session,
  work: (transaction: Transaction) => Promise<T>,
  options: TransactionOptions,
): Promise<T> {
  const transaction = new SessionTransaction(session);
  await converted(session.script(startStatement(options)));
  const { statementTimeoutMs } = options;
  if (statementTimeoutMs !== undefined) await converted(session.setStatementTimeout(statementTimeoutMs));
  let value: T;
  try {
    value = await work(transaction);
  } catch (error) {
    transaction.finish();
    await rollback(session);
    throw error;
  }
  transaction.finish();
  let command: string;
  try {
    ({ command } = await converted(session.query('COMMIT', [])));
  } catch (error) {
    session.release(true);
    throw error;
  }
  // PostgreSQL rolls back instead, without an error, if a statement of the transaction has failed.
  if (command !== 'COMMIT')
    throw new TailraceError(
      'internal',
      `transaction: expected a commit, got ${shown(command)}: a failed statement was ignored`,
    );
  return value;
}

async function rollback(session: Session): Promise<void> {
  try {
    await session.query('ROLLBACK', []);
  } catch {
    // The error of `work` is the one to report. The server rolls back when the connection is closed.
    session.release(true);
  }
}

function startStatement({ isolation = 'read committed' }: TransactionOptions): string {
  return `START TRANSACTION ISOLATION LEVEL ${isolation}`;
}

class SessionTransaction implements Transaction {
  readonly #session: Session;
  #isFinished = false;

  constructor(session: Session) {
    this.#session = session;
  }

  async query<R extends object = Row>(
    sql: string,
    parameters: readonly unknown[] = [],
    options: QueryOptions = {},
  ): Promise<Result<R>> {
    return await statement<R>(this.#open(), sql, parameters, options);
  }

  async script(sql: string): Promise<void> {
    await converted(this.#open().script(sql));
  }

  async copyIn(table: string, columns: readonly string[], rows: CopyRows): Promise<number> {
    const session = this.#open();
    let count = 0;
    let thrown: unknown;
    async function* texts(): AsyncGenerator<string> {
      try {
        for await (const chunk of copyChunks(rows, columns.length)) {
          count += chunk.rows;
          yield chunk.text;
        }
      } catch (error) {
        thrown = error;
        throw error;
      }
    }
    try {
      await session.copy(copyStatement(table, columns), texts());
    } catch (error) {
      throw error === thrown ? error : databaseErrorFrom(error);
    }
    return count;
  }

  async notify(channel: string, payload: string): Promise<void> {
    await this.query(...notifyStatement(channel, payload));
  }

  finish(): void {
    this.#isFinished = true;
  }

  #open(): Session {
    if (this.#isFinished) throw new TailraceError('closed', 'the transaction has finished; use the database');
    return this.#session;
  }
}

function notifyStatement(channel: string, payload: string): [sql: string, parameters: string[]] {
  assertChannel(channel);
  const bytes = Buffer.byteLength(payload);
  if (bytes > payloadBytesMax)
    throw new TailraceError('too_large', `notification: expected at most ${payloadBytesMax} bytes, got ${bytes}`);
  return ['SELECT pg_notify($1, $2)', [channel, payload]];
}

function assertChannel(channel: string): void {
  const bytes = Buffer.byteLength(channel);
  if (bytes < 1 || bytes > channelBytesMax)
    throw new TailraceError(
      'invalid_message',
      `channel: expected 1 to ${channelBytesMax} bytes, got ${shown(channel)}`,
    );
}
