import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { createTempDir, type TempDir } from '@tailrace/testkit/tempdir';
import { PgliteDirectory } from './pglite-directory.ts';

let dir: TempDir;
let directory: PgliteDirectory;

beforeEach(async () => {
  dir = await createTempDir('pglite-directory');
  directory = await PgliteDirectory.open(dir.path, createFakeClock(), silentLogger);
});

afterEach(async () => {
  await directory.release();
  await dir.remove();
});

/** Writes files with their own names as their content. */
async function write(...files: string[]): Promise<void> {
  for (const file of files) {
    await mkdir(join(dir.path, file, '..'), { recursive: true });
    await writeFile(join(dir.path, file), file);
  }
}

const read = (file: string) => readFile(join(dir.path, file), 'utf8');

test('an empty folder is new, and so is one whose creation was interrupted', async () => {
  assert.equal(await directory.prepare(), 'new');
  await write('data/PG_VERSION', 'backup.new/PG_VERSION');
  assert.equal(await directory.prepare(), 'new');
  assert.deepEqual((await readdir(dir.path)).sort(), ['tailrace.lock']);
});

test('a store is clean once after it was closed in order, and its process file is removed', async () => {
  await write('data/PG_VERSION', 'data/postmaster.pid');
  await directory.created();
  assert.equal(await directory.prepare(), 'unclean');
  await directory.closed();
  directory = await PgliteDirectory.open(dir.path, createFakeClock(), silentLogger);
  assert.equal(await directory.prepare(), 'clean');
  assert.equal(await directory.prepare(), 'unclean');
  assert.deepEqual((await readdir(directory.data)).sort(), ['PG_VERSION', 'tailrace.created']);
});

test('a store without its data has that of its backup', async () => {
  await write('backup/tailrace.created', 'backup/PG_VERSION', 'backup/postmaster.pid');
  assert.equal(await directory.prepare(), 'unclean');
  assert.equal(await read('data/PG_VERSION'), 'backup/PG_VERSION');
  assert.deepEqual((await readdir(directory.data)).sort(), ['PG_VERSION', 'tailrace.created']);
});

test('a backup takes the place of the damaged data, with the log of that, or without', async () => {
  await write(
    'backup/tailrace.created',
    'backup/base',
    'backup/pg_wal/1',
    'data/base',
    'data/pg_wal/1',
    'data/pg_wal/2',
  );
  await directory.restore({ withLog: true });
  assert.deepEqual(
    [await read('data/base'), await read('data/pg_wal/1'), await read('data/pg_wal/2')],
    ['backup/base', 'data/pg_wal/1', 'data/pg_wal/2'],
  );
  assert.equal(await read('damaged/base'), 'data/base');
  await directory.restore({ withLog: false });
  assert.deepEqual(await readdir(join(directory.data, 'pg_wal')), ['1']);
  assert.equal(await read('data/pg_wal/1'), 'backup/pg_wal/1');
  assert.equal(await read('damaged/base'), 'data/base');
});

test('an attempt to restore that fails leaves the damaged data and its log', async () => {
  // The copy fails in its middle, as on a full disk: a file cannot take the place of a folder.
  await write('backup/tailrace.created', 'backup/pg_wal/2/file', 'data/tailrace.created', 'data/pg_wal/2');
  await assert.rejects(directory.restore({ withLog: true }), { code: 'ERR_FS_CP_NON_DIR_TO_DIR' });
  assert.equal(await directory.prepare(), 'unclean');
  assert.equal(await read('data/pg_wal/2'), 'data/pg_wal/2');
  assert.ok(!(await readdir(dir.path)).includes('data.new'));
});

test('a process that is killed between the two renames finds the log in the damaged data', async () => {
  await write('backup/tailrace.created', 'backup/pg_wal/1', 'damaged/pg_wal/2', 'data.new/base');
  assert.equal(await directory.prepare(), 'unclean');
  assert.deepEqual((await readdir(join(directory.data, 'pg_wal'))).sort(), ['1', '2']);
  assert.deepEqual((await readdir(directory.data)).sort(), ['pg_wal', 'tailrace.created']);
  assert.equal(await read('damaged/pg_wal/2'), 'damaged/pg_wal/2');
});

test('a finished backup replaces the former one', async () => {
  await write('backup/tailrace.created', 'backup.new/tailrace.created', 'backup.new/base/1');
  await directory.finishBackup(1);
  assert.equal(await read('backup/base/1'), 'backup.new/base/1');
  assert.deepEqual((await readdir(dir.path)).sort(), ['backup', 'tailrace.lock']);
});

test('a former backup is used if the process was killed while it put the new one in its place', async () => {
  await write('backup.old/tailrace.created', 'backup.old/base');
  assert.ok(await directory.hasBackup());
  await directory.restore({ withLog: true });
  assert.equal(await read('data/base'), 'backup.old/base');
});
