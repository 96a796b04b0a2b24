import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { keyFrom } from './key.ts';

test('the key is created once, and again if its file is empty, as a full disk leaves it', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'key-'));
  t.after(() => rm(dir, { recursive: true }));
  await writeFile(join(dir, 'key'), '');
  const key = await keyFrom(dir);
  assert.match(key, /^[\w-]{64}$/);
  assert.equal(await keyFrom(dir), key);
});

test('a data folder that is a file is refused with what is expected', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'key-'));
  t.after(() => rm(dir, { recursive: true }));
  const file = join(dir, 'README.md');
  await writeFile(file, '');
  await assert.rejects(
    keyFrom(file),
    /^TailraceError: dataDir: expected a folder that can be written, got ".*README\.md" \(E/,
  );
});

test('concurrent first starts return the same key', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'key-'));
  t.after(() => rm(dir, { recursive: true }));
  const keys = await Promise.all(Array.from({ length: 8 }, () => keyFrom(dir)));
  assert.equal(new Set(keys).size, 1);
  assert.equal(await keyFrom(dir), keys[0]);
  assert.deepEqual(await readdir(dir), ['key']);
});
