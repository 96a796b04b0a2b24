import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { Batches } from './batches.ts';

/** Batches of numbers, each of which is in progress until the test settles it. */
function heldBatches(options: { readonly itemsMax?: number; readonly waitingMax?: number } = {}) {
  const runs: { readonly items: readonly number[]; settle(results: readonly (string | TailraceError)[]): void }[] = [];
  const batches = new Batches<number, string>({
    ...options,
    run: (items) => new Promise((resolve) => runs.push({ items, settle: resolve })),
  });
  return { batches, runs };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('items that arrive while a batch is in progress are done together, in their order', async () => {
  const { batches, runs } = heldBatches({ itemsMax: 3 });
  const results = [batches.add(1), batches.add(2)];
  await turn();
  results.push(...[3, 4, 5, 6].map((item) => batches.add(item)));
  assert.deepEqual([runs.length, batches.waiting], [1, 4]);
  runs[0]!.settle(['one', 'two']);
  await turn();
  runs[1]!.settle(['three', 'four', 'five']);
  await turn();
  runs[2]!.settle(['six']);
  assert.deepEqual(await Promise.all(results), ['one', 'two', 'three', 'four', 'five', 'six']);
  assert.deepEqual(
    runs.map(({ items }) => items),
    [[1, 2], [3, 4, 5], [6]],
  );
});

test('an error among the results rejects its item alone', async () => {
  const { batches, runs } = heldBatches();
  const results = Promise.allSettled([batches.add(1), batches.add(2)]);
  await turn();
  runs[0]!.settle([new TailraceError('conflict', 'expected a new one'), 'two']);
  const [first, second] = await results;
  assert.equal(first!.status, 'rejected');
  assert.deepEqual(second, { status: 'fulfilled', value: 'two' });
});

test('a batch that one of its items fails is done item by item', async () => {
  const runs: (readonly number[])[] = [];
  const batches = new Batches<number, number>({
    async run(items) {
      runs.push(items);
      if (items.includes(2)) throw new TailraceError('conflict', 'expected a row that does not exist');
      return items;
    },
  });
  const results = await Promise.allSettled([1, 2, 3].map((item) => batches.add(item)));
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.deepEqual(runs, [[1, 2, 3], [1], [2], [3]]);
});

test('a batch that the database fails is not repeated', async () => {
  let runs = 0;
  const batches = new Batches<number, number>({
    async run() {
      runs++;
      throw new TailraceError('unavailable', 'the connection was lost', { retryable: true });
    },
  });
  const results = await Promise.allSettled([1, 2].map((item) => batches.add(item)));
  assert.deepEqual([results.map(({ status }) => status), runs], [['rejected', 'rejected'], 1]);
});

test('beyond the limit, items are refused, and those that wait are done', async () => {
  const { batches, runs } = heldBatches({ waitingMax: 1 });
  const first = batches.add(1);
  await turn();
  const second = batches.add(2);
  await assert.rejects(batches.add(3), { code: 'limit_reached', retryable: true });
  runs[0]!.settle(['one']);
  await turn();
  runs[1]!.settle(['two']);
  assert.deepEqual(await Promise.all([first, second]), ['one', 'two']);
});
