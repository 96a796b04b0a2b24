import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateLimit } from './rate-limit.ts';

/** Returns how many of `count` events at `nowMs` are accepted, and the state after them. */
function accept(limit: RateLimit, tatMs: number, nowMs: number, count: number): { accepted: number; tatMs: number } {
  let accepted = 0;
  for (let i = 0; i < count; i++) {
    const next = limit.take(tatMs, nowMs);
    if (next === undefined) continue;
    tatMs = next;
    accepted++;
  }
  return { accepted, tatMs };
}

test('after a pause a burst is accepted, and after it the even rate and no more', () => {
  const limit = new RateLimit(10, 5);
  let { accepted, tatMs } = accept(limit, 0, 1_000, 100);
  assert.equal(accepted, 5);
  let more = 0;
  for (let ms = 1_001; ms <= 11_000; ms++) {
    ({ accepted, tatMs } = accept(limit, tatMs, ms, 3));
    more += accepted;
  }
  assert.equal(more, 100);
});

test('after as long as the burst takes at the even rate it is available again, and the state may be forgotten', () => {
  const limit = new RateLimit(10, 5);
  const { tatMs } = accept(limit, 0, 1_000, 100);
  assert.equal(limit.left(tatMs, 1_000), 0);
  assert.equal(limit.left(tatMs, 1_100), 1);
  assert.ok(!limit.hasFullBurst(tatMs, 1_499));
  assert.ok(limit.hasFullBurst(tatMs, 1_500));
  assert.equal(limit.left(tatMs, 1_500), 5);
  assert.equal(accept(limit, tatMs, 60_000, 100).accepted, 5, 'no more than the burst, however long the pause');
});

test('several events are accepted together or not at all, after the time that `waitMs` returns', () => {
  const limit = new RateLimit(10, 5);
  const tatMs = limit.take(0, 1_000, 3)!;
  assert.equal(limit.left(tatMs, 1_000), 2);
  assert.equal(limit.take(tatMs, 1_000, 3), undefined);
  assert.equal(limit.waitMs(tatMs, 1_000, 2), 0);
  const waitMs = limit.waitMs(tatMs, 1_000, 3);
  assert.ok(Math.abs(waitMs - 100) < 1e-3, `${waitMs}`);
  assert.equal(limit.take(tatMs, 1_099, 3), undefined);
  assert.equal(limit.left(limit.take(tatMs, 1_100, 3)!, 1_100), 0);
});

test('more events than the burst are accepted when the full burst is available, and delay the following ones', () => {
  const limit = new RateLimit(10, 5);
  const tatMs = limit.take(0, 1_000, 20)!;
  assert.equal(tatMs, 3_000);
  assert.equal(limit.waitMs(tatMs, 1_000, 20), 2_000);
  assert.equal(limit.waitMs(tatMs, 1_000), 1_600);
  assert.equal(limit.take(tatMs, 2_999, 20), undefined);
  assert.equal(limit.take(tatMs, 3_000, 20), 5_000);
});
