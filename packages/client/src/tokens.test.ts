import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestServer } from './testing.ts';

/** Tokens that a program gets one after the other, and the one that the server takes. */
function setUp() {
  const tokens = { next: 1, right: 't1', fails: 0 };
  const server = createTestServer({ accepts: (token) => token === tokens.right });
  const token = () => {
    if (tokens.fails-- > 0) throw new TypeError('no network');
    return Promise.resolve(`t${tokens.next++}`);
  };
  const auths = () => server.received.flatMap((message) => ('auth' in message ? [message.auth.token] : []));
  return { server, tokens, token, auths };
}

test('a token that ends is replaced over the open connection', async () => {
  const { server, tokens, token, auths } = setUp();
  const stream = server.stream({ token });
  await server.settled();
  tokens.right = 't2';
  server.expire(30_000);
  server.expire(20_000);
  await server.settled();
  assert.deepEqual(auths(), ['t1', 't2']);
  assert.equal(stream.state.name, 'live');
  assert.equal(server.connections.length, 1);
});

test('of tokens that hold for less than a server warns before, one is fetched when half of its time has passed', async () => {
  let taken = 0;
  const server = createTestServer({
    accepts: () => {
      // As a server says at once of a token that ends soon. The bound keeps a client that asks in a loop from hanging.
      if (++taken < 100) queueMicrotask(() => server.expire(20_000));
      return true;
    },
  });
  const stream = server.stream({ token: async () => `t${taken}` });
  await server.settled();
  assert.equal(taken, 2, 'the first one may be old');
  await server.clock.advance(60_000);
  assert.equal(taken, 8, 'then one every 10 s');
  assert.equal(stream.state.name, 'live');
});

test('a server that says again and again that the token ends is given one a second at most', async () => {
  const { server, token, auths } = setUp();
  server.stream({ token: () => token().then(() => 't1') });
  await server.settled();
  for (let i = 0; i < 100; i++) {
    server.expire(0);
    await server.clock.advance(100);
  }
  assert.ok(auths().length <= 12, `${auths().length} tokens in 10 s`);
});

test('a token is replaced though the server said before that it ends in a long time', async () => {
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

test('a fresh token that cannot be had at once is asked for again', async () => {
  const { server, tokens, token, auths } = setUp();
  server.stream({ token });
  await server.settled();
  tokens.right = 't2';
  tokens.fails = 2;
  server.expire(30_000);
  await server.clock.advance(3000);
  assert.deepEqual(auths(), ['t1', 't2']);
});

test('a token that is refused is replaced once, and after that the stream ends', async () => {
  const { server, tokens, token, auths } = setUp();
  tokens.right = 't2';
  const stream = server.stream({ token });
  await server.clock.advance(1);
  assert.deepEqual(auths(), ['t1', 't2']);
  assert.equal(stream.state.name, 'live');

  tokens.right = 'none';
  server.drop(4401);
  await server.clock.advance(60_000);
  assert.equal(stream.state.name, 'closed', 'the connection did not last');
  assert.deepEqual(auths(), ['t1', 't2']);
});

test('after a good connection a refused token is worth another try', async () => {
  const { server, tokens, token, auths } = setUp();
  const stream = server.stream({ token });
  await server.clock.advance(6000);
  tokens.right = 't2';
  server.drop(4401);
  await server.clock.advance(1);
  assert.deepEqual(auths(), ['t1', 't2']);
  assert.equal(stream.state.name, 'live');
});

test('a token that is a text cannot be replaced', async () => {
  const { server, auths } = setUp();
  const stream = server.stream({ token: 'old' });
  await server.clock.advance(60_000);
  assert.equal(stream.state.name, 'closed');
  assert.deepEqual(auths(), ['old']);
});
