import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { isTailraceError } from '@tailrace/protocol/error';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { open } from 'lmdb';
import type { DiskQueue, QueueItem } from '../src/embedded/disk-queue.ts';
import { createDiskQueue } from '../src/embedded.ts';
import { atEnd, deadlineMs, folder, mountSmall } from './embedded-tools.ts';
import { eventually } from './support.ts';

failOnLeaks();

async function openQueue(t: TestContext, path: string): Promise<DiskQueue> {
  const queue = createDiskQueue({ path, clock: systemClock });
  await queue.open();
  atEnd(t, () => queue.close());
  return queue;
}

const item = (number: number, text = `item ${number}`): QueueItem => ({ number, value: Buffer.from(text) });
const numbersOf = (items: readonly QueueItem[]) => items.map(({ number }) => number);
const all = Number.MAX_SAFE_INTEGER;

test('items are read in the order of their numbers, also beyond 2^32, and after a restart', async (t) => {
  const path = await folder(t);
  const numbers = [2 ** 32 + 1, 7, 2 ** 52, 1, 255, 256];
  const sorted = numbers.toSorted((a, b) => a - b);
  const queue = await openQueue(t, path);
  await queue.put(numbers.map((number) => item(number)));
  assert.deepEqual(numbersOf(queue.read(0, all, 100)), sorted);
  assert.deepEqual(numbersOf(queue.read(2, 2 ** 32, 100)), [7, 255, 256]);
  assert.deepEqual(numbersOf(queue.read(2, 2 ** 32, 2)), [7, 255]);
  assert.deepEqual(queue.read(9, 3, 100), []);
  await queue.close();
  const again = await openQueue(t, path);
  assert.deepEqual(
    again.read(0, all, 100).map(({ value }) => String(value)),
    sorted.map((number) => `item ${number}`),
  );
});

test('it knows its size, also after removals and a restart', async (t) => {
  const path = await folder(t);
  const queue = await openQueue(t, path);
  await queue.put([item(1, 'a'), item(2, 'bb'), item(3, 'ccc')]);
  assert.deepEqual([queue.count, queue.bytes], [3, 3 * 16 + 6]);
  await Promise.all([queue.remove([1, 9]), queue.put([item(4, '')]), queue.remove([3])]);
  assert.deepEqual([queue.count, queue.bytes], [2, 2 * 16 + 2]);
  await queue.remove([2, 2]);
  assert.deepEqual([queue.count, queue.bytes], [1, 16]);
  await queue.close();
  const again = await openQueue(t, path);
  assert.deepEqual([again.count, again.bytes], [1, 16]);
  assert.deepEqual(numbersOf(again.read(0, all, 9)), [4]);
});

test('values of the owner are kept beside the items', async (t) => {
  const path = await folder(t);
  const queue = await openQueue(t, path);
  assert.equal(queue.meta('session'), undefined);
  await queue.putMeta('session', { next: 5 });
  await queue.putMeta('session', { next: 6 });
  assert.deepEqual(queue.meta('session'), { next: 6 });
  await queue.close();
  const again = await openQueue(t, path);
  assert.deepEqual(again.meta('session'), { next: 6 });
  assert.equal(again.count, 0);
});

test('a queue that is open is not opened a second time', async (t) => {
  const path = await folder(t);
  await openQueue(t, path);
  await assert.rejects(createDiskQueue({ path, clock: systemClock }).open(), { code: 'conflict' });
});

test('a file of another version is refused', async (t) => {
  const path = await folder(t);
  const root = open({ path, noSubdir: false, maxDbs: 8 });
  const meta = root.openDB({ name: 'meta', encoding: 'binary', keyEncoding: 'binary' });
  await meta.put(Buffer.from('layout'), Buffer.from('99'));
  await root.close();
  const queue = createDiskQueue({ path, clock: systemClock });
  await assert.rejects(queue.open(), { code: 'invalid_config', message: /expected 1, got 99/ });
  assert.throws(() => queue.read(0, 1, 1), { code: 'closed' });
});

const damages: Readonly<Record<string, (file: Buffer) => Buffer>> = {
  'other content': () => Buffer.alloc(100_000, 'damage'),
  zeros: (file) => file.fill(0),
  'an empty file': () => Buffer.alloc(0),
  'a few bytes': (file) => file.subarray(0, 100),
  'half of its pages': (file) => file.subarray(0, Math.floor(file.length / 8_192) * 4_096),
  'an overwritten first page': (file) => file.fill(0x55, 0, 4_096),
  'an overwritten second page': (file) => file.fill(0x55, 4_096, 8_192),
};

for (const [name, damage] of Object.entries(damages)) {
  test(`a damaged file is refused, and does not crash the process: ${name}`, async (t) => {
    const path = await folder(t);
    const queue = await openQueue(t, path);
    const value = Buffer.alloc(500, 'x');
    await queue.put(Array.from({ length: 1_000 }, (_, number) => ({ number, value })));
    await queue.close();
    const file = join(path, 'data.mdb');
    await writeFile(file, damage(await readFile(file)));
    const error = { code: 'unavailable', message: /data\.mdb is damaged: expected/ };
    await assert.rejects(createDiskQueue({ path, clock: systemClock }).open(), error);
  });
}

test('a full disk refuses items and accepts removals, which make space for items', async (t) => {
  const path = await folder(t);
  mountSmall(t, path, 8);
  const queue = await openQueue(t, path);
  await writeFile(join(path, 'ballast'), new Uint8Array(2_000_000));
  const value = Buffer.alloc(2_000, 'x');
  let next = 1;
  const putUntilRefused = async () => {
    for (;;) {
      try {
        await queue.put(Array.from({ length: 20 }, (_, index) => ({ number: next + index, value })));
        next += 20;
      } catch (thrown) {
        assert.ok(isTailraceError(thrown) && thrown.code === 'storage_full', String(thrown));
        return;
      }
    }
  };
  await putUntilRefused();
  assert.equal(queue.count, next - 1, 'none of the refused ones');
  const first = queue.count;
  assert.ok(first > 500);
  await queue.remove(numbersOf(queue.read(0, all, 500)));
  assert.equal(queue.count, first - 500);
  await eventually('there is space in the file', deadlineMs, async () => {
    const before = next;
    await putUntilRefused();
    if (next === before) await queue.remove(numbersOf(queue.read(0, all, 100)));
    return next > before;
  });
});
