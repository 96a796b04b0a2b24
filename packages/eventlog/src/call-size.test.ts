import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callSize } from './call-size.ts';

test('a call has at most 500 records and 128 KB, and four times as many with a backlog', () => {
  const small = { recordsMax: 500, bytesMax: 131_072 };
  for (const waiting of [1, 500, 4_000]) assert.deepEqual(callSize(waiting), small);
  const large = { recordsMax: 2_000, bytesMax: 524_288 };
  for (const waiting of [4_001, 1_000_000]) assert.deepEqual(callSize(waiting), large);
  assert.deepEqual(
    [40, 41].map((waiting) => callSize(waiting, 5).recordsMax),
    [5, 20],
  );
});
