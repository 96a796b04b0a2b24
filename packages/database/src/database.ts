/**
 * The port to PostgreSQL: statements, transactions, bulk copies and notifications. Adapters: `pg` (a server) and
 * `pglite` (PostgreSQL in a worker thread of this process). One contract suite (`test/contract.ts`) tests both.
 *
 * Values are the same in both adapters, see `values.ts`: `bigint` and `int` columns are numbers, `timestamptz` is a
 * `Date`, `numeric` a string, `jsonb` the parsed value, `bytea` a `Uint8Array`.
 *
 * Errors are TailraceErrors: `unavailable` (no connection, or lost during the statement, retryable), `timeout` (a
 * statement, a lock, or a wait for a connection), `conflict` (a constraint, whose name `constraintOf` returns, or a
 * serialization failure, which is retryable), `limit_reached` (too many callers wait, retryable), `canceled` (by its
 * signal), `invalid_message` (a value that its column does not accept), `storage_full`, `forbidden`, `unauthorized`,
 * `closed`, and `internal` for an error in the statement itself, with the server's message in the cause.
 *
 * A statement that fails with `unavailable` or `timeout` outside of a transaction may have happened.
 */
export interface Database extends Queryable {
  /**
   * Connects, and checks that the server accepts statements. Rejects with `unavailable`, `unauthorized`, `not_found`
   * (no such database), or `conflict` where another process has the directory. Once connected, it reconnects by itself
   * without limit.
   */
  start(): Promise<void>;
  /**
   * Calls `work` with a transaction, commits when it resolves and rolls back when it rejects. All statements of `work`
   * go through the transaction: a statement of the database inside of it waits for a second connection, which `pglite`
   * does not have. Never calls `work` twice; `retryTransaction` does.
   */
  transaction<T>(work: (transaction: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Listens on a channel of `NOTIFY`. Resolves when the server has the subscription; during an outage, after it.
   * Continues over reconnects. What a listener throws is logged.
   */
  listen(channel: string, listener: NotificationListener): Promise<Listening>;
  /** Resolves if the server answers a statement now; rejects as a statement does. */
  health(): Promise<void>;
  stats(): DatabaseStats;
  /**
   * Refuses further calls with `closed`, waits for the transactions in progress, at most 5 s, then disconnects.
   * Idempotent.
   */
  close(): Promise<void>;
}

/** What a database and a transaction share. */
export interface Queryable {
  /** Runs one statement with `$1` … as parameters, see `parameterText`. */
  query<R extends object = Row>(
    sql: string,
    parameters?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<Result<R>>;
  /**
   * Inserts rows in bulk, several times faster than statements, all or none. Resolves with their number. `table` and
   * `columns` are names, which are quoted here; a table may have a schema (`history.readings`).
   */
  copyIn(table: string, columns: readonly string[], rows: CopyRows): Promise<number>;
  /** Sends a notification to all listeners of a channel, of a transaction at its commit. At most 7,999 bytes. */
  notify(channel: string, payload: string): Promise<void>;
}

/** Statements on one connection; later ones see what earlier ones have changed. Invalid once `work` has settled. */
export interface Transaction extends Queryable {
  /** Runs several statements without parameters, separated by semicolons. For migrations. */
  script(sql: string): Promise<void>;
}

export type Row = Readonly<Record<string, unknown>>;

export type CopyRows = Iterable<readonly unknown[]> | AsyncIterable<readonly unknown[]>;

export interface Result<R extends object = Row> {
  readonly rows: readonly R[];
  /** Rows that the statement returned or changed. */
  readonly rowCount: number;
}

export interface QueryOptions {
  /** Cancels the statement: it rejects with `canceled`, in a transaction also those that follow. */
  readonly signal?: AbortSignal;
}

export type Isolation = 'read committed' | 'repeatable read' | 'serializable';

export interface TransactionOptions {
  /** Default: `read committed`. */
  readonly isolation?: Isolation;
  /** Maximum of each statement, ms. Default: that of the database. */
  readonly statementTimeoutMs?: number;
}

export interface NotificationListener {
  onNotification(payload: string): void;
  /** Called after an interruption in which notifications may be lost: read the state that they are about. */
  onReconnect(): void;
}

export interface Listening {
  /** The listener is not called again. Idempotent. */
  stop(): Promise<void>;
}

export interface DatabaseStats {
  /** Connections in use, and all that exist. */
  readonly busy: number;
  readonly connections: number;
  readonly connectionsMax: number;
  /** Callers that wait for a connection. */
  readonly waiting: number;
  /** Beyond it a call is rejected with `limit_reached`. */
  readonly waitingMax: number;
  /** Calls rejected with `limit_reached`, and those that waited too long, so far. */
  readonly refused: number;
  /** Connections that were lost so far. */
  readonly lost: number;
  /** Whether the last attempt to reach the server succeeded. */
  readonly connected: boolean;
}
