import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultOf } from '../test/faults.ts';
import { assertSourceTime, clockAheadMsMax, effectiveTime } from './source-time.ts';

const nowMs = 1_700_000_000_000;
const fault = (value: unknown) => faultOf(() => assertSourceTime(value, 'time'), 'invalid_report').message;

test('a time in another unit than milliseconds is refused, and the error names the unit', () => {
  assert.equal(
    fault(1634567890),
    'time: expected milliseconds since 1970, got 1634567890, which would be 1970-01-19; it looks like seconds',
  );
  assert.match(fault(1634567890.5), /it looks like seconds$/);
  assert.match(
    fault(1634567890123456),
    /got 1634567890123456, which would be the year 53767; it looks like microseconds$/,
  );
  assert.match(fault(1.634567890123e18), /it looks like nanoseconds$/);
  assert.match(fault(12345), /got 12345, which would be 1970-01-01; a device without a clock leaves it out$/);
  for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY, '2024-01-01', true, {}])
    assert.match(fault(value), /^time: expected milliseconds since 1970, got [^;]+$/);
});

test('every moment from 1980 to 2100 is taken in milliseconds, and refused in the other units', () => {
  for (let year = 1980; year <= 2100; year++) {
    const timeMs = Date.UTC(year);
    assertSourceTime(timeMs, 'time');
    assert.match(fault(timeMs / 1e3), /seconds$/);
    assert.match(fault(timeMs * 1e3), /microseconds$/);
    assert.match(fault(timeMs * 1e6), /nanoseconds$/);
  }
  // Two thousand years ahead is a wrong clock, not another unit.
  assertSourceTime(Date.UTC(4025), 'time');
});

test("a reading's own time counts before the report's", () => {
  assert.equal(effectiveTime({ time: 5, received: 9 }, undefined), 5);
  assert.equal(effectiveTime({ time: 5, received: 9 }, 3), 3);
  assert.equal(effectiveTime({ time: 5 }, 7), 7, 'without a receiving time there is nothing to order by but the time');
});

test('what is ahead of its receipt counts as received then, where ingest says so or would have', () => {
  const ahead = { time: nowMs + 120_000, received: nowMs, clock: 'ahead' } as const;
  assert.equal(effectiveTime(ahead, undefined), nowMs);
  assert.equal(effectiveTime(ahead, nowMs + 7), nowMs);
  assert.equal(effectiveTime(ahead, nowMs - 7), nowMs - 7, 'one that is not ahead is as good as any');
  const { clock: _, ...unmarked } = ahead;
  assert.equal(effectiveTime(unmarked, undefined), nowMs + 120_000, 'a small lead is tolerated by ingest');
  assert.equal(effectiveTime({ ...unmarked, time: nowMs + clockAheadMsMax + 1 }, undefined), nowMs);
});
