import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LastSentBudget, LastSentReadings } from './last-sent-readings.ts';

test('all views together remember no more than the budget, and release what they evict', () => {
  const budget = new LastSentBudget(4);
  const first = new LastSentReadings<number>(budget);
  const second = new LastSentReadings<number>(budget);
  first.set('p.a', 't', 1);
  first.set('p.a', 't', 2);
  first.set('p.a', 'u', 3);
  first.set('p.b', 't', 4);
  second.set('p.a', 't', 5);
  assert.equal(budget.readings, 4);
  // The device known longest is evicted, with all its tags.
  first.set('p.c', 't', 6);
  assert.equal(budget.readings, 3);
  assert.deepEqual([first.of('p.a'), first.of('p.c')?.get('t')], [undefined, 6]);
  first.delete('p.c', 't');
  first.delete('p.c', 't');
  assert.deepEqual([first.of('p.c'), budget.readings], [undefined, 2]);
  first.clear();
  second.clear();
  assert.equal(budget.readings, 0);
});

test('a view that has nothing to evict while others use the whole budget remembers nothing', () => {
  const budget = new LastSentBudget(1);
  const first = new LastSentReadings<number>(budget);
  const second = new LastSentReadings<number>(budget);
  first.set('p.a', 't', 1);
  second.set('p.a', 't', 2);
  assert.deepEqual([second.of('p.a'), budget.readings], [undefined, 1]);
  // One device with more tags than fit: the newest is known.
  first.set('p.a', 'u', 3);
  assert.deepEqual([...(first.of('p.a') ?? [])], [['u', 3]]);
  assert.equal(budget.readings, 1);
});

test('a device that invents tags evicts its own, and no other device', () => {
  const budget = new LastSentBudget(10_000);
  const lastSent = new LastSentReadings<number>(budget);
  lastSent.set('p.other', 't', 1);
  for (let n = 0; n < 1_500; n++) lastSent.set('p.d', `t${n}`, n);
  assert.deepEqual([lastSent.of('p.d')?.size, lastSent.of('p.other')?.size, budget.readings], [1_000, 1, 1_001]);
  assert.equal(lastSent.of('p.d')?.has('t499'), false);
});
