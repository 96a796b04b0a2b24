import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { shown, TailraceError } from '@tailrace/protocol/error';
import Postgrator from 'postgrator';
import { quoted } from './copy-text.ts';
import type { Database, Transaction } from './database.ts';
import { databaseErrorFrom } from './database-error.ts';

export interface MigrationOptions {
  /** Folder of the files `NNN.do.<name>.sql`. */
  readonly directory: string;
  /** The table with the applied migrations; each schema of a service has its own. Default: `schema_version`. */
  readonly table?: string;
}

/** Of `pg_advisory_xact_lock`, any number that no other program uses: `tailrace` in ASCII, its first seven letters. */
const lockKey = '32758391379452771';
const fileForm = /^(\d{3})\.do\.([a-z0-9-]+)\.sql$/;

interface Applied {
  readonly version: number;
  readonly name: string | null;
  readonly md5: string | null;
}

interface MigrationFile {
  readonly version: number;
  readonly file: string;
  readonly md5: string;
}

/**
 * Applies the migrations that the database lacks, in the order of their numbers, all in one transaction: all or none.
 * Resolves with the names of the applied files. Of several processes one migrates, under an advisory lock, and the
 * others wait for it.
 *
 * A file with a lower number than applied ones is applied as well, because ranges of numbers belong to parts of a
 * service; a migration depends on lower numbers alone. Rejects with `invalid_config` for a file that was changed since
 * it was applied, for an applied migration without a file (the schema is of a newer program), and for a file whose name
 * is not of the form. A migration cannot contain statements that refuse a transaction (`CREATE INDEX CONCURRENTLY`).
 */
export async function migrate(database: Database, options: MigrationOptions): Promise<readonly string[]> {
  const { directory, table = 'schema_version' } = options;
  const files = migrationFiles(directory);
  const name = quoted(table);
  return await database.transaction(
    async (transaction) => {
      await transaction.query('SELECT pg_advisory_xact_lock($1)', [lockKey]);
      const postgrator = postgratorOver(transaction, directory, table);
      // Postgrator's own look-up finds a table of any schema.
      await transaction.query(
        `CREATE TABLE IF NOT EXISTS ${name} (version bigint PRIMARY KEY, name text, md5 text, run_at timestamptz)`,
      );
      const { rows } = await transaction.query<Applied>(`SELECT version, name, md5 FROM ${name}`);
      assertKnown(files, rows);
      const applied = new Set(rows.map(({ version }) => version));
      const pending = (await postgrator.getMigrations())
        .filter(({ version }) => !applied.has(version))
        .sort((a, b) => a.version - b.version);
      const names = pending.map(({ version }) => files.find((file) => file.version === version)!.file);
      for (const [i, migration] of pending.entries()) await applyOne(postgrator, migration, names[i]!);
      return names;
    },
    // A migration may rewrite a large table; the lock is waited for as long.
    { statementTimeoutMs: 600_000 },
  );
}

async function applyOne(postgrator: Postgrator, migration: Postgrator.Migration, file: string): Promise<void> {
  try {
    await postgrator.runMigrations([migration]);
  } catch (error) {
    const failed = databaseErrorFrom(error);
    if (failed.retryable) throw failed;
    const reason = failed.cause instanceof Error ? failed.cause.message : failed.message;
    throw new TailraceError('internal', `${file}: the migration fails: ${reason}`, { cause: error });
  }
}

/** Throws `invalid_config` if the files do not explain the applied migrations. */
function assertKnown(files: readonly MigrationFile[], applied: readonly Applied[]): void {
  for (const { version, name, md5 } of applied) {
    const file = files.find((each) => each.version === version);
    if (file === undefined) {
      const newest = files.at(-1)?.file ?? 'none';
      throw invalid(
        `migrations: the database has migration ${version} (${name}), which this program does not know; its newest is ${newest}. Run the newer program, or restore the database from before the upgrade`,
      );
    }
    if (file.md5 !== md5)
      throw invalid(
        `${file.file}: expected the content that was applied (MD5 ${md5}), got ${file.md5}; restore the file, and put the change into a new migration`,
      );
  }
}

function migrationFiles(directory: string): MigrationFile[] {
  const files = readdirSync(directory).map((file) => {
    const version = Number(fileForm.exec(file)?.[1]);
    if (Number.isNaN(version)) throw invalid(`migrations: expected files NNN.do.<name>.sql, got ${shown(file)}`);
    const md5 = createHash('md5')
      .update(readFileSync(join(directory, file), 'utf8'))
      .digest('hex');
    return { version, file, md5 };
  });
  files.sort((a, b) => a.version - b.version);
  files.forEach(({ version, file }, i) => {
    if (files[i + 1]?.version === version)
      throw invalid(`migrations: expected one file with number ${version}, got ${file} and ${files[i + 1]!.file}`);
  });
  return files;
}

function postgratorOver(transaction: Transaction, directory: string, table: string): Postgrator {
  return new Postgrator({
    driver: 'pg',
    migrationPattern: join(directory, '*.sql'),
    schemaTable: table,
    execQuery: async (sql) => {
      const { rows } = await transaction.query(sql);
      return { rows: [...rows] };
    },
    execSqlScript: (sql) => transaction.script(sql),
  });
}

function invalid(message: string): TailraceError {
  return new TailraceError('invalid_config', message);
}
