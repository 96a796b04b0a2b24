import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLocalNode } from '../../test/local-node.ts';
import { connectSession, logging, openedSession, subscribe } from '../../test/session-client.ts';

test('an invalid pattern is refused under the id of its subscription, and the connection stays open', async () => {
  for (const encoding of ['json', 'proto'] as const) {
    const client = await openedSession(createLocalNode(), '>', { encoding });
    client.send(subscribe('a', 'p..d'));
    client.send(subscribe('b', ''));
    client.session.onSubscribeRequest({ id: '1', channel: 'p.*' });
    const errors = client.errors();
    assert.deepEqual(
      errors.map(({ id, code }) => [id, code]),
      [
        ['a', 'invalid_pattern'],
        ['b', 'invalid_pattern'],
        ['1', 'invalid_pattern'],
      ],
    );
    assert.match(errors[0]?.message ?? '', /^pattern: expected .*, got "p\.\.d": segment 2 is empty$/);
    assert.deepEqual(client.closes, []);
    client.send(subscribe('a', 'p.d'));
    assert.deepEqual(client.kinds(), ['subscribed']);
  }
});

test('an id is in use until it is unsubscribed', async () => {
  const client = await openedSession(createLocalNode());
  client.send(subscribe('a', 'p.d'));
  client.send(subscribe('a', 'p.e'));
  client.send({ unsubscribe: { id: 'a' } });
  client.send(subscribe('a', 'p.e'));
  assert.deepEqual(client.kinds(), ['subscribed', 'error', 'unsubscribed', 'subscribed']);
  client.send(subscribe('a', 'p.f'));
  const [error] = client.errors();
  assert.deepEqual([error?.id, error?.code], ['a', 'conflict']);
});

test('subscriptions are limited, and an unsubscribed one does not count', async () => {
  const client = await openedSession(createLocalNode());
  for (let i = 0; i < 4; i++) client.send(subscribe(`${i}`, `p.d${i}`));
  client.kinds();
  client.send(subscribe('x', 'p.x'));
  const [error] = client.errors();
  assert.deepEqual([error?.id, error?.code], ['x', 'limit_reached']);
  client.send({ unsubscribe: { id: '0' } });
  client.send(subscribe('x', 'p.x'));
  assert.deepEqual(client.kinds(), ['unsubscribed', 'subscribed']);
});

test('after unsubscribed nothing of the subscription is sent, and its channel is closed', async () => {
  const node = createLocalNode();
  const client = await openedSession(node);
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

test('two subscriptions of a client to one channel each have their own view, so that they may be at different positions', async () => {
  const node = createLocalNode();
  const client = await openedSession(node);
  client.send(subscribe('a', 'p.d'));
  client.send(subscribe('b', 'p.d'));
  const views = client.received.map((message) => 'subscribed' in message && message.subscribed.view);
  assert.notEqual(views[0], views[1]);
  const other = await openedSession(node);
  other.send(subscribe('a', 'p.d'));
  assert.deepEqual(
    other.received.map((message) => 'subscribed' in message && message.subscribed.view),
    [views[0]],
    'clients share views',
  );
  other.session.onClose();
  client.kinds();
  node.report('p.d', 1);
  assert.deepEqual(client.kinds(), ['data', 'data']);
  client.send({ unsubscribe: { id: 'a' } });
  node.report('p.d', 2);
  assert.deepEqual(client.kinds(), ['unsubscribed', 'data']);
  client.send({ unsubscribe: { id: 'b' } });
  node.report('p.d', 3);
  assert.deepEqual(client.kinds(), ['unsubscribed']);
  assert.equal(client.topics.size, 0);
});

test('a waiting subscription can be unsubscribed, and gets an error after its deadline', async () => {
  const node = createLocalNode({ owned: false, joinDeadlineMs: 5_000 });
  const client = await openedSession(node);
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

test('a message that cannot be decoded closes the connection with 4400, and the error has the reason', async () => {
  const json = [
    ['{', /^message: expected a JSON object, as in .*, got "\{"$/],
        ['{"foo":{}}', /^message: .*, got "foo"$/],
        ['{"ping":{"t":"1"}}', /^ping\.t: .*, got "1"$/],
  ] as const;
  for (const [text, expected] of json) {
    const client = await openedSession(createLocalNode());
    client.session.onMessage(text);
    const [error] = client.errors();
    assert.match(error?.message ?? '', expected);
    assert.equal(error?.id, undefined);
    assert.deepEqual(client.closes, [4400]);
  }
});

test('text on a Protobuf connection and bytes on a JSON one close the connection with 4400', async () => {
  const json = await openedSession(createLocalNode());
  json.session.onMessage(Uint8Array.of(1));
  assert.match(json.errors()[0]?.message ?? '', /expected text frames on a tailrace\.v1\.json connection, got binary/);
  const proto = await openedSession(createLocalNode(), '>', { encoding: 'proto' });
  proto.session.onMessage('{"ping":{"t":1}}');
  assert.match(proto.errors()[0]?.message ?? '', /expected binary frames on a tailrace\.v1\.proto connection, got text/);
  assert.deepEqual([...json.closes, ...proto.closes], [4400, 4400]);
});

test('a message that is too large closes the connection with 4413, and the error has both sizes', async () => {
  const client = await openedSession(createLocalNode());
  client.session.onTooLarge(2_000);
  assert.equal(client.errors()[0]?.message, 'message: expected at most 1024 bytes, got 2000');
  assert.deepEqual(client.closes, [4413]);
});

test('a closed session releases everything at once', async () => {
  const node = createLocalNode();
  const client = await openedSession(node);
  client.send(subscribe('a', 'p.d'));
  client.send(subscribe('b', 'p.>'));
  const views = [...node.channels.in(0), ...node.channels.in(1)].flatMap((channel) => [...channel.views.values()]);
  client.session.end({ code: 1012, reason: '' });
  client.session.onClose();
  client.session.end({ code: 4400, reason: '' });
  assert.deepEqual(client.closes, [1012]);
  assert.equal(node.channels.size, 0);
  for (const view of views) assert.equal(view.sockets, 0);
});

test('a client that has a gap is sent no more snapshots', async () => {
  const node = createLocalNode();
  const client = await openedSession(node);
  client.socket.isLost = true;
  client.send(subscribe('a', '>'));
  assert.deepEqual(client.kinds(), []);
  assert.equal(node.channels.size, 0);
});

test('a client is notified that the server stops, but not before its welcome', async () => {
  const waiting = connectSession(createLocalNode());
  waiting.session.drain(100);
  assert.deepEqual(waiting.kinds(), []);
  const client = await openedSession(createLocalNode());
  client.session.drain(100);
  assert.deepEqual(client.received, [{ draining: { afterMs: 100 } }]);
});

test('a client whose fresh token is being verified is notified that the server stops', async () => {
  const client = await openedSession(createLocalNode());
  const verified = client.session.authenticate('>');
  client.session.drain(100);
  assert.deepEqual(client.kinds(), ['draining']);
  await verified;
  assert.deepEqual(client.kinds(), ['welcome']);
});

test('an internal error when a subscription starts disconnects that client alone', async () => {
  const { logger, errors } = logging();
  const node = createLocalNode({ owned: false });
  const client = await openedSession(node, '>', { logger: logger });
  const other = await openedSession(node);
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
