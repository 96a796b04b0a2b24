import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DelayCounts } from '../devices/delay-counts.ts';
import { waitOfShare } from './loop-delay.ts';

test('an event meets a long turn of the event loop as often as that is long', () => {
  const gaps = new DelayCounts();
  for (let n = 0; n < 975; n++) gaps.add(1);
  gaps.add(25);
  // 25 of 1,000 ms: one event in a hundred waits for more than 15 ms of it.
  assert.ok(Math.abs(waitOfShare(gaps, 0.01) - 15) < 0.1);
  const even = new DelayCounts();
  for (let n = 0; n < 1_000; n++) even.add(1);
  assert.ok(waitOfShare(even, 0.01) <= 1);
});
