import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestServer } from './testing.ts';

/** Tokens that a program gets one after the other, and the valid one. */
function setUp() {
  const tokens = { next: 1, valid: 't1', fails: 0 };
  const server = createTestServer({ accepts: (token) => token === tokens.valid });
  const token = () => {
    if (tokens.fails-- > 0) throw new TypeError('no network');
    return Promise.resolve(`t${tokens.next++}`);
  };
  const auths = () => server.received.flatMap((message) => ('auth' in message ? [message.auth.token] : []));
  return { server, tokens, token, auths };
}

test('an expiring token is replaced over the open connection', async () => {
  const { server, tokens, token, auths } = setUp();
  const stream = server.stream({ token });
  await server.settled();
  tokens.valid = 't2';
  server.expire(30_000);
  server.expire(20_000);
  await server.settled();
  assert.deepEqual(auths(), ['t1', 't2']);
  assert.equal(stream.state.name, 'live');
  assert.equal(server.connections.length, 1);
});

test('a short-lived token is replaced after half of its life', async () => {
  let accepted = 0;
  const server = createTestServer({
    accepts: () => {
      // As a server does at once for a short-lived token. The bound keeps a client in a loop from hanging the test.
      if (++accepted < 100) queueMicrotask(() => server.expire(20_000));
      return true;
    },
  });
  const stream = server.stream({ token: async () => `t${accepted}` });
  await server.settled();
  assert.equal(accepted, 2, 'the first one may be short-lived');
  await server.clock.advance(60_000);
  assert.equal(accepted, 8, 'then one every 10 s');
  assert.equal(stream.state.name, 'live');
});

test('many `expiring` messages cause at most one token per second', async () => {
  const { server, token, auths } = setUp();
  server.stream({ token: () => token().then(() => 't1') });
  await server.settled();
  for (let i = 0; i < 100; i++) {
    server.expire(0);
    await server.clock.advance(100);
  }
  assert.ok(auths().length <= 12, `${auths().length} tokens in 10 s`);
});

test('a token is replaced after an earlier `expiring` with a distant time', async () => {
  const { server, token, auths } = setUp();
  server.stream({ token: () => token().then(() => 't1') });
  await server.settled();
  server.expire(1e300);
  await server.settled();
  server.expire(1e300);
  await server.clock.advance(30_000);
  server.expire(30_000);
  await server.clock.advance(30_000);
  assert.ok(auths().length >= 4, `${auths().length} tokens`);
});

test('a failed token function is called again', async () => {
  const { server, tokens, token, auths } = setUp();
  server.stream({ token });
  await server.settled();
  tokens.valid = 't2';
  tokens.fails = 2;
  server.expire(30_000);
  await server.clock.advance(3000);
  assert.deepEqual(auths(), ['t1', 't2']);
});

test('a refused token is replaced once; after that the stream is closed', async () => {
  const { server, tokens, token, auths } = setUp();
  tokens.valid = 't2';
  const stream = server.stream({ token });
  await server.clock.advance(1);
  assert.deepEqual(auths(), ['t1', 't2']);
  assert.equal(stream.state.name, 'live');

  tokens.valid = 'none';
  server.drop(4401);
  await server.clock.advance(60_000);
  assert.equal(stream.state.name, 'closed', 'the connection was not stable');
  assert.deepEqual(auths(), ['t1', 't2']);
});

test('after a stable connection a refused token is replaced again', async () => {
  const { server, tokens, token, auths } = setUp();
  const stream = server.stream({ token });
  await server.clock.advance(6000);
  tokens.valid = 't2';
  server.drop(4401);
  await server.clock.advance(1);
  assert.deepEqual(auths(), ['t1', 't2']);
  assert.equal(stream.state.name, 'live');
});

test('a constant token is not replaced', async () => {
  const { server, auths } = setUp();
  const stream = server.stream({ token: 'old' });
  await server.clock.advance(60_000);
  assert.equal(stream.state.name, 'closed');
  assert.deepEqual(auths(), ['old']);
});
