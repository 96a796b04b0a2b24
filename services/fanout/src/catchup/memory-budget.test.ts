import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { MemoryBudget, type Reservation } from './memory-budget.ts';

const holder = () => ({ heldBytes: 0 });

test('bytes are granted at once while there is room, and later when some are given back', async () => {
  const budget = new MemoryBudget(100);
  const [a, b] = [holder(), holder()];
  const first = budget.reserve(a, 60) as Reservation;
  const second = budget.reserve(b, 60);
  assert.ok(second instanceof Promise);
  assert.deepEqual([budget.heldBytes, budget.waiting, budget.counts.waits], [60, 1, 1]);
  first.release();
  first.release();
  assert.equal((await second).bytes, 60);
  assert.deepEqual([budget.heldBytes, a.heldBytes, b.heldBytes], [60, 0, 60]);
});

test('whoever holds least is granted first, and a small request does not overtake it', async () => {
  const budget = new MemoryBudget(100);
  const [rich, poor] = [holder(), holder()];
  const held = [budget.reserve(rich, 40), budget.reserve(rich, 50), budget.reserve(rich, 10)] as Reservation[];
  const granted: string[] = [];
  const note = (name: string) => () => void granted.push(name);
  void Promise.resolve(budget.reserve(rich, 10)).then(note('rich'));
  void Promise.resolve(budget.reserve(poor, 50)).then(note('poor'));
  assert.equal(budget.waiting, 2);
  held[0]!.release();
  await turn();
  assert.deepEqual(granted, []);
  held[1]!.release();
  await turn();
  assert.deepEqual(granted, ['poor', 'rich']);
});

test('growing never waits, and leaves others their share', () => {
  const budget = new MemoryBudget(100);
  const [a, b] = [holder(), holder()];
  const first = budget.reserve(a, 40) as Reservation;
  assert.equal(first.grow(50), true);
  assert.equal(first.grow(50), false);
  assert.equal(first.bytes, 90);
  void budget.reserve(b, 20);
  first.shrink(5);
  assert.equal(first.grow(5), false);
  assert.equal(budget.heldBytes, 85);
});

test('a request above the whole budget is granted when nothing else is held', async () => {
  const budget = new MemoryBudget(100);
  const [a, b] = [holder(), holder()];
  const small = budget.reserve(a, 1) as Reservation;
  const large = budget.reserve(b, 500);
  small.release();
  assert.equal((await large).bytes, 500);
});
