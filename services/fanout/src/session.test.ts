import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Log } from '@tailrace/platform/log';
import { silentLog } from '@tailrace/platform/log';
import type { Claims } from '@tailrace/platform/token';
import { type ClientMessage, clientMessageBytes } from '@tailrace/protocol/clientmessage';
import { TailraceError } from '@tailrace/protocol/error';
import { type ServerMessage, serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/servermessage';
import { createLocalNode, type LocalNode } from '../test/localnode.ts';
import { Session, type SessionParts } from './session.ts';
import type { Encoding } from './view.ts';

/** Tokens are what they grant: `p.>,q.d`, and `bad` is none. */
async function verify(token: string): Promise<Claims> {
  if (token === 'bad') throw new TailraceError('unauthorized', 'the token "bad"… is malformed');
  return { subject: 's', publish: [], subscribe: token === '' ? [] : token.split(',') };
}

interface ClientOptions extends Partial<Pick<SessionParts, 'verify' | 'hub' | 'subscriptionsMax' | 'log'>> {
  encoding?: Encoding;
}

/** A session with a socket that notes what it was told, and is on topics as a real one is. */
function connect(node: LocalNode, options: ClientOptions = {}) {
  const { encoding = 'json', ...parts } = options;
  const received: ServerMessage[] = [];
  const topics = new Map<string, number>();
  const closes: number[] = [];
  const receive = (frame: string | Uint8Array) => {
    const message = typeof frame === 'string' ? serverMessageFromJson(frame) : serverMessageFromBytes(frame);
    received.push(message ?? assert.fail('a message that nobody knows'));
  };
  node.sockets.add({
    onPublished(topic, frame) {
      for (let i = 0; i < (topics.get(topic) ?? 0); i++) receive(frame);
    },
  });
  const socket = {
    lost: false,
    pings: 0,
    send: receive,
    ping() {
      this.pings++;
    },
    join: (topic: string) => void topics.set(topic, (topics.get(topic) ?? 0) + 1),
    leave: (topic: string) => assert.ok(topics.delete(topic)),
    end: (code: number) => void closes.push(code),
  };
  const session = new Session('session-1', encoding, socket, {
    hub: node.hub,
    verify,
    now: () => node.clock.now(),
    node: 'n',
    version: '1.2.3',
    heartbeatMs: 30_000,
    messageBytesMax: 1_024,
    subscriptionsMax: 4,
    log: silentLog,
    ...parts,
  });
  const send = (message: ClientMessage) =>
    session.onMessage(encoding === 'json' ? JSON.stringify(message) : clientMessageBytes(message));
  return {
    session,
    socket,
    topics,
    closes,
    received,
    send,
    /** What came since it was asked last, by kind. */
    kinds: () => received.splice(0).map((message) => Object.keys(message)[0]),
    errors: () => received.splice(0).flatMap((message) => ('error' in message ? [message.error] : [])),
  };
}

async function opened(node: LocalNode, token = '>', options: ClientOptions = {}) {
  const client = connect(node, options);
  await client.session.authenticate(token);
  assert.deepEqual(client.kinds(), ['welcome']);
  return client;
}

const subscribe = (id: string, channel: string) => ({ subscribe: { id, channel } });

test('a token of the handshake opens the session, and the welcome says what may be done', async () => {
  const client = connect(createLocalNode());
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
    const client = connect(node, { encoding });
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

test('a token that does not hold is the end, with its sentence and 4401', async () => {
  const client = connect(createLocalNode());
  await client.session.authenticate('bad');
  assert.deepEqual(client.errors(), [
    { code: 'unauthorized', message: 'the token "bad"… is malformed', retryable: false },
  ]);
  assert.deepEqual(client.closes, [4401]);
  assert.equal(client.session.state, 'closed');
});

test('any message before the token is the end with 4401', async () => {
  for (const message of [subscribe('a', 'p.d'), { unsubscribe: { id: 'a' } }, { ping: { t: 1 } }]) {
    const client = connect(createLocalNode());
    client.send(message);
    assert.match(client.errors()[0]?.message ?? '', /before auth; send \{"auth":\{"token":"…"\}\} first/);
    assert.deepEqual(client.closes, [4401]);
    client.send(message);
    assert.deepEqual(client.kinds(), [], 'nothing is answered after the end');
  }
});

test('what waits for the token is bounded', () => {
  const client = connect(createLocalNode());
  client.send({ auth: { token: '>' } });
  for (let i = 0; i < 4; i++) client.send({ ping: { t: i } });
  assert.deepEqual(client.closes, []);
  client.send({ ping: { t: 5 } });
  assert.equal(client.errors()[0]?.code, 'rate_limited');
  assert.deepEqual(client.closes, [4429]);
});

test('a session that ends while its token is verified stays ended', async () => {
  const node = createLocalNode();
  const client = connect(node);
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

test('a fresh token with fewer rights ends what it does not cover, and leaves the rest', async () => {
  const node = createLocalNode();
  const client = await opened(node, 'p.>,q.>');
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
  assert.match(client.errors().at(-1)?.message ?? '', /does not let you see "q\.d"; it covers \["p\.d"\]/);
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

test('a fresh token that does not hold is the end', async () => {
  const node = createLocalNode();
  const client = await opened(node);
  client.send({ auth: { token: 'bad' } });
  await node.clock.advance(0);
  assert.deepEqual(client.closes, [4401]);
});

test('a token says how long it holds', async () => {
  const client = connect(createLocalNode(), {
    verify: async () => ({ subject: 's', publish: [], subscribe: [], expiresAt: 1_700_000_060_000 }),
  });
  assert.equal(client.session.expiresAt, Number.POSITIVE_INFINITY);
  await client.session.authenticate('t');
  assert.equal(client.session.expiresAt, 1_700_000_060_000);
});

test('a channel that is no pattern is refused under the id of its subscription, and the connection stays', async () => {
  for (const encoding of ['json', 'proto'] as const) {
    const client = await opened(createLocalNode(), '>', { encoding });
    client.send(subscribe('a', 'p..d'));
    client.send(subscribe('b', ''));
    client.session.onWish({ id: '1', channel: 'p.*' });
    const errors = client.errors();
    assert.deepEqual(
      errors.map(({ id, code }) => [id, code]),
      [
        ['a', 'invalid_pattern'],
        ['b', 'invalid_pattern'],
        ['1', 'invalid_pattern'],
      ],
    );
    assert.match(errors[0]?.message ?? '', /"p\.\.d" is not a pattern: segment 2 is empty; right is/);
    assert.deepEqual(client.closes, []);
    client.send(subscribe('a', 'p.d'));
    assert.deepEqual(client.kinds(), ['subscribed']);
  }
});

test('a channel that the token does not cover is forbidden, and nothing of it is shown', async () => {
  const node = createLocalNode();
  node.report('q.d', 1);
  const client = await opened(node, 'p.>');
  for (const [i, channel] of ['q.d', '>', 'p', 'q.>'].entries()) client.send(subscribe(`${i}`, channel));
  assert.deepEqual(
    client.received.map((message) => 'error' in message && message.error.code),
    Array(4).fill('forbidden'),
  );
  assert.equal(node.channels.size, 0);
});

test('an id is in use until it is unsubscribed', async () => {
  const client = await opened(createLocalNode());
  client.send(subscribe('a', 'p.d'));
  client.send(subscribe('a', 'p.e'));
  client.send({ unsubscribe: { id: 'a' } });
  client.send(subscribe('a', 'p.e'));
  assert.deepEqual(client.kinds(), ['subscribed', 'error', 'unsubscribed', 'subscribed']);
  client.send(subscribe('a', 'p.f'));
  const [error] = client.errors();
  assert.deepEqual([error?.id, error?.code], ['a', 'conflict']);
});

test('there are only so many subscriptions, and one that ended makes room', async () => {
  const client = await opened(createLocalNode());
  for (let i = 0; i < 4; i++) client.send(subscribe(`${i}`, `p.d${i}`));
  client.kinds();
  client.send(subscribe('x', 'p.x'));
  const [error] = client.errors();
  assert.deepEqual([error?.id, error?.code], ['x', 'limit_reached']);
  client.send({ unsubscribe: { id: '0' } });
  client.send(subscribe('x', 'p.x'));
  assert.deepEqual(client.kinds(), ['unsubscribed', 'subscribed']);
});

test('after unsubscribed nothing of the subscription comes, and its channel is closed', async () => {
  const node = createLocalNode();
  const client = await opened(node);
  client.send(subscribe('a', 'p.d'));
  client.kinds();
  client.send({ unsubscribe: { id: 'a' } });
  node.report('p.d', 1);
  assert.deepEqual(client.kinds(), ['unsubscribed']);
  assert.equal(node.channels.size, 0);
  client.send({ unsubscribe: { id: 'a' } });
  const [error] = client.errors();
  assert.deepEqual([error?.id, error?.code], ['a', 'not_found']);
});

test('two subscriptions that share a view get each report once, until both are gone', async () => {
  const node = createLocalNode();
  const client = await opened(node);
  client.send(subscribe('a', 'p.d'));
  client.send(subscribe('b', 'p.d'));
  const views = client.received.map((message) => 'subscribed' in message && message.subscribed.view);
  assert.equal(views[0], views[1]);
  client.kinds();
  node.report('p.d', 1);
  assert.deepEqual(client.kinds(), ['data']);
  client.send({ unsubscribe: { id: 'a' } });
  node.report('p.d', 2);
  assert.deepEqual(client.kinds(), ['unsubscribed', 'data']);
  client.send({ unsubscribe: { id: 'b' } });
  node.report('p.d', 3);
  assert.deepEqual(client.kinds(), ['unsubscribed']);
  assert.equal(client.topics.size, 0);
});

test('a subscription that waits can be unsubscribed, and one that waited in vain says so', async () => {
  const node = createLocalNode({ owned: false, joinDeadlineMs: 5_000 });
  const client = await opened(node);
  client.send(subscribe('a', 'p.d'));
  client.send(subscribe('b', 'p.e'));
  client.send({ unsubscribe: { id: 'a' } });
  assert.deepEqual(client.kinds(), ['unsubscribed']);
  await node.clock.advance(5_000);
  const errors = client.errors();
  assert.deepEqual(
    errors.map(({ id, code, retryable }) => [id, code, retryable]),
    [['b', 'unavailable', true]],
  );
  assert.equal(client.session.subscriptions, 0);
});

test('what cannot be read is the end with 4400, and the message says why', async () => {
  const json = [
    ['{', /is not JSON/],
    ['{"foo":{}}', /"foo" is no message/],
    ['{"ping":{"t":"1"}}', /ping\.t is "1"/],
  ] as const;
  for (const [text, expected] of json) {
    const client = await opened(createLocalNode());
    client.session.onMessage(text);
    const [error] = client.errors();
    assert.match(error?.message ?? '', expected);
    assert.equal(error?.id, undefined);
    assert.deepEqual(client.closes, [4400]);
  }
});

test('a text on a Protobuf connection and bytes on a JSON one are the end with 4400', async () => {
  const json = await opened(createLocalNode());
  json.session.onMessage(Uint8Array.of(1));
  assert.match(json.errors()[0]?.message ?? '', /binary frame on a tailrace\.v1\.json connection/);
  const proto = await opened(createLocalNode(), '>', { encoding: 'proto' });
  proto.session.onMessage('{"ping":{"t":1}}');
  assert.match(proto.errors()[0]?.message ?? '', /text frame on a tailrace\.v1\.proto connection/);
  assert.deepEqual([...json.closes, ...proto.closes], [4400, 4400]);
});

test('a message that is too large is the end with 4413, and both sizes are named', async () => {
  const client = await opened(createLocalNode());
  client.session.onTooLarge(2_000);
  assert.equal(client.errors()[0]?.message, 'the message has 2000 bytes; right is at most 1024');
  assert.deepEqual(client.closes, [4413]);
});

test('a session that ends lets go of everything at once', async () => {
  const node = createLocalNode();
  const client = await opened(node);
  client.send(subscribe('a', 'p.d'));
  client.send(subscribe('b', 'p.>'));
  const views = [...node.channels.in(0), ...node.channels.in(1)].flatMap((channel) => [...channel.views.values()]);
  client.session.end({ code: 1012, reason: '', mayReconnect: true });
  client.session.onClose();
  client.session.end({ code: 4400, reason: '', mayReconnect: false });
  assert.deepEqual(client.closes, [1012]);
  assert.equal(node.channels.size, 0);
  for (const view of views) assert.equal(view.sockets, 0);
});

test('a client that has a gap is served no more snapshots', async () => {
  const node = createLocalNode();
  const client = await opened(node);
  client.socket.lost = true;
  client.send(subscribe('a', '>'));
  assert.deepEqual(client.kinds(), []);
  assert.equal(node.channels.size, 0);
});

test('a client is told that the server goes, but not before its welcome', async () => {
  const waiting = connect(createLocalNode());
  waiting.session.drain(100);
  assert.deepEqual(waiting.kinds(), []);
  const client = await opened(createLocalNode());
  client.session.drain(100);
  assert.deepEqual(client.received, [{ draining: { afterMs: 100 } }]);
});

function logging() {
  const errors: object[] = [];
  const log: Log = { ...silentLog, error: (facts) => errors.push(facts) };
  return { log, errors };
}

test('a fault of ours while a token is verified is the end with 1011, not 4401, and logged', async () => {
  const { log, errors } = logging();
  const client = connect(createLocalNode(), { log, verify: () => Promise.reject(new TypeError('broken')) });
  await client.session.authenticate('t');
  assert.deepEqual(client.closes, [1011]);
  assert.equal(errors.length, 1);
});

test('a fault of ours that shows when a subscription begins ends that client alone', async () => {
  const { log, errors } = logging();
  const node = createLocalNode({ owned: false });
  const client = await opened(node, '>', { log });
  const other = await opened(node);
  client.send(subscribe('a', 'p.>'));
  other.send(subscribe('a', 'p.>'));
  client.socket.join = () => {
    throw new TypeError('broken');
  };
  for (const { number } of node.partitions) node.own(number);
  assert.deepEqual(client.closes, [1011]);
  assert.equal(errors.length, 1);
  other.received.splice(0);
  node.report('p.d', 1);
  assert.deepEqual(other.kinds(), ['data']);
  other.session.onClose();
  assert.equal(node.channels.size, 0);
});
