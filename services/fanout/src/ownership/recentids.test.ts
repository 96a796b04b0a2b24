import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RecentIds } from './recentids.ts';

test('the first report of an ID is new, a later one repeats it, and the first asked again is still new', () => {
  const ids = new RecentIds(10);
  assert.equal(ids.repeats('p.d', 'x', 5), false);
  assert.equal(ids.repeats('p.d', 'x', 6), true);
  assert.equal(ids.repeats('p.d', 'x', 5), false);
});

test('the same ID of another device is another one', () => {
  const ids = new RecentIds(10);
  ids.repeats('p.d', 'x', 1);
  assert.equal(ids.repeats('p.e', 'x', 2), false);
});

test('the newest are remembered, and no more than the bound', () => {
  const ids = new RecentIds(3);
  for (let seq = 0; seq < 10; seq++) ids.repeats('p.d', `x${seq}`, seq);
  assert.equal(ids.size, 3);
  assert.equal(ids.repeats('p.d', 'x7', 10), true);
  assert.equal(ids.repeats('p.d', 'x6', 11), false);
});

test('a bound of 0 remembers nothing', () => {
  const ids = new RecentIds(0);
  ids.repeats('p.d', 'x', 1);
  assert.equal(ids.repeats('p.d', 'x', 2), false);
  assert.equal(ids.size, 0);
});

test('reading old records again pushes nothing out of what is known', () => {
  const ids = new RecentIds(3);
  for (let seq = 100; seq < 103; seq++) ids.repeats('p.d', `new${seq}`, seq);
  const again = ids.fork();
  for (let seq = 0; seq < 50; seq++) assert.equal(again.repeats('p.d', `old${seq}`, seq), false);
  assert.equal(again.repeats('p.d', 'old0', 60), true);
  assert.equal(again.repeats('p.d', 'new100', 110), true);
  assert.equal(ids.size, 3);
  assert.equal(ids.repeats('p.d', 'new100', 111), true);
});

test('within the bound each ID is new exactly once', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 50 }), (sent) => {
      const ids = new RecentIds(5);
      const seen = new Set<string>();
      sent.forEach((id, seq) => {
        assert.equal(ids.repeats('p.d', id, seq), seen.has(id));
        seen.add(id);
      });
    }),
    { seed: 1 },
  );
});
