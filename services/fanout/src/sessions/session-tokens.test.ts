import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateLimit } from '@tailrace/platform/rate-limit';
import { TailraceError } from '@tailrace/protocol/error';
import { freeAccess } from '../../test/free-access.ts';
import { createLocalNode } from '../../test/local-node.ts';
import { connectSession, logging, openedSession, subscribe } from '../../test/session-client.ts';
import { Users } from '../access/users.ts';

test('a token of the handshake opens the session, and the welcome has the limits', async () => {
  const client = connectSession(createLocalNode());
  const authenticated = client.session.authenticate('>');
  assert.equal(client.session.state, 'checking');
  await authenticated;
  assert.equal(client.session.state, 'open');
  assert.deepEqual(client.received, [
    {
      welcome: {
        session: 'session-1',
        node: 'n',
        version: '1.2.3',
        heartbeatMs: 30_000,
        limits: { messageBytesMax: 1_024, subscriptionsMax: 4 },
      },
    },
  ]);
});

for (const encoding of ['json', 'proto'] as const) {
  test(`a token in the first message opens the session, in ${encoding}`, async () => {
    const node = createLocalNode();
    node.report('p.d', 1);
    const client = connectSession(node, { encoding });
    client.send({ auth: { token: 'p.>' } });
    client.send(subscribe('a', 'p.d'));
    client.send({ ping: { t: 17 } });
    assert.deepEqual(client.kinds(), [], 'messages wait until the token is verified');
    await node.clock.advance(0);
    assert.deepEqual(client.kinds(), ['welcome', 'subscribed', 'data', 'pong']);
    client.send({ unsubscribe: { id: 'a' } });
    assert.deepEqual(client.kinds(), ['unsubscribed']);
  });
}

test('an invalid token closes the connection, with its error and 4401', async () => {
  const client = connectSession(createLocalNode());
  await client.session.authenticate('bad');
  assert.deepEqual(client.errors(), [
    { code: 'unauthorized', message: 'the token "bad"… is malformed', retryable: false },
  ]);
  assert.deepEqual(client.closes, [4401]);
  assert.equal(client.session.state, 'closed');
});

test('a channel in the URL without a token closes the connection, and names where a token is expected', async () => {
  const client = connectSession(createLocalNode());
  client.session.onSubscribeRequest({ id: '1', channel: 'p.>' });
  client.session.onSubscribeRequest({ id: '2', channel: 'q.>' });
  assert.deepEqual(
    client.errors().map(({ message }) => message),
    ['?channel= requires a token: expected it in the header Authorization or in ?token=, got none'],
  );
  assert.deepEqual(client.closes, [4401]);
});

