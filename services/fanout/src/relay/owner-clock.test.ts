import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnerClock } from './relay-subscriber.ts';

test('a delayed frame has the state of the time at which it was sent, not received', () => {
  const clock = new OwnerClock();
  clock.observe(1, 1_000, 51_003);
  clock.observe(1, 1_500, 51_502);
  clock.observe(1, 2_000, 60_000);
  assert.equal(clock.localMs(2_000), 52_002);
});

test('a frame without delay corrects the estimate from a delayed one', () => {
  const clock = new OwnerClock();
  clock.observe(1, 1_000, 56_000);
  assert.equal(clock.localMs(1_000), 56_000);
  clock.observe(1, 6_500, 56_501);
  assert.equal(clock.localMs(6_500), 56_501);
  assert.equal(clock.localMs(1_000), 51_001);
});

test('another stream epoch may be of another process, whose clock has another start', () => {
  const clock = new OwnerClock();
  clock.observe(1, 900_000, 900_001);
  clock.observe(2, 10, 905_000);
  assert.equal(clock.localMs(10), 905_000);
});

test('clocks that drift apart are followed', () => {
  const clock = new OwnerClock();
  // The owner's clock is slow by a thousandth: the difference grows.
  for (let sentMs = 0; sentMs < 600_000; sentMs += 500) {
    const nowMs = sentMs * 1.001 + 1;
    clock.observe(1, sentMs, nowMs);
    assert.ok(Math.abs(clock.localMs(sentMs) - nowMs) <= 21, `${clock.localMs(sentMs) - nowMs} ms off at ${nowMs}`);
  }
});
