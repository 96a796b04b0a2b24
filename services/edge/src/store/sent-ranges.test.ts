import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchOf, type Entry } from './entry.ts';
import { batchId, SentRanges } from './sent-ranges.ts';

const report = new Uint8Array(1);
const entriesOf = (...numbers: number[]): Entry[] =>
  numbers.map((number) => ({ number, report, readings: 1, from: 0, until: 0 }));
const batch = (...numbers: number[]) => batchOf('', 'live', entriesOf(...numbers), undefined, false);
const numbersOf = (entries: readonly Entry[]) => entries.map(({ number }) => number);

function ranges(...batches: number[][]): SentRanges {
  const sent = new SentRanges();
  sent.remember(batches.map((numbers) => batch(...numbers)));
  return sent;
}

test('the entries of a batch that was sent are one batch again, whatever the limit', () => {
  const sent = ranges([4, 5, 6], [1, 2, 3]);
  const all = entriesOf(1, 2, 3, 4, 5, 6, 7, 8);
  assert.deepEqual(numbersOf(sent.select(all, 2, Number.POSITIVE_INFINITY)), [1, 2, 3]);
  assert.deepEqual(numbersOf(sent.select(all.slice(3), 8, Number.POSITIVE_INFINITY)), [4, 5, 6]);
  assert.deepEqual(numbersOf(sent.select(all.slice(6), 8, Number.POSITIVE_INFINITY)), [7, 8]);
});

test('entries before such a batch do not become part of it', () => {
  const sent = ranges([3, 4]);
  assert.deepEqual(numbersOf(sent.select(entriesOf(1, 2, 3, 4, 5), 5, Number.POSITIVE_INFINITY)), [1, 2]);
  assert.deepEqual(numbersOf(sent.select(entriesOf(3, 4, 5), 5, Number.POSITIVE_INFINITY)), [3, 4]);
});

test('a batch of which entries are gone is another batch', () => {
  const sent = ranges([1, 2, 3]);
  assert.deepEqual(numbersOf(sent.select(entriesOf(2, 3, 4), 3, Number.POSITIVE_INFINITY)), [2, 3, 4]);
  const bounded = ranges([1, 2, 3]);
  assert.deepEqual(numbersOf(bounded.select(entriesOf(1, 2, 3), 2, 3)), [1, 2]);
  const older = ranges([1, 2]);
  assert.deepEqual(numbersOf(older.select(entriesOf(7, 8), 2, Number.POSITIVE_INFINITY)), [7, 8]);
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
