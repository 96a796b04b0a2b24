import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorOf } from '../test/errors.ts';
import { assertSourceTime, clockAheadMsMax, effectiveTime } from './source-time.ts';

const nowMs = 1_700_000_000_000;
const messageOf = (value: unknown) => errorOf(() => assertSourceTime(value, 'time'), 'invalid_report').message;

test('a time in another unit than milliseconds is rejected, and the error names the unit', () => {
  assert.equal(
    messageOf(1634567890),
    'time: expected milliseconds since 1970, got 1634567890, which would be 1970-01-19; probably in seconds',
  );
  assert.match(messageOf(1634567890.5), /probably in seconds$/);
  assert.match(
    messageOf(1634567890123456),
    /got 1634567890123456, which would be the year 53767; probably in microseconds$/,
  );
  assert.match(messageOf(1.634567890123e18), /probably in nanoseconds$/);
  assert.match(messageOf(12345), /got 12345, which would be 1970-01-01; a device without a clock leaves it out$/);
  for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY, '2024-01-01', true, {}])
    assert.match(messageOf(value), /^time: expected milliseconds since 1970, got [^;]+$/);
});

test('times from 1980 to 2100 are accepted in milliseconds and rejected in other units', () => {
  for (let year = 1980; year <= 2100; year++) {
    const timeMs = Date.UTC(year);
    assertSourceTime(timeMs, 'time');
    assert.match(messageOf(timeMs / 1e3), /seconds$/);
    assert.match(messageOf(timeMs * 1e3), /microseconds$/);
    assert.match(messageOf(timeMs * 1e6), /nanoseconds$/);
  }
  // Two thousand years ahead is a wrong clock, not another unit.
  assertSourceTime(Date.UTC(4025), 'time');
});

test("a reading's own time takes precedence over the report's", () => {
  assert.equal(effectiveTime({ time: 5, received: 9 }, undefined), 5);
  assert.equal(effectiveTime({ time: 5, received: 9 }, 3), 3);
  assert.equal(effectiveTime({ time: 5 }, 7), 7, 'without `received` only the time counts');
});

test('a time ahead of `received` counts as `received`, where ingest flagged it or would have', () => {
  const ahead = { time: nowMs + 120_000, received: nowMs, clock: 'ahead' } as const;
  assert.equal(effectiveTime(ahead, undefined), nowMs);
  assert.equal(effectiveTime(ahead, nowMs + 7), nowMs);
  assert.equal(effectiveTime(ahead, nowMs - 7), nowMs - 7, 'a time that is not ahead counts unchanged');
  const { clock: _, ...unflagged } = ahead;
  assert.equal(effectiveTime(unflagged, undefined), nowMs + 120_000, 'a small lead is tolerated by ingest');
  assert.equal(effectiveTime({ ...unflagged, time: nowMs + clockAheadMsMax + 1 }, undefined), nowMs);
});
