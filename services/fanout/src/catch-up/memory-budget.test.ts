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

test('the holder that has least is granted first, and a small request does not overtake it', async () => {
  const budget = new MemoryBudget(100);
  const [rich, poor] = [holder(), holder()];
  const held = [budget.reserve(rich, 30), budget.reserve(rich, 30)] as Reservation[];
  const granted: string[] = [];
  const note = (name: string) => () => void granted.push(name);
  void Promise.resolve(budget.reserve(rich, 30)).then(note('rich'));
  void Promise.resolve(budget.reserve(poor, 60)).then(note('poor'));
  assert.equal(budget.waiting, 2);
  await turn();
  assert.deepEqual(granted, []);
  held[1]!.release();
  await turn();
  assert.deepEqual(granted, ['poor']);
  held[0]!.release();
  await turn();
  assert.deepEqual(granted, ['poor', 'rich']);
});

test('a holder that has nothing does not wait behind one that waits for what it holds itself', () => {
  const budget = new MemoryBudget(100);
  const [rich, poor] = [holder(), holder()];
  for (let i = 0; i < 2; i++) assert.ok(!(budget.reserve(rich, 30) instanceof Promise));
  assert.ok(budget.reserve(rich, 30) instanceof Promise);
  assert.ok(!(budget.reserve(poor, 30) instanceof Promise));
  assert.ok(budget.reserve(poor, 30) instanceof Promise);
  assert.deepEqual([budget.heldBytes, budget.waiting], [90, 2]);
});

test('no holder takes all: there is room for one more, however long the others hold what they have', () => {
  const budget = new MemoryBudget(1_000);
  const greedy = Array.from({ length: 5 }, holder);
  for (let i = 0; i < 100; i++) {
    for (const each of greedy) {
      const granted = budget.reserve(each, 10);
      if (granted instanceof Promise) return assert.ok(budget.heldBytes < 950, `${budget.heldBytes} are held`);
    }
  }
  assert.fail('no holder had to wait');
});

test('growing never waits, and leaves others their share', () => {
  const budget = new MemoryBudget(100);
  const [a, b] = [holder(), holder()];
  const first = budget.reserve(a, 40) as Reservation;
  assert.equal(first.grow(20), true);
  assert.equal(first.grow(30), false);
  assert.equal(first.bytes, 60);
  void budget.reserve(b, 50);
  first.shrink(5);
  assert.equal(first.grow(5), false, 'another waits, and it has its share');
  assert.equal(budget.heldBytes, 55);
});

test('a request above the whole budget is granted when nothing else is held', async () => {
  const budget = new MemoryBudget(100);
  const [a, b] = [holder(), holder()];
  const small = budget.reserve(a, 1) as Reservation;
  const large = budget.reserve(b, 500);
  small.release();
  assert.equal((await large).bytes, 500);
});
