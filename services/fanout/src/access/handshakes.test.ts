import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freeLimits } from '../../test/free-access.ts';
import { type HandshakeLimits, Handshakes } from './handshakes.ts';

function fixture(limits: Partial<HandshakeLimits> = {}) {
  const at = { ms: 1_000, connections: 0 };
  const handshakes = new Handshakes(
    { ...freeLimits, connectionsMax: 100, ...limits },
    () => at.ms,
    () => at.connections,
  );
  const connect = (handshake: { peer?: string; origin?: string; forwardedFor?: string } = {}) =>
    handshakes.admit({ peer: '192.0.2.1', origin: '', forwardedFor: '', ...handshake });
  const refusal = (handshake = {}) => {
    const outcome = connect(handshake);
    assert.ok(typeof outcome !== 'string', 'the handshake was accepted');
    return outcome;
  };
  return { at, handshakes, connect, refusal };
}

test('an accepted handshake is counted under the address of its client', () => {
  const { connect } = fixture({ trustedProxies: ['192.0.2.1'] });
  assert.equal(connect(), '192.0.2.1');
  assert.equal(connect({ forwardedFor: '198.51.100.4' }), '198.51.100.4');
});

test('a page of an origin that is not listed gets 403; programs without an Origin are accepted', () => {
  const { connect, refusal } = fixture({ origins: ['https://a.example'] });
  assert.equal(typeof connect({ origin: 'https://a.example' }), 'string');
  assert.equal(typeof connect(), 'string');
  const { status, code, message, retryAfterSeconds } = refusal({ origin: 'https://evil.example' });
  assert.deepEqual([status, code, retryAfterSeconds], [403, 'forbidden', undefined]);
  assert.match(message, /"https:\/\/evil\.example" may not connect here/);
  assert.equal(typeof fixture().connect({ origin: 'https://any.example' }), 'string', 'no list: all may');
});

test('in a reconnect storm the clients that were refused first are to retry first', () => {
  const { at, connect, refusal } = fixture({ handshakesPerSecondMax: 10 });
  for (let i = 0; i < 20; i++) assert.equal(typeof connect(), 'string');
  const waits = Array.from({ length: 25 }, () => refusal().retryAfterSeconds);
  assert.deepEqual(
    waits,
    Array.from({ length: 25 }, (_, i) => 1 + Math.floor(i / 10)),
  );
  assert.deepEqual([refusal().status, refusal().reason], [503, 'rate']);
  at.ms += 1_000;
  for (let i = 0; i < 10; i++) assert.equal(typeof connect(), 'string', 'as many as a second has');
  assert.equal(refusal().retryAfterSeconds, 3, 'the queue is as long as it was');
  at.ms += 3_000;
  for (let i = 0; i < 20; i++) assert.equal(typeof connect(), 'string');
  assert.equal(refusal().retryAfterSeconds, 1, 'the queue is empty after a pause');
});

test('an address with too many handshakes gets 429, and does not block others', () => {
  const { connect, refusal } = fixture({ addressConnectionsMax: 5, addressHandshakesPerSecondMax: 5 });
  for (let i = 0; i < 5; i++) connect();
  const { status, code, reason, retryAfterSeconds } = refusal();
  assert.deepEqual([status, code, reason, retryAfterSeconds], [429, 'rate_limited', 'address_rate', 1]);
  assert.equal(connect({ peer: '192.0.2.2' }), '192.0.2.2');
});

test('refused handshakes of one address do not count against the rate of the node', () => {
  const { handshakes, connect } = fixture({
    addressConnectionsMax: 5,
    handshakesPerSecondMax: 10,
    addressHandshakesPerSecondMax: 1,
  });
  for (let i = 0; i < 1_000; i++) connect();
  assert.equal(handshakes.recent, 5);
  assert.equal(handshakes.recentMax, 20);
  assert.equal(handshakes.recentOfOneAddress, 5);
});

test('addresses without connections are forgotten', () => {
  const { at, handshakes, connect } = fixture();
  for (let i = 0; i < 50; i++) {
    connect({ peer: `192.0.2.${i}` });
    at.ms += 1_000;
    assert.ok(handshakes.addresses.size <= 11);
  }
});

test('each refusal is counted by its reason', () => {
  const { at, handshakes, refusal } = fixture({ connectionsMax: 1 });
  at.connections = 1;
  assert.equal(refusal().message, 'expected at most 1 connections of this node, got one more: try another, or again');
  handshakes.draining = true;
  assert.equal(refusal().message, 'this node is draining; try another, or again');
  assert.deepEqual(
    Object.entries(handshakes.counts).filter(([, { value }]) => value > 0),
    [
      ['draining', handshakes.counts.draining],
      ['connections', handshakes.counts.connections],
    ],
  );
});
