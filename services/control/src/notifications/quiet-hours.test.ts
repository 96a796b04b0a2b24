import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { type QuietHours, quietHoursSchema, quietUntil } from './quiet-hours.ts';

const hoursOf = (rest: object = {}): QuietHours =>
  quietHoursSchema.parse({ timeZone: 'Europe/Berlin', from: '22:00', to: '06:00', ...rest });
const at = (text: string) => Date.parse(text);
const until = (hours: QuietHours, text: string) => {
  const end = quietUntil(hours, at(text));
  return end === undefined ? undefined : new Date(end).toISOString();
};

test('a night is quiet by the local time, from its first minute until before its last', () => {
  const night = hoursOf();
  // Berlin is one hour ahead of UTC in winter.
  assert.equal(until(night, '2026-01-15T20:59:59Z'), undefined);
  assert.equal(until(night, '2026-01-15T21:00:00Z'), '2026-01-16T05:00:00.000Z');
  assert.equal(until(night, '2026-01-16T04:59:59.999Z'), '2026-01-16T05:00:00.000Z');
  assert.equal(until(night, '2026-01-16T05:00:00Z'), undefined);
  // And two in summer.
  assert.equal(until(night, '2026-07-15T20:00:00Z'), '2026-07-16T04:00:00.000Z');
});

test('a night with a change of the clock is quiet until its local end', () => {
  // 29 March 2026: 02:00 becomes 03:00; 25 October 2026: 03:00 becomes 02:00.
  assert.equal(until(hoursOf(), '2026-03-28T21:30:00Z'), '2026-03-29T04:00:00.000Z');
  assert.equal(until(hoursOf(), '2026-10-24T20:30:00Z'), '2026-10-25T05:00:00.000Z');
  // An end that does not exist is the first minute after the gap.
  assert.equal(until(hoursOf({ to: '02:30' }), '2026-03-29T00:30:00Z'), '2026-03-29T01:00:00.000Z');
});

test('the days are those on which quiet hours start', () => {
  const weekend = hoursOf({ from: '20:00', to: '08:00', days: ['fri', 'sat'] });
  // 16 January 2026 is a Friday.
  assert.equal(until(weekend, '2026-01-15T22:00:00Z'), undefined);
  assert.equal(until(weekend, '2026-01-16T22:00:00Z'), '2026-01-17T07:00:00.000Z');
  assert.equal(until(weekend, '2026-01-18T06:00:00Z'), '2026-01-18T07:00:00.000Z', 'Sunday morning');
  assert.equal(until(weekend, '2026-01-18T22:00:00Z'), undefined);
});

test('hours within one day', () => {
  const noon = hoursOf({ timeZone: 'Asia/Kolkata', from: '12:00', to: '13:30' });
  assert.equal(until(noon, '2026-01-15T06:29:00Z'), undefined);
  assert.equal(until(noon, '2026-01-15T06:30:00Z'), '2026-01-15T08:00:00.000Z');
});

test('whatever the time zone and the hours: the end is later, not quiet, and the minute before it is quiet', () => {
  const time = fc
    .tuple(fc.nat(23), fc.nat(59))
    .map(([hour, minute]) => `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`);
  const zones = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'UTC'];
  const moment = fc.integer({ min: at('2026-01-01T00:00:00Z'), max: at('2027-01-01T00:00:00Z') });
  fc.assert(
    fc.property(time, time, fc.constantFrom(...zones), moment, (from, to, timeZone, nowMs) => {
      if (from === to) return;
      const hours = hoursOf({ timeZone, from, to });
      const end = quietUntil(hours, nowMs);
      if (end === undefined) return;
      assert.ok(end > nowMs && end - nowMs <= 26 * 3_600_000);
      assert.equal(quietUntil(hours, end), undefined);
      assert.notEqual(quietUntil(hours, Math.max(nowMs, end - 60_000)), undefined);
    }),
    fuzzed(300),
  );
});

test('hours that are none are refused with what was expected', () => {
  for (const [rest, message] of [
    [{ timeZone: 'Berlin' }, /a time zone as in Europe\/Berlin/],
    [{ from: '24:00' }, /a time as in 22:00/],
    [{ from: '06:00' }, /expected different times/],
    [{ days: ['monday'] }, /mon/],
  ] as const) {
    const { error } = quietHoursSchema.safeParse({ timeZone: 'UTC', from: '22:00', to: '06:00', ...rest });
    assert.match(error!.issues.map((issue) => issue.message).join(), message);
  }
});
