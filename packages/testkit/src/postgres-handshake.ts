import { createPgDatabase } from '@tailrace/database/pg';
import { silentLogger } from '@tailrace/platform/logger';

/** Where a server is, and as whom to connect. */
export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** Returns `postgres://user:password@host:port/database`. */
export function postgresUrl({ host, port, user, password, database }: PostgresAddress): string {
  const credentials = [user, password].filter((part) => part !== '').map(encodeURIComponent);
  return `postgres://${credentials.join(':')}@${host}:${port}/${encodeURIComponent(database)}`;
}

/** Runs one statement of an administrator on a connection of its own. Resolves with its number of rows. */
export async function runStatement(url: string, sql: string, deadlineMs: number): Promise<number> {
  const database = createPgDatabase({ url, logger: silentLogger, connectionsMax: 1, acquireTimeoutMs: deadlineMs });
  try {
    return (await database.query(sql)).rowCount;
  } finally {
    await database.close();
  }
}

/** Resolves with true if the server runs statements; rejects otherwise. */
export async function acceptsStatements(address: PostgresAddress, deadlineMs: number): Promise<boolean> {
  await runStatement(postgresUrl(address), 'SELECT 1', deadlineMs);
  return true;
}
