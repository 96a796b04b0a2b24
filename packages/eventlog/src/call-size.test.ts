import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callSize } from './call-size.ts';

test('a call has at most 500 records, and four times as many with a backlog', () => {
  assert.deepEqual(
    [1, 500, 4_000].map((waiting) => callSize(waiting, 100 * waiting)),
    [500, 500, 500],
  );
  assert.deepEqual(
    [4_001, 1_000_000].map((waiting) => callSize(waiting, 100 * waiting)),
    [2_000, 2_000],
  );
  assert.deepEqual(
    [40, 41].map((waiting) => callSize(waiting, 100 * waiting, 5)),
    [5, 20],
  );
});

test('a call has at most 128 KB, four times as many with a backlog, and at least one record', () => {
  const tenKb = 10 * 1_024;
  assert.equal(callSize(20, 20 * tenKb), 12);
  assert.equal(callSize(5_000, 5_000 * tenKb), 51);
  assert.equal(callSize(3, 3_000_000), 1);
});