test('any message before the token closes the connection with 4401', async () => {
  for (const message of [subscribe('a', 'p.d'), { unsubscribe: { id: 'a' } }, { ping: { t: 1 } }]) {
    const client = connectSession(createLocalNode());
    client.send(message);
    assert.match(client.errors()[0]?.message ?? '', /expected \{"auth":\{"token":"…"\}\} as the first message, got "/);
    assert.deepEqual(client.closes, [4401]);
    client.send(message);
    assert.deepEqual(client.kinds(), [], 'nothing is sent after the close');
  }
});

test('messages that wait for the token are limited', () => {
  const client = connectSession(createLocalNode());
  client.send({ auth: { token: '>' } });
  for (let i = 0; i < 4; i++) client.send({ ping: { t: i } });
  assert.deepEqual(client.closes, []);
  client.send({ ping: { t: 5 } });
  assert.equal(client.errors()[0]?.code, 'rate_limited');
  assert.deepEqual(client.closes, [4429]);
});

test('a session that is closed while its token is verified stays closed', async () => {
  const node = createLocalNode();
  const client = connectSession(node);
  const authenticated = client.session.authenticate('>');
  client.send(subscribe('a', 'p.d'));
  client.session.onClose();
  await authenticated;
  assert.equal(client.session.state, 'closed');
  assert.deepEqual(client.kinds(), []);
  assert.equal(node.channels.size, 0);
  await client.session.authenticate('>');
  assert.equal(client.session.state, 'closed');
});

test('a fresh token with fewer rights removes the subscriptions that it does not cover, and keeps the others', async () => {
  const node = createLocalNode();
  const client = await openedSession(node, 'p.>,q.>');
  for (const [id, channel] of [
    ['a', 'p.d'],
    ['b', 'q.d'],
    ['c', 'p.>'],
  ] as const)
    client.send(subscribe(id, channel));
  client.kinds();
  client.send({ auth: { token: 'p.d' } });
  client.send(subscribe('e', 'q.d'));
  await node.clock.advance(0);
  assert.deepEqual(
    client.received.slice(0, 3).map((message) => ('error' in message ? message.error.id : Object.keys(message)[0])),
    ['b', 'c', 'welcome'],
  );
  assert.match(client.errors().at(-1)?.message ?? '', /expected one that the token covers, \["p\.d"\], got "q\.d"/);
  assert.deepEqual(client.closes, []);
  assert.equal(client.session.subscriptions, 1);
  for (const device of ['p.d', 'q.d', 'p.e']) node.report(device, 1);
  const [message, ...more] = client.received;
  assert.ok(message !== undefined && 'data' in message);
  assert.deepEqual(
    message.data.reports.map(({ device }) => device),
    ['p.d'],
  );
  assert.deepEqual(more, []);
});

test('an invalid fresh token closes the connection', async () => {
  const node = createLocalNode();
  const client = await openedSession(node);
  client.send({ auth: { token: 'bad' } });
  await node.clock.advance(0);
  assert.deepEqual(client.closes, [4401]);
});

test('the session has the expiry of its token', async () => {
  const client = connectSession(createLocalNode(), {
    verify: async () => ({ subject: 's', publish: [], subscribe: [], expiresAt: 1_700_000_060_000 }),
  });
  assert.equal(client.session.expiresAt, Number.POSITIVE_INFINITY);
  await client.session.authenticate('t');
  assert.equal(client.session.expiresAt, 1_700_000_060_000);
});

test('beyond the connections of a user the error is retryable, since other connections may be lost already', async () => {
  const node = createLocalNode();
  const access = {
    ...freeAccess(),
    users: new Users({ userConnectionsMax: 1, userSubscriptionsMax: 2, userViewsMax: 9, viewsPerConnectionMax: 1e6 }),
  };
  const one = await openedSession(node, '>', { access });
  const other = connectSession(node, { access });
  await other.session.authenticate('>');
  assert.deepEqual(
    other.errors().map(({ code, retryable }) => [code, retryable]),
    [['limit_reached', true]],
  );
  assert.deepEqual(other.closes, [1013]);
  one.session.onClose();
  await openedSession(node, '>', { access });
});

test('subscriptions beyond the limit of the user are refused by their id, and removed ones do not count', async () => {
  const node = createLocalNode();
  const access = {
    ...freeAccess(),
    users: new Users({ userConnectionsMax: 9, userSubscriptionsMax: 2, userViewsMax: 9, viewsPerConnectionMax: 1e6 }),
  };
  const [one, other] = [await openedSession(node, '>', { access }), await openedSession(node, '>', { access })];
  one.send(subscribe('a', 'p.d'));
  other.send(subscribe('a', 'p.d'));
  other.send(subscribe('b', 'p.d'));
  assert.deepEqual(other.kinds(), ['subscribed', 'error']);
  one.send({ unsubscribe: { id: 'a' } });
  other.send(subscribe('b', 'p.d'));
  assert.deepEqual(other.kinds(), ['subscribed']);
  other.send({ auth: { token: 'q.>' } });
  await node.clock.advance(0);
  assert.deepEqual(
    access.users.most(),
    { connections: 2, subscriptions: 0, views: 0 },
    'subscriptions that the token does not cover are removed',
  );
  one.send(subscribe('a', 'p.d'));
  one.session.onClose();
  one.session.onClose();
  other.session.onClose();
  assert.equal(access.users.size, 0);
});

test('a client that exceeds the message rate gets the rate in the error, and is disconnected with 4429', async () => {
  const access = { ...freeAccess(), messageRate: new RateLimit(10, 3) };
  const client = await openedSession(createLocalNode(), '>', { access });
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => client.session.spend(1_000)),
    [true, true, true, false, false],
  );
  assert.deepEqual(client.errors(), [
    { code: 'rate_limited', message: 'expected at most 10 messages a second, and 3 at once', retryable: true },
  ]);
  assert.deepEqual(client.closes, [4429]);
});

test('a channel that the token does not cover is forbidden, and nothing of it is sent', async () => {
  const node = createLocalNode();
  node.report('q.d', 1);
  const client = await openedSession(node, 'p.>');
  for (const [i, channel] of ['q.d', '>', 'p', 'q.>'].entries()) client.send(subscribe(`${i}`, channel));
  assert.deepEqual(
    client.received.map((message) => 'error' in message && message.error.code),
    Array(4).fill('forbidden'),
  );
  assert.equal(node.channels.size, 0);
});

test('an internal error while a token is verified closes the connection with 1011, not 4401, and is logged', async () => {
  const { logger, errors } = logging();
  const client = connectSession(createLocalNode(), {
    logger: logger,
    verify: () => Promise.reject(new TypeError('broken')),
  });
  await client.session.authenticate('t');
  assert.deepEqual(client.closes, [1011]);
  assert.equal(errors.length, 1);
});

test('while the keys are unavailable the client is disconnected with a retryable error, and no error is logged', async () => {
  const { logger, errors } = logging();
  const verify = () => Promise.reject(new TailraceError('unavailable', 'the keys cannot be had'));
  const client = connectSession(createLocalNode(), { logger: logger, verify });
  await client.session.authenticate('t');
  assert.deepEqual(client.errors(), [{ code: 'unavailable', message: 'the keys cannot be had', retryable: true }]);
  assert.deepEqual(client.closes, [1013]);
  assert.equal(errors.length, 0);
});
