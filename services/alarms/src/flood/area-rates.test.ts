import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { AreaRates } from './area-rates.ts';

const { Event, AlarmCause } = tailrace.v1;
const minuteMs = 60_000;
const flood = 'plant1.line3.alarm_flood';
const counter = 40;

function raised(device: string, fields: tailrace.v1.IAlarmTransition = {}): Uint8Array {
  const cause = AlarmCause.ALARM_CAUSE_RAISED;
  const alarmTransition = { device, rule: 'hot', number: 1, owner: 1, cause, ...fields };
  return Event.encode({ alarmTransition }).finish();
}

/** Returns the due rates as `device raised`, and takes them as written. */
function write(rates: AreaRates, nowMs: number, max = 1_000): string[] {
  const due = rates.due(nowMs, max);
  rates.written(due);
  return due.map(({ device, raised: count }) => `${device} ${count}`);
}

test('a transition that was written twice, or by a former owner, counts once', () => {
  const rates = new AreaRates(2, counter, { refused: 0 });
  const take = (number: number, owner: number) =>
    rates.take(0, 0, raised('plant1.line3.press', { number, owner }), 1_000);
  for (const number of [1, 2, 2, 3, 4]) take(number, 7);
  rates.take(0, 9, Event.encode({ alarmOwner: { node: 'b' } }).finish(), 1_000);
  take(5, 7);
  rates.take(0, 10, new Uint8Array([42, 255]), 1_000);
  rates.take(0, 11, Event.encode({ ingestAlive: { node: 'a' } }).finish(), 1_000);
  assert.deepEqual(write(rates, 1_000), [`${flood} 4`]);
  take(6, 9);
  assert.deepEqual(write(rates, 1_000), [`${flood} 5`]);
});

test('what is no raise, a flood, and a device without an area do not count', () => {
  const rates = new AreaRates(2, counter, { refused: 0 });
  rates.take(0, 0, raised('plant1.line3.press', { cause: AlarmCause.ALARM_CAUSE_REALARMED }), 0);
  rates.take(0, 1, raised(flood, { rule: 'alarm-flood' }), 0);
  rates.take(0, 2, raised('meter'), 0);
  assert.equal(rates.size, 0);
});

test('the first rates are of all areas; later ones from 5 alarms on, until there are none', () => {
  const rates = new AreaRates(2, counter, { refused: 0 });
  let number = 0;
  const raise = (area: string, atMs: number) => rates.take(0, 0, raised(`${area}.m${++number}`), atMs);
  raise('plant1.line3', 0);
  assert.deepEqual(write(rates, 0), [`${flood} 1`]);
  rates.isComplete = true;
  assert.deepEqual(write(rates, 0), [], 'it has not changed');
  for (let n = 0; n < 4; n++) raise('plant1.line4', 1_000);
  assert.deepEqual(write(rates, 1_000), [], '4 are neither a flood nor the end of one');
  raise('plant1.line4', 2_000);
  assert.deepEqual(write(rates, 2_000), ['plant1.line4.alarm_flood 5']);
  assert.deepEqual(write(rates, 10 * minuteMs + 1_000), [`${flood} 0`, 'plant1.line4.alarm_flood 1']);
  assert.equal(rates.size, 2);
  assert.deepEqual(write(rates, 10 * minuteMs + 2_000), ['plant1.line4.alarm_flood 0']);
  assert.deepEqual(write(rates, 10 * minuteMs + 2_000), []);
  assert.equal(rates.size, 0);
});

test('a rate of another process is replaced, and one of this process is not', () => {
  const rates = new AreaRates(2, counter, { refused: 0 });
  const take = (of: number, device = flood) => {
    const alarmRate = { device, raised: 7, counter: of };
    rates.take(0, 0, Event.encode({ alarmRate }).finish(), 0);
  };
  rates.isComplete = true;
  take(counter);
  take(counter - 1, '');
  assert.deepEqual(write(rates, 0), []);
  take(counter - 1);
  assert.deepEqual(write(rates, 0), [`${flood} 0`]);
  assert.deepEqual(write(rates, 0), []);
  rates.take(0, 0, raised('plant1.line3.press'), 0);
  take(counter - 1);
  assert.deepEqual(write(rates, 0), [`${flood} 1`]);
});

test('rates beyond the limit of a poll wait, those that were written last the longest', () => {
  const rates = new AreaRates(1, counter, { refused: 0 });
  const raise = (number: number) => {
    for (const area of ['a', 'b', 'c']) rates.take(0, 0, raised(`${area}.m`, { number }), 0);
  };
  raise(1);
  assert.deepEqual(write(rates, 0, 2), ['a.alarm_flood 1', 'b.alarm_flood 1']);
  raise(2);
  assert.deepEqual(write(rates, 0, 2), ['c.alarm_flood 2', 'a.alarm_flood 2']);
  assert.deepEqual(write(rates, 0, 2), ['b.alarm_flood 2']);
});

test('alarms of areas beyond the limit, or with too long a path, are counted', () => {
  const counts = { refused: 0 };
  const rates = new AreaRates(4, counter, counts);
  const long = 'x'.repeat(64);
  rates.take(0, 0, raised(`${long}.${long}.${long}.m`), 1_000);
  assert.deepEqual([rates.size, counts.refused], [0, 1]);
  for (let n = 0; n < 10_001; n++) rates.take(n % 4, 0, raised(`plant1.line${n}.press`), 1_000);
  assert.deepEqual([rates.size, rates.floods, counts.refused], [10_000, 0, 2]);
  rates.due(1_000 + 11 * minuteMs, 1_000);
  assert.equal(rates.size, 0);
});
