import { TailraceError } from '@tailrace/protocol/error';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely';
import type { Queryable } from './database.ts';

/**
 * Returns Kysely's typed query builder over the database or over a transaction: `typedQueries<Tables>(transaction)
 * .selectFrom('device').selectAll().execute()`. Compiles to the same SQL with either adapter. Creating one is cheap.
 * Its own transactions are refused: use `Database.transaction`, and build the queries over that.
 */
export function typedQueries<Tables>(queryable: Queryable): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new QueryableDriver(queryable),
      createIntrospector: (kysely) => new PostgresIntrospector(kysely),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
}

class QueryableDriver implements Driver {
  readonly #connection: DatabaseConnection;

  constructor(queryable: Queryable) {
    this.#connection = new QueryableConnection(queryable);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection;
  }

  async beginTransaction(): Promise<void> {
    throw refused('its own transaction', 'Database.transaction');
  }

  async commitTransaction(): Promise<void> {}

  async rollbackTransaction(): Promise<void> {}

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {}
}

class QueryableConnection implements DatabaseConnection {
  readonly #queryable: Queryable;

  constructor(queryable: Queryable) {
    this.#queryable = queryable;
  }

  async executeQuery<R>({ sql, parameters, query }: CompiledQuery): Promise<QueryResult<R>> {
    const { rows, rowCount } = await this.#queryable.query(sql, parameters);
    const isChange = query.kind !== 'SelectQueryNode' && query.kind !== 'RawNode';
    return {
      rows: rows as unknown as R[],
      ...(isChange ? { numAffectedRows: BigInt(rowCount) } : {}),
    };
  }

  // biome-ignore lint/correctness/useYield: part of Kysely's interface.
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw refused('a stream', 'pages with a cursor in WHERE');
  }
}

function refused(what: string, instead: string): TailraceError {
  return new TailraceError('internal', `typed queries: expected ${instead}, got ${what}`);
}
