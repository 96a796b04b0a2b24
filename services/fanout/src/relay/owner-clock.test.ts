import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnerClock } from './relay-subscriber.ts';

test('a frame that was held up says how things were when it was sent, not when it came', () => {
  const clock = new OwnerClock();
  clock.note(1, 1_000, 51_003);
  clock.note(1, 1_500, 51_502);
  clock.note(1, 2_000, 60_000);
  assert.equal(clock.here(2_000), 52_002);
});

test('where the first frame was held up the next one that was not sets it right', () => {
  const clock = new OwnerClock();
  clock.note(1, 1_000, 56_000);
  assert.equal(clock.here(1_000), 56_000);
  clock.note(1, 6_500, 56_501);
  assert.equal(clock.here(6_500), 56_501);
  assert.equal(clock.here(1_000), 51_001);
});

test('another chain may be of another process, whose clock has another start', () => {
  const clock = new OwnerClock();
  clock.note(1, 900_000, 900_001);
  clock.note(2, 10, 905_000);
  assert.equal(clock.here(10), 905_000);
});

test('clocks that drift apart are followed', () => {
  const clock = new OwnerClock();
  // The owner's runs slow by a thousandth: the difference grows.
  for (let sentMs = 0; sentMs < 600_000; sentMs += 500) {
    const nowMs = sentMs * 1.001 + 1;
    clock.note(1, sentMs, nowMs);
    assert.ok(Math.abs(clock.here(sentMs) - nowMs) <= 21, `${clock.here(sentMs) - nowMs} ms off at ${nowMs}`);
  }
});
