import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { embeddedTemplate } from '@tailrace/testkit/embedded-database';
import { createInbox } from '@tailrace/testkit/eventually';
import { createTempDir, type TempDir } from '@tailrace/testkit/tempdir';
import type { Database } from '../src/database.ts';
import { createPgliteDatabase } from '../src/pglite.ts';
import { failure } from './contract-bench.ts';

const backupBytes = 1_048_576;
const rowCount = 400;

let dir: TempDir;
let store: string;
let template: string;

before(async () => {
  dir = await createTempDir('pglite-damage');
  store = join(dir.path, 'store');
  template = await embeddedTemplate();
});

after(() => dir.remove());

async function used<T>(use: (database: Database) => Promise<T>): Promise<T> {
  const database = createPgliteDatabase({ directory: store, logger: silentLogger, template, backupBytes });
  await database.start();
  try {
    return await use(database);
  } finally {
    await database.close();
  }
}

async function logFiles(): Promise<string[]> {
  const files = await readdir(join(store, 'data/pg_wal'));
  return files.filter((file) => /^[0-9A-F]{24}$/.test(file)).map((file) => join(store, 'data/pg_wal', file));
}

test('the log of the store stays bounded, and a second opener is refused', async () => {
  await used(async (database) => {
    const first = await stat(join(store, 'backup'));
    await database.query('CREATE TABLE row (n int, text text)');
    // Not compressible.
    const text = randomBytes(5_000).toString('hex');
    for (let n = 0; n < rowCount; n++) await database.query('INSERT INTO row VALUES ($1, $2)', [n, text]);
    const second = createPgliteDatabase({ directory: store, logger: silentLogger });
    const error = await failure(second.start());
    assert.equal(error.code, 'conflict');
    assert.match(error.message, /is in use by this process: stop it, or use another data folder/);
    assert.ok((await logFiles()).length <= 12, `${(await logFiles()).length} MiB of log`);
    assert.notEqual((await stat(join(store, 'backup'))).ino, first.ino, 'no later backup');
  });
});

test('a store whose thread hangs starts again, with its listeners', async () => {
  const other = join(dir.path, 'other');
  const limits = { statementTimeoutMs: 1_000, acquireTimeoutMs: 20_000 };
  const database = createPgliteDatabase({ directory: other, logger: silentLogger, template, ...limits });
  await database.start();
  const seen = createInbox<string>();
  await database.listen('rules', {
    onNotification: (payload) => seen.put(payload),
    onReconnect: () => seen.put('(reconnected)'),
  });
  await database.query('CREATE TABLE row (n int)');
  // PostgreSQL stops when it cannot write its log, which hangs in PGlite.
  await rm(join(other, 'data/pg_wal'), { recursive: true });
  const insert = 'INSERT INTO row SELECT generate_series(1, 5000)';
  while (database.stats().lost === 0) await database.query(insert).catch(() => undefined);
  await seen.atLeast(1);
  await database.notify('rules', 'after');
  await seen.atLeast(2);
  assert.deepEqual(seen.all, ['(reconnected)', 'after']);
  await database.close();
});

test('a store that is damaged opens with every row, from its backup and its log', async () => {
  await truncate(join(store, 'data/global/pg_control'), 100);
  await rm(join(store, 'data/base'), { recursive: true });
  await used(async (database) => {
    const { rows } = await database.query<{ n: number }>('SELECT count(*) AS n FROM row');
    assert.equal(rows[0]!.n, rowCount);
  });
  assert.equal((await stat(join(store, 'damaged/global/pg_control'))).size, 100);
});

test('a store whose log is damaged as well opens with the rows of its backup', async () => {
  await truncate(join(store, 'data/global/pg_control'), 0);
  for (const file of await logFiles()) await writeFile(file, 'x'.repeat(1_048_576));
  await used(async (database) => {
    const { rows } = await database.query<{ n: number }>('SELECT count(*) AS n FROM row');
    assert.ok(rows[0]!.n > 0 && rows[0]!.n <= rowCount, `${rows[0]!.n} rows`);
  });
});
