import assert from 'node:assert/strict';
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createWholeFile, writeWholeFile } from './whole-file.ts';

test('a reader of a file that is replaced reads all of the old one, and only the owner may read it', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'whole-file-'));
  t.after(() => rm(dir, { recursive: true }));
  const path = join(dir, 'token');
  await writeWholeFile(path, 'first\n');
  const reader = await open(path);
  t.after(() => reader.close());
  await writeWholeFile(path, 'second\n');
  assert.equal(await reader.readFile('utf8'), 'first\n');
  assert.equal(await readFile(path, 'utf8'), 'second\n');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(dir), ['token']);
});

test('a file that is written several times at once is complete, with the text of one of them', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'whole-file-'));
  t.after(() => rm(dir, { recursive: true }));
  const path = join(dir, 'token');
  const texts = Array.from({ length: 8 }, (_, i) => `${i}`.repeat(10_000 * (i + 1)));
  await Promise.all(texts.map((text) => writeWholeFile(path, text)));
  assert.ok(texts.includes(await readFile(path, 'utf8')));
  assert.deepEqual(await readdir(dir), ['token']);
});

test('a file that exists is not created again', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'whole-file-'));
  t.after(() => rm(dir, { recursive: true }));
  const path = join(dir, 'key');
  const created = await Promise.all(['a', 'b', 'c'].map((text) => createWholeFile(path, text)));
  assert.deepEqual(created.filter(Boolean), [true]);
  assert.equal(await readFile(path, 'utf8'), ['a', 'b', 'c'][created.indexOf(true)]);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(dir), ['key']);
});

test('a file that cannot be written leaves nothing behind', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'whole-file-'));
  t.after(() => rm(dir, { recursive: true }));
  const path = join(dir, 'token');
  await mkdir(join(path, 'folder'), { recursive: true });
  await assert.rejects(writeWholeFile(path, 'text\n'), { syscall: 'rename' });
  assert.deepEqual(await readdir(dir), ['token']);
});
