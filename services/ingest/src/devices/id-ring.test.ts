import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IdRing } from './id-ring.ts';

test('a ring has the IDs that were added last, and forgets the oldest', () => {
  const ring = new IdRing(4);
  for (const id of ['a', 'b', 'c', 'd', 'e']) ring.add(id);
  assert.ok(!ring.has('a'));
  for (const id of ['b', 'c', 'd', 'e']) assert.ok(ring.has(id), id);
});

test('an empty ring has no ID, also not the empty one', () => {
  const ring = new IdRing(4);
  assert.ok(!ring.has(''));
  assert.ok(!ring.has('a'));
  assert.equal(ring.hashes().length, 0);
});

test('another node finds the IDs by their hashes, in their order', () => {
  const ring = new IdRing(4);
  for (const id of ['a', 'b', 'c', 'd', 'e', 'ä€𝄞']) ring.add(id);
  const other = new IdRing(4);
  other.add('own');
  other.seed(ring.hashes());
  // The oldest of five: one too many.
  assert.ok(!other.has('own'));
  for (const id of ['c', 'd', 'e', 'ä€𝄞']) assert.ok(other.has(id), id);
  assert.deepEqual(other.hashes(), ring.hashes());
});

test('hashes that a ring has already take no second place', () => {
  const ring = new IdRing(2);
  ring.add('a');
  ring.add('b');
  ring.seed(ring.hashes());
  assert.ok(ring.has('a') && ring.has('b'));
});

test('a ring takes eight bytes for an ID', () => {
  assert.equal(new IdRing(128).bytes, 1_024);
});
