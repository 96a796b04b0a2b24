import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Delivery, Reading } from '@tailrace/protocol/report';
import { WholeReports } from './whole-reports.ts';

let seq = 0;
const delivery = (time: number, readings: readonly Reading[], delta = false): Delivery => ({
  ...{ device: 'p.d', partition: 0, seq: seq++, time, readings, received: time },
  ...(delta ? { delta } : {}),
});
const collected = (...values: readonly (readonly [value: number, time: number])[]) =>
  values.map(([value, time]) => ({ tag: 't', value, time }));
const u = { tag: 'u', value: 'on' };

test('all readings of a tag in one report are delivered, in order', () => {
  const whole = new WholeReports();
  const four = collected([20, 1], [21, 2], [23, 4], [22, 3]);
  const first = delivery(5, [...four, u]);
  assert.equal(whole.whole(first), first);
  const { readings, delta } = whole.whole(delivery(9, collected([24, 6], [25, 7]), true));
  assert.deepEqual([readings, delta], [[...collected([24, 6], [25, 7]), u], undefined]);
});

test('an absent reading is that of the newest time, not the last one in the report', () => {
  const whole = new WholeReports();
  whole.whole(delivery(5, [...collected([23, 4], [22, 3]), u]));
  assert.deepEqual(whole.whole(delivery(6, [], true)).readings, [u, { tag: 't', value: 23, time: 4 }].reverse());
});

test('a late report is delivered unchanged, and does not affect later ones', () => {
  const whole = new WholeReports();
  const t = (value: number): Reading => ({ tag: 't', value });
  whole.whole(delivery(100, [t(1), u]));
  whole.whole(delivery(200, [], true));
  const late = delivery(150, [t(2)]);
  assert.equal(whole.whole(late), late, 'its absent readings are newer');
  assert.deepEqual(whole.whole(delivery(300, [], true)).readings, [t(1), u]);
});

test('a report with some of the tags gets the others, and last values stay unchanged', () => {
  const whole = new WholeReports();
  whole.remember(delivery(5, [{ tag: 'a', value: 1 }, u]));
  whole.remember(delivery(4, [u, { tag: 'b', value: 2 }]));
  const { readings } = whole.whole(delivery(6, [{ tag: 'b', value: 3 }]));
  assert.deepEqual(readings, [{ tag: 'b', value: 3 }, { tag: 'a', value: 1 }, u]);
});

test('for a device that invents tags the last ones are remembered', () => {
  const whole = new WholeReports();
  for (let n = 0; n < 5_000; n++) whole.remember(delivery(n, [{ tag: `t${n}`, value: n }]));
  assert.equal(whole.whole(delivery(9_000, [], true)).readings.length, 2_000);
});
