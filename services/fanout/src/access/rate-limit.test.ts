import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateLimit } from './rate-limit.ts';

/** How many of `count` tries at one moment are taken. */
function taken(limit: RateLimit, mark: number, nowMs: number, count: number): { taken: number; mark: number } {
  let took = 0;
  for (let i = 0; i < count; i++) {
    const next = limit.take(mark, nowMs);
    if (next === undefined) continue;
    mark = next;
    took++;
  }
  return { taken: took, mark };
}

test('who was quiet may send a burst, and after it the even rate and no more', () => {
  const limit = new RateLimit(10, 5);
  let { taken: took, mark } = taken(limit, 0, 1_000, 100);
  assert.equal(took, 5);
  let more = 0;
  for (let ms = 1_001; ms <= 11_000; ms++) {
    ({ taken: took, mark } = taken(limit, mark, ms, 3));
    more += took;
  }
  assert.equal(more, 100);
});

test('after as long as the burst takes at the even rate it is whole again, and nothing need be remembered', () => {
  const limit = new RateLimit(10, 5);
  const { mark } = taken(limit, 0, 1_000, 100);
  assert.equal(limit.left(mark, 1_000), 0);
  assert.equal(limit.left(mark, 1_100), 1);
  assert.ok(!limit.isOver(mark, 1_499));
  assert.ok(limit.isOver(mark, 1_500));
  assert.equal(limit.left(mark, 1_500), 5);
  assert.equal(taken(limit, mark, 60_000, 100).taken, 5, 'no more than the burst, however long the quiet');
});
