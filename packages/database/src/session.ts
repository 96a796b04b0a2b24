import type { DatabaseStats, Listening, NotificationListener } from './database.ts';

/** A result in PostgreSQL's text, which `values.ts` decodes. */
export interface SessionResult {
  readonly fields: readonly { readonly name: string; readonly typeId: number }[];
  readonly rows: readonly (readonly (string | null)[])[];
  /** Rows returned or changed. */
  readonly rowCount: number;
  /** The first word of the command tag, such as `COMMIT`. */
  readonly command: string;
}

/** One connection, of one caller until `release`. Statements run in the order of the calls. */
export interface Session {
  query(sql: string, parameters: readonly (string | null)[]): Promise<SessionResult>;
  /** Several statements without parameters. */
  script(sql: string): Promise<void>;
  /** `COPY … FROM STDIN` with its text. In a transaction. Rejects with what `chunks` throws, as it is. */
  copy(sql: string, chunks: AsyncIterable<string>): Promise<void>;
  /** Of the statements of the transaction in progress. */
  setStatementTimeout(limitMs: number): Promise<void>;
  /** Cancels the statement in progress, which rejects with `canceled`. Does nothing without one. */
  cancel(): void;
  /** `broken`: it cannot be used again, because a transaction may be open. Idempotent. */
  release(broken?: boolean): void;
}

/** What an adapter is. Its errors may be the driver's own: `databaseErrorFrom` converts them. */
export interface SessionSource {
  start(): Promise<void>;
  /** Waits for a free connection, within the adapter's limits. */
  acquire(): Promise<Session>;
  listen(channel: string, listener: NotificationListener): Promise<Listening>;
  stats(): DatabaseStats;
  close(): Promise<void>;
}
