import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLocalNode } from '../../test/local-node.ts';
import { openedSession, subscribe } from '../../test/session-client.ts';

/** A node whose single devices have an owner at `place.url`. */
function fixture() {
  const place: { url: string | undefined } = { url: 'ws://b' };
  const placement = {
    counts: { moved: 0 },
    elsewhere: (channel: string) => (channel.endsWith('>') ? undefined : place.url),
  };
  return { node: createLocalNode(), place, placement };
}

test('a client of a device that another node owns is sent moved right after subscribed, and is served here', async () => {
  const { node, placement } = fixture();
  node.report('p.d', 1);
  const client = await openedSession(node, '>', { placement });
  client.send(subscribe('a', 'p.d'));
  assert.deepEqual(client.received[1], { moved: { channel: 'p.d', url: 'ws://b' } });
  assert.deepEqual(client.kinds(), ['subscribed', 'moved', 'data']);
  node.report('p.d', 2);
  assert.deepEqual(client.kinds(), ['data']);
  assert.equal(placement.counts.moved, 1);
});

test('a client of a subtree, or of a device that this node owns, is not sent moved', async () => {
  const { node, placement, place } = fixture();
  const client = await openedSession(node, '>', { placement });
  client.send(subscribe('a', 'p.>'));
  place.url = undefined;
  client.send(subscribe('b', 'p.d'));
  assert.deepEqual(client.kinds(), ['subscribed', 'subscribed']);
});

test('a client is sent moved once for each URL, and only for channels that it is subscribed to', async () => {
  const { node, placement, place } = fixture();
  place.url = undefined;
  const client = await openedSession(node, '>', { placement });
  client.send(subscribe('a', 'p.d'));
  client.kinds();
  assert.deepEqual(
    [...client.session.watched()].map(({ pattern }) => pattern),
    ['p.d'],
  );
  assert.equal(client.session.moved('p.d', 'ws://b'), true);
  assert.equal(client.session.moved('p.d', 'ws://b'), false);
  assert.equal(client.session.moved('p.d', 'ws://c'), true);
  assert.equal(client.session.moved('p.e', 'ws://b'), false);
  assert.deepEqual(client.received.splice(0), [
    { moved: { channel: 'p.d', url: 'ws://b' } },
    { moved: { channel: 'p.d', url: 'ws://c' } },
  ]);
  client.session.onClose();
  assert.equal(client.session.moved('p.d', 'ws://d'), false);
});
