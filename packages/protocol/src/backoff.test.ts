import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs } from './backoff.ts';

test('a wait is between 0 and a bound that doubles up to the cap', () => {
  const options = { baseMs: 100, capMs: 1000 };
  const bounds = [0, 1, 2, 3, 4, 5000].map((attempt) => backoffMs(attempt, () => 1, options));
  assert.deepEqual(bounds, [100, 200, 400, 800, 1000, 1000]);
  assert.equal(
    backoffMs(3, () => 0, options),
    0,
  );
});
