import assert from 'node:assert/strict';
import { mkdtemp, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeWholeFile } from './whole-file.ts';

test('who reads a file while it is replaced reads the old one to its end, and the file is for its owner alone', async (t) => {
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
