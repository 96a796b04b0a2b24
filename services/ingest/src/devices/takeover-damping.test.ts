import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TakeoverDamping } from './takeover-damping.ts';

const contender = (instance: string, lastReceivedMs: number) => ({ instance, lastReceivedMs });

test('the fourth takeover in a minute waits, and the wait doubles up to half a minute', () => {
  const damping = new TakeoverDamping();
  const waits = Array.from({ length: 11 }, (_, index) => {
    const nowMs = 1_000 * index;
    return damping.count('plant1.a', contender('a', nowMs), 'b', nowMs).waitMs;
  });
  assert.deepEqual(waits, [0, 0, 0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

test('the waiting stops by itself after a minute without a fight', () => {
  const damping = new TakeoverDamping();
  for (let count = 0; count < 6; count++) damping.count('plant1.a', contender('', 0), '', 0);
  assert.deepEqual(damping.count('plant1.a', contender('', 60_000), '', 60_000), {
    ...{ isFight: true, waitMs: 0, count: 1, isReported: false },
  });
});

test('a device that reconnects with the same instance is never damped, and one without an instance is', () => {
  const damping = new TakeoverDamping();
  for (let count = 0; count < 10; count++)
    assert.equal(damping.count('plant1.a', contender('boot 1', 0), 'boot 1', 0).waitMs, 0);
  for (let count = 0; count < 3; count++) damping.count('plant1.a', contender('', 0), '', 0);
  assert.equal(damping.count('plant1.a', contender('', 0), '', 0).waitMs, 1_000);
});

test('a takeover of an idle session is no fight', () => {
  const damping = new TakeoverDamping();
  for (let count = 0; count < 10; count++) {
    const takeover = damping.count('plant1.a', contender('a', 0), 'b', 10_000);
    assert.deepEqual([takeover.isFight, takeover.waitMs], [false, 0]);
  }
});

test('operators are notified of a device once a minute, from the first delay on', () => {
  const damping = new TakeoverDamping();
  const reported: number[] = [];
  for (let nowMs = 0; nowMs < 130_000; nowMs += 5_000)
    if (damping.count('plant1.a', contender('', nowMs), '', nowMs).isReported) reported.push(nowMs);
  assert.deepEqual(reported, [15_000, 75_000]);
});

test('the fights of many devices take bounded memory', () => {
  const damping = new TakeoverDamping();
  for (let device = 0; device < 10_050; device++) damping.count(`plant1.d${device}`, contender('', 0), '', 0);
  assert.equal(damping.size, 10_000);
});
