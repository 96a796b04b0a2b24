import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { CronTimes } from './cron.ts';

/*
 * The reference knows no rules of time zones. It asks Intl for the local time of each minute, and finds a time that an
 * expression names as a reader of a clock on the wall would.
 */

const minuteMs = 60_000;

interface Minute {
  readonly ms: number;
  /** Local time as a number that is ordered within a day. */
  readonly day: string;
  readonly time: number;
}

function minutesOf(timeZone: string, fromMs: number, toMs: number): readonly Minute[] {
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  const minutes: Minute[] = [];
  for (let ms = fromMs; ms < toMs; ms += minuteMs) {
    const [day, time] = format.format(ms).split(', ');
    const [hour, minute] = time!.split(':').map(Number);
    minutes.push({ ms, day: day!, time: hour! * 60 + minute! });
  }
  return minutes;
}

/** Each named time of each day once: at its first occurrence, or at the first minute after it. */
function namedTimes(minutes: readonly Minute[], hours: readonly number[], ofHour: readonly number[]): number[] {
  const found = new Set<number>();
  for (const day of new Set(minutes.map((each) => each.day))) {
    const ofDay = minutes.filter((each) => each.day === day);
    // Days of which only a part is known.
    if (ofDay[0] === minutes[0] || ofDay.at(-1) === minutes.at(-1)) continue;
    for (const hour of hours)
      for (const minute of ofHour) {
        const time = hour * 60 + minute;
        const at = ofDay.find((each) => each.time === time) ?? ofDay.find((each) => each.time > time);
        if (at !== undefined) found.add(at.ms);
      }
  }
  return [...found].sort((a, b) => a - b);
}

/** Every minute whose local time has one of these minutes. */
function elapsedTimes(minutes: readonly Minute[], ofHour: readonly number[]): number[] {
  return minutes.filter((each) => ofHour.includes(each.time % 60)).map((each) => each.ms);
}

/** Days with a change of the clock, found without rules: the offset at noon differs from that of the day before. */
function changes(timeZone: string, firstYear: number, lastYear: number): number[] {
  const hourAt = new Intl.DateTimeFormat('en', { timeZone, hour: 'numeric', minute: 'numeric', hourCycle: 'h23' });
  const days: number[] = [];
  for (let ms = Date.UTC(firstYear, 0, 1); ms < Date.UTC(lastYear + 1, 0, 1); ms += 86_400_000)
    if (hourAt.format(ms) !== hourAt.format(ms - 86_400_000)) days.push(ms);
  return days;
}

const quarters = [0, 15, 30, 45];
const range = (first: number, last: number, step = 1) =>
  Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, n) => first + n * step);

const named: readonly (readonly [string, readonly number[], readonly number[]])[] = [
  ['30 2 * * *', [2], [30]],
  ['0 2 * * *', [2], [0]],
  ['45 1 * * *', [1], [45]],
  ['15 2 * * *', [2], [15]],
  ['*/15 1,2 * * *', [1, 2], quarters],
  ['*/15 1-3 * * *', [1, 2, 3], quarters],
  ['0 */2 * * *', range(0, 23, 2), [0]],
  ['20-40/10 0-23/3 * * *', range(0, 23, 3), [20, 30, 40]],
  ['* 2 * * *', [2], range(0, 59)],
];

const elapsed: readonly (readonly [string, readonly number[]])[] = [
  ['0 * * * *', [0]],
  ['@hourly', [0]],
  ['*/15 * * * *', quarters],
  ['15,45 0-23 * * *', [15, 45]],
];

for (const timeZone of ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe']) {
  test(`${timeZone}: around each change of the clock, no time is skipped or doubled`, () => {
    const days = changes(timeZone, 2026, 2028);
    assert.equal(days.length, 6, 'two changes a year');
    for (const changeMs of days) {
      const [fromMs, toMs] = [changeMs - 2 * 86_400_000, changeMs + 86_400_000];
      const minutes = minutesOf(timeZone, fromMs, toMs);
      const check = (expression: string, expected: readonly number[]) => {
        const times = new CronTimes(expression, timeZone, fromMs);
        const got: number[] = [];
        for (let at = times.after(expected[0]! - 1); at !== undefined && at <= expected.at(-1)!; at = times.after(at))
          got.push(at);
        const shown = (list: readonly number[]) => list.map((ms) => new Date(ms).toISOString());
        assert.deepEqual(shown(got), shown(expected), `${expression} around ${new Date(changeMs).toISOString()}`);
      };
      for (const [expression, hours, ofHour] of named) check(expression, namedTimes(minutes, hours, ofHour));
      for (const [expression, ofHour] of elapsed) check(expression, elapsedTimes(minutes, ofHour));
    }
  });
}

test('a time in the gap runs at the first valid instant, and one that occurs twice runs once', () => {
  const gap = new CronTimes('30 2 * * *', 'Europe/Berlin', 0);
  assert.equal(gap.after(Date.UTC(2026, 2, 28, 12)), Date.UTC(2026, 2, 29, 1));
  const fold = new CronTimes('30 2 * * *', 'Europe/Berlin', 0);
  assert.deepEqual(fold.next(2, Date.UTC(2026, 9, 24, 12)), [
    Date.UTC(2026, 9, 25, 0, 30),
    Date.UTC(2026, 9, 26, 1, 30),
  ]);
});

test('the next five times are returned', () => {
  const times = new CronTimes('0 22 * * MON-FRI', 'UTC', 0).next(5, Date.UTC(2026, 10, 27, 22));
  assert.deepEqual(
    times.map((ms) => new Date(ms).toISOString().slice(0, 13)),
    ['2026-11-30T22', '2026-12-01T22', '2026-12-02T22', '2026-12-03T22', '2026-12-04T22'],
  );
});

test('seconds are an optional first field', () => {
  const times = new CronTimes('*/20 * * * * *', 'UTC', 0).next(3, 1_000);
  assert.deepEqual(times, [20_000, 40_000, 60_000]);
});

test('an invalid expression or time zone is refused with what was expected', () => {
  const reason = (expression: string, timeZone = 'UTC') => {
    try {
      new CronTimes(expression, timeZone, Date.UTC(2026, 0, 1));
    } catch (error) {
      assert.ok(isTailraceError(error) && error.code === 'invalid_message', String(error));
      return error.message;
    }
    return assert.fail(`${expression} ${timeZone} was accepted`);
  };
  assert.equal(reason('61 * * * *'), 'cron: expected a minute from 0 to 59, got 61 in "61 * * * *"');
  assert.match(reason('0 24 * * *'), /expected an hour from 0 to 23, got 24/);
  assert.match(reason('0 0 0 1 13 *'), /expected a month from 1 to 12, got 13/);
  assert.match(reason('*/5/7 0 * * *'), /^cron: expected minute, hour/);
  assert.match(reason('* * * *'), /it has 4 fields/);
  assert.match(reason('0 0 1 1 * 2030 7'), /it has 7 fields/);
  assert.match(reason('? * * * *'), /it contains "\?"/);
  assert.match(reason('0 0 30 2 *'), /no time in the years to come/);
  assert.match(reason(`0 0 ${'1,'.repeat(200)}1 * *`), /characters; at most 200/);
  assert.match(reason('0 0 * * *', 'Mars/Olympus'), /^timeZone: expected .*got "Mars\/Olympus"/);
  assert.match(reason('0 0 * * *', '+02:00'), /^timeZone: expected/);
  assert.match(reason('0 0 * * *', ''), /^timeZone: expected/);
});
