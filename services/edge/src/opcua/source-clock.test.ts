import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SourceClock } from './source-clock.ts';

test('the offset is that of the value with the least delay', () => {
  const clock = new SourceClock();
  assert.equal(clock.timeAt(1_000), 1_000);
  clock.observed(4_000, 5_000);
  clock.observed(5_900, 6_000);
  clock.observed(6_000, 7_000);
  assert.equal(clock.offsetMs, -100);
  assert.equal(clock.timeAt(10_000), 9_900);
});

test('until a value has changed, the clock of the server counts', () => {
  const clock = new SourceClock();
  clock.serverTime(2_000, 1_000);
  assert.equal(clock.offsetMs, 1_000);
  clock.observed(500, 1_000);
  assert.equal(clock.offsetMs, -500, 'a PLC behind the server has another clock');
});

test('a clock that is set takes effect after two windows', () => {
  const clock = new SourceClock();
  clock.observed(3_600_000, 0);
  for (let nowMs = 0; nowMs <= 1_300_000; nowMs += 10_000) clock.observed(nowMs, nowMs);
  assert.equal(clock.offsetMs, 0);
});
