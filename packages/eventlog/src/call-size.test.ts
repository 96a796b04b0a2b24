import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callSize } from './call-size.ts';

test('a call has at most 500 records, and four times as many with a backlog', () => {
  assert.deepEqual(
    [1, 500, 4_000].map((waiting) => callSize(waiting)),
    [500, 500, 500],
  );
  assert.deepEqual(
    [4_001, 1_000_000].map((waiting) => callSize(waiting)),
    [2_000, 2_000],
  );
  assert.deepEqual(
    [40, 41].map((waiting) => callSize(waiting, 5)),
    [5, 20],
  );
});
