import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { cacheDirFrom, cached, exists, withFileLock } from './cache.ts';
import { createTempDir } from './tempdir.ts';

/** Above every pid of Linux and macOS. */
const deadPid = 2 ** 30;

test('the cache is the folder of TAILRACE_CACHE, else one in the home folder', () => {
  assert.equal(cacheDirFrom({ TAILRACE_CACHE: '/elsewhere' }), '/elsewhere');
  assert.equal(cacheDirFrom({ HOME: '/home/ada' }), '/home/ada/.cache/tailrace');
  assert.equal(cacheDirFrom({ HOME: '/home/ada', TAILRACE_CACHE: '' }), '/home/ada/.cache/tailrace');
});

test('of many concurrent calls one makes the folder, and all see it complete', async () => {
  const temp = await createTempDir('cache-test');
  let made = 0;
  const read = async () => {
    const dir = await cached(join(temp.path, 'deep'), 'thing', async (unfinished) => {
      made++;
      await writeFile(join(unfinished, 'file'), 'content');
    });
    return await readFile(join(dir, 'file'), 'utf8');
  };
  assert.deepEqual(await Promise.all([read(), read(), read()]), ['content', 'content', 'content']);
  assert.equal(made, 1);
  assert.deepEqual(await readdir(join(temp.path, 'deep')), ['thing']);
  await temp.remove();
});

test('of many tasks in one process that wait for a lock one holds it at a time, and all get it, though it is released meanwhile', async () => {
  const temp = await createTempDir('cache-test');
  const lock = join(temp.path, 'lock');
  await writeFile(lock, String(deadPid));
  let [running, runningMost, ran] = [0, 0, 0];
  const task = async () => {
    runningMost = Math.max(runningMost, ++running);
    await readdir(temp.path);
    running--;
    ran++;
  };
  await Promise.all(Array.from({ length: 20 }, () => withFileLock(lock, task)));
  assert.deepEqual([runningMost, ran], [1, 20]);
  assert.deepEqual(await readdir(temp.path), []);
  await temp.remove();
});

test('a folder that cannot be made leaves nothing behind and may be tried again', async () => {
  const temp = await createTempDir('cache-test');
  const failing = cached(temp.path, 'thing', async (dir) => {
    await writeFile(join(dir, 'half'), '');
    throw new RangeError('network');
  });
  await assert.rejects(failing, new RangeError('network'));
  assert.deepEqual(await readdir(temp.path), []);
  assert.equal(await cached(temp.path, 'thing', async () => {}), join(temp.path, 'thing'));
  await temp.remove();
});

test('the lock of a process that died is taken over', async () => {
  const temp = await createTempDir('cache-test');
  const lock = join(temp.path, 'lock');
  await writeFile(lock, String(deadPid));
  assert.equal(await withFileLock(lock, async () => await readFile(lock, 'utf8')), String(process.pid));
  assert.equal(await exists(lock), false);
  await temp.remove();
});

test('a lock is released when the task fails', async () => {
  const temp = await createTempDir('cache-test');
  const lock = join(temp.path, 'lock');
  const failing = withFileLock(lock, async () => {
    throw new RangeError('no');
  });
  await assert.rejects(failing, new RangeError('no'));
  assert.deepEqual(await readdir(temp.path), []);
  await temp.remove();
});

test('a temp folder is removed with everything in it, and removing it twice does no harm', async () => {
  const temp = await createTempDir('temp-test');
  await mkdir(join(temp.path, 'a', 'b'), { recursive: true });
  await temp.remove();
  await temp.remove();
  assert.equal(await exists(temp.path), false);
});
