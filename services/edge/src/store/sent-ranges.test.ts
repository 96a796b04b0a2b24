import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry } from './entry.ts';
import { batchId, SentRanges } from './sent-ranges.ts';

const report = new Uint8Array(1);
const entriesOf = (...numbers: number[]): Entry[] =>
  numbers.map((number) => ({ number, report, readings: 1, from: 0, until: 0 }));
const ranges = (...all: (readonly [first: number, last: number])[]): SentRanges => {
  const sent = new SentRanges();
  sent.remember(all.map(([first, last]) => ({ first, last, count: last - first + 1, lossId: '' })));
  return sent;
};
const none = Number.POSITIVE_INFINITY;

test('batches are remembered in the order in which they were sent, each once', () => {
  const sent = ranges([4, 6], [1, 3]);
  sent.remember([{ first: 1, last: 3, count: 3, lossId: '' }]);
  assert.deepEqual(
    sent.all.map(({ first }) => first),
    [4, 1],
  );
  sent.shift(10);
  assert.deepEqual(
    sent.all.map(({ first, last }) => [first, last]),
    [
      [14, 16],
      [11, 13],
    ],
  );
});

test('a batch has nothing of one that is sent again', () => {
  const sent = ranges([8, 9], [3, 4]);
  assert.equal(sent.bound(1, none), 3);
  assert.equal(sent.bound(5, none), 8);
  assert.equal(sent.bound(10, none), none);
  assert.equal(sent.all.length, 2);
});

test('a batch of which entries are gone is forgotten, and one that is being written is awaited', () => {
  const sent = ranges([1, 3], [5, 6]);
  assert.equal(sent.bound(2, 3), 1);
  assert.equal(sent.bound(2, none), 5);
  assert.equal(sent.all.length, 1);
});

test('two batches have the same ID only if they have the same entries', () => {
  const ids = [
    batchId('stream0000', entriesOf(1, 2, 3), ''),
    batchId('stream0000', entriesOf(1, 2, 4), ''),
    batchId('stream0000', entriesOf(1, 3, 4), ''),
    batchId('stream0000', entriesOf(1, 2, 3), 'stream0000-L1'),
    batchId('stream0000', entriesOf(), 'stream0000-L1'),
    batchId('stream0000', entriesOf(), 'stream0000-L2'),
    batchId('stream0000', entriesOf(2 ** 32 + 1, 2 ** 32 + 2), ''),
  ];
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(ids[0], batchId('stream0000', entriesOf(1, 2, 3), ''));
  assert.ok(ids.every((id) => id.length <= 40));
});
