import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { authWindowMs, Nonces } from './nonces.ts';

test('a nonce is accepted once for its identity and time', () => {
  const clock = createFakeClock();
  const nonces = new Nonces(clock, 100);
  const timeMs = clock.now();
  assert.equal(nonces.take('a', timeMs, '12345678'), 'new');
  assert.equal(nonces.take('a', timeMs, '12345678'), 'seen');
  assert.equal(nonces.take('b', timeMs, '12345678'), 'new');
  assert.equal(nonces.take('a', timeMs + 1, '12345678'), 'new');
  assert.equal(nonces.take('a', timeMs, '12345679'), 'new');
});

test('a nonce with a time ahead stays as long as its message is valid', async () => {
  const clock = createFakeClock();
  const nonces = new Nonces(clock, 100);
  const timeMs = clock.now() + authWindowMs;
  assert.equal(nonces.take('a', timeMs, '12345678'), 'new');
  // The message is valid until its time plus the window.
  await clock.advance(2 * authWindowMs);
  assert.equal(nonces.take('a', timeMs, '12345678'), 'seen');
  await clock.advance(authWindowMs);
  nonces.take('a', clock.now(), 'another one');
  assert.equal(nonces.size, 1, 'the expired one is forgotten');
});

test('full nonces refuse and forget nothing, and accept again when some have expired', async () => {
  const clock = createFakeClock();
  const nonces = new Nonces(clock, 3);
  const timeMs = clock.now();
  for (const sender of ['a', 'b', 'c']) assert.equal(nonces.take(sender, timeMs, '12345678'), 'new');
  assert.equal(nonces.take('a', timeMs, 'fourth one'), 'full');
  for (const sender of ['a', 'b', 'c']) assert.equal(nonces.take(sender, timeMs, '12345678'), 'seen');
  await clock.advance(3 * authWindowMs);
  assert.equal(nonces.take('a', clock.now(), 'fourth one'), 'new');
});

test('one sender fills half of the nonces at most: another one is accepted, and it again when its own have expired', async () => {
  const clock = createFakeClock();
  const nonces = new Nonces(clock, 10);
  const outcomes = Array.from({ length: 8 }, (_, n) => nonces.take('hostile', clock.now(), `nonce-${n}`));
  assert.deepEqual([outcomes.filter((outcome) => outcome === 'new').length, outcomes.at(-1)], [5, 'full']);
  assert.equal(nonces.take('honest', clock.now(), '12345678'), 'new');
  assert.equal(nonces.sizeOfOne, 5);
  await clock.advance(3 * authWindowMs);
  assert.equal(nonces.take('hostile', clock.now(), '12345678'), 'new');
  assert.deepEqual([nonces.size, nonces.sizeOfOne], [1, 1]);
});
