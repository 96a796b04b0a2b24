import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AlarmOrder } from './alarm-order.ts';

const transition = (number: number, owner: number) => ({ device: 'plant.press', rule: 'hot', number, owner });

test('a transition that is in the log twice counts once', () => {
  const order = new AlarmOrder();
  assert.equal(order.accepts(transition(1, 5)), true);
  assert.equal(order.accepts(transition(1, 5)), false);
  assert.equal(order.accepts(transition(2, 5)), true);
  assert.equal(order.numberOf('plant.press', 'hot'), 2);
});

test('a transition of a process that has lost the partition does not count, whatever its number', () => {
  const order = new AlarmOrder();
  order.takenOver(5);
  assert.equal(order.accepts(transition(1, 5)), true);
  order.takenOver(9);
  assert.equal(order.accepts(transition(2, 5)), false);
  assert.equal(order.accepts(transition(2, 9)), true);
});

test('a reader that starts behind the record of the owner knows the owner from its first transition', () => {
  const order = new AlarmOrder();
  assert.equal(order.accepts(transition(7, 40)), true);
  assert.equal(order.accepts(transition(8, 30)), false);
});

test('a reader with a checkpoint knows the owner and the numbers before its first event', () => {
  const order = new AlarmOrder(40);
  order.restore('plant.press', 'hot', 7);
  assert.equal(order.accepts(transition(8, 30)), false);
  assert.equal(order.accepts(transition(7, 40)), false);
  assert.equal(order.accepts(transition(8, 40)), true);
});

test('the numbers of the alarms that have changed longest ago are forgotten beyond the limit', () => {
  const order = new AlarmOrder(0, 2);
  const of = (rule: string, number: number) => ({ device: 'plant.press', rule, number, owner: 5 });
  for (const rule of ['hot', 'cold']) order.accepts(of(rule, 1));
  order.accepts(of('hot', 2));
  order.accepts(of('wet', 1));
  assert.deepEqual([order.size, order.forgotten], [2, 1]);
  assert.equal(order.accepts(of('hot', 2)), false, 'it has changed after the forgotten one');
  assert.equal(order.numberOf('plant.press', 'cold'), 0);
});
