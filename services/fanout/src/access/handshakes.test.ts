import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freeLimits } from '../../test/free-access.ts';
import { type HandshakeLimits, Handshakes } from './handshakes.ts';

function arrangement(limits: Partial<HandshakeLimits> = {}) {
  const at = { ms: 1_000, connections: 0 };
  const handshakes = new Handshakes(
    { ...freeLimits, connectionsMax: 100, ...limits },
    () => at.ms,
    () => at.connections,
  );
  const come = (facts: { peer?: string; origin?: string; forwardedFor?: string } = {}) =>
    handshakes.admit({ peer: '192.0.2.1', origin: '', forwardedFor: '', ...facts });
  const refusal = (facts = {}) => {
    const outcome = come(facts);
    assert.ok(typeof outcome !== 'string', 'it was let in');
    return outcome;
  };
  return { at, handshakes, come, refusal };
}

test('who is let in is counted under his address', () => {
  const { come } = arrangement({ trustedProxies: ['192.0.2.1'] });
  assert.equal(come(), '192.0.2.1');
  assert.equal(come({ forwardedFor: '198.51.100.4' }), '198.51.100.4');
});

test('a page of an origin that is not listed gets 403; programs have none and are let in', () => {
  const { come, refusal } = arrangement({ origins: ['https://a.example'] });
  assert.equal(typeof come({ origin: 'https://a.example' }), 'string');
  assert.equal(typeof come(), 'string');
  const { status, code, message, retryAfterSeconds } = refusal({ origin: 'https://evil.example' });
  assert.deepEqual([status, code, retryAfterSeconds], [403, 'forbidden', undefined]);
  assert.match(message, /"https:\/\/evil\.example" may not connect here/);
  assert.equal(typeof arrangement().come({ origin: 'https://any.example' }), 'string', 'no list: all may');
});

test('in a storm those who come first are told to come back first', () => {
  const { at, come, refusal } = arrangement({ handshakesPerSecondMax: 10 });
  for (let i = 0; i < 20; i++) assert.equal(typeof come(), 'string');
  const waits = Array.from({ length: 25 }, () => refusal().retryAfterSeconds);
  assert.deepEqual(
    waits,
    Array.from({ length: 25 }, (_, i) => 1 + Math.floor(i / 10)),
  );
  assert.deepEqual([refusal().status, refusal().reason], [503, 'rate']);
  at.ms += 1_000;
  for (let i = 0; i < 10; i++) assert.equal(typeof come(), 'string', 'as many as a second has');
  assert.equal(refusal().retryAfterSeconds, 3, 'the queue is as long as it was');
  at.ms += 3_000;
  for (let i = 0; i < 20; i++) assert.equal(typeof come(), 'string');
  assert.equal(refusal().retryAfterSeconds, 1, 'a quiet moment: the storm is over');
});

test('one address that storms gets 429, and does not keep others out', () => {
  const { come, refusal } = arrangement({ addressConnectionsMax: 5, addressHandshakesPerSecondMax: 5 });
  for (let i = 0; i < 5; i++) come();
  const { status, code, reason, retryAfterSeconds } = refusal();
  assert.deepEqual([status, code, reason, retryAfterSeconds], [429, 'rate_limited', 'address_rate', 1]);
  assert.equal(come({ peer: '192.0.2.2' }), '192.0.2.2');
});

test('what is refused to an address costs the others none of what the node takes', () => {
  const { handshakes, come } = arrangement({
    addressConnectionsMax: 5,
    handshakesPerSecondMax: 10,
    addressHandshakesPerSecondMax: 1,
  });
  for (let i = 0; i < 1_000; i++) come();
  assert.equal(handshakes.recent, 5);
  assert.equal(handshakes.recentMax, 20);
  assert.equal(handshakes.recentOfOneAddress, 5);
});

test('addresses that have gone are forgotten by and by', () => {
  const { at, handshakes, come } = arrangement();
  for (let i = 0; i < 50; i++) {
    come({ peer: `192.0.2.${i}` });
    at.ms += 1_000;
    assert.ok(handshakes.addresses.size <= 11);
  }
});

test('each refusal is counted by its reason', () => {
  const { at, handshakes, refusal } = arrangement({ connectionsMax: 1 });
  at.connections = 1;
  assert.equal(refusal().message, '1 connections are the most this node takes; try another, or again');
  handshakes.draining = true;
  assert.equal(refusal().message, 'this node is going; try another, or again');
  assert.deepEqual(
    Object.entries(handshakes.counts).filter(([, { value }]) => value > 0),
    [
      ['draining', handshakes.counts.draining],
      ['connections', handshakes.counts.connections],
    ],
  );
});
