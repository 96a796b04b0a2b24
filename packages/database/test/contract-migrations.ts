import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTempDir } from '@tailrace/testkit/tempdir';
import type { Database } from '../src/database.ts';
import { migrate } from '../src/migrations.ts';
import { failure, type Promised } from './contract-bench.ts';

export function migrations(promised: Promised): void {
  const test = (promise: string, run: (schema: Schema) => Promise<void>) =>
    promised(promise, async (database) => {
      const dir = await createTempDir('migrations');
      try {
        await run(new Schema(database, dir.path));
      } finally {
        await dir.remove();
      }
    });

  test('migrations are applied once, in the order of their numbers', async (schema) => {
    await schema.write(
      '002.do.fill.sql',
      "INSERT INTO {t} VALUES ('a;b'); -- a comment; with one\nINSERT INTO {t} VALUES ('c')",
    );
    await schema.write('001.do.create.sql', 'CREATE TABLE {t} (id text);');
    assert.deepEqual(await schema.migrate(), ['001.do.create.sql', '002.do.fill.sql']);
    assert.deepEqual(await schema.migrate(), []);
    assert.equal(await schema.rows(), 2);
  });

  test('a lower number that was added later is applied', async (schema) => {
    await schema.write('020.do.create.sql', 'CREATE TABLE {t} (id text)');
    await schema.migrate();
    await schema.write('003.do.other.sql', 'CREATE TABLE {t}_other (id text)');
    assert.deepEqual(await schema.migrate(), ['003.do.other.sql']);
  });

  test('of processes that migrate at once one applies the migrations', async (schema) => {
    await schema.write('001.do.create.sql', 'CREATE TABLE {t} (id text)');
    await schema.write('002.do.fill.sql', "INSERT INTO {t} VALUES ('a')");
    const applied = await Promise.all([schema.migrate(), schema.migrate(), schema.migrate()]);
    assert.equal(applied.flat().length, 2);
    assert.equal(await schema.rows(), 1);
  });

  test('a failed migration leaves nothing', async (schema) => {
    await schema.write('001.do.create.sql', 'CREATE TABLE {t} (id text)');
    await schema.write('002.do.fill.sql', 'INSERT INTO {t} VALUES (1 / 0)');
    const error = await failure(schema.migrate());
    assert.match(error.message, /002\.do\.fill\.sql/);
    assert.match(error.message, /division by zero/);
    await schema.write('002.do.fill.sql', "INSERT INTO {t} VALUES ('a')");
    assert.equal((await schema.migrate()).length, 2);
  });

  test('a migration that was changed after it was applied is refused by its name', async (schema) => {
    await schema.write('001.do.create.sql', 'CREATE TABLE {t} (id text)');
    await schema.migrate();
    await schema.write('001.do.create.sql', 'CREATE TABLE {t} (id text, more text)');
    const error = await failure(schema.migrate());
    assert.deepEqual([error.code, error.retryable], ['invalid_config', false]);
    assert.match(error.message, /^001\.do\.create\.sql: expected the content that was applied/);
  });

  test('a schema of a newer program is refused', async (schema) => {
    await schema.write('001.do.create.sql', 'CREATE TABLE {t} (id text)');
    await schema.write('002.do.newer.sql', 'CREATE TABLE {t}_newer (id text)');
    await schema.migrate();
    await schema.remove('002.do.newer.sql');
    const error = await failure(schema.migrate());
    assert.equal(error.code, 'invalid_config');
    assert.match(
      error.message,
      /migration 2 \(newer\), which this program does not know; its newest is 001\.do\.create/,
    );
  });

  test('files with another name, or the number of another, are refused', async (schema) => {
    await schema.write('1.sql', 'SELECT 1');
    assert.match((await failure(schema.migrate())).message, /expected files NNN\.do\.<name>\.sql, got "1\.sql"/);
    await schema.remove('1.sql');
    await schema.write('001.do.a.sql', 'SELECT 1');
    await schema.write('001.do.b.sql', 'SELECT 1');
    assert.match((await failure(schema.migrate())).message, /one file with number 1/);
  });
}

let schemas = 0;

/** A folder of migrations with its own tables, for which `{t}` stands. */
class Schema {
  readonly #database: Database;
  readonly #dir: string;
  readonly #table = `migrated_${schemas++}`;

  constructor(database: Database, dir: string) {
    this.#database = database;
    this.#dir = dir;
  }

  write(file: string, sql: string): Promise<void> {
    return writeFile(join(this.#dir, file), sql.replaceAll('{t}', this.#table));
  }

  remove(file: string): Promise<void> {
    return rm(join(this.#dir, file));
  }

  migrate(): Promise<readonly string[]> {
    return migrate(this.#database, { directory: this.#dir, table: `${this.#table}_version` });
  }

  async rows(): Promise<number> {
    return (await this.#database.query(`SELECT id FROM ${this.#table}`)).rowCount;
  }
}
