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
  for (const nonce of ['first one', 'second one', 'third one']) assert.equal(nonces.take('a', timeMs, nonce), 'new');
  assert.equal(nonces.take('a', timeMs, 'fourth one'), 'full');
  for (const nonce of ['first one', 'second one', 'third one']) assert.equal(nonces.take('a', timeMs, nonce), 'seen');
  await clock.advance(3 * authWindowMs);
  assert.equal(nonces.take('a', clock.now(), 'fourth one'), 'new');
});
