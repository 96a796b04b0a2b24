import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLocalNode } from '../../test/local-node.ts';
import { openedSession, subscribe } from '../../test/session-client.ts';

/** A node on which single devices are at `place.url`. */
function arrangement() {
  const place: { url: string | undefined } = { url: 'ws://b' };
  const placement = {
    counts: { told: 0 },
    elsewhere: (channel: string) => (channel.endsWith('>') ? undefined : place.url),
  };
  return { node: createLocalNode(), place, placement };
}

test('a client is told where its device lives right after its subscription has begun, and is served here all the same', async () => {
  const { node, placement } = arrangement();
  node.report('p.d', 1);
  const client = await openedSession(node, '>', { placement });
  client.send(subscribe('a', 'p.d'));
  assert.deepEqual(client.received[1], { moved: { channel: 'p.d', url: 'ws://b' } });
  assert.deepEqual(client.kinds(), ['subscribed', 'moved', 'data']);
  node.report('p.d', 2);
  assert.deepEqual(client.kinds(), ['data']);
  assert.equal(placement.counts.told, 1);
});

test('a client of a subtree, or of a device that lives here, is told nothing', async () => {
  const { node, placement, place } = arrangement();
  const client = await openedSession(node, '>', { placement });
  client.send(subscribe('a', 'p.>'));
  place.url = undefined;
  client.send(subscribe('b', 'p.d'));
  assert.deepEqual(client.kinds(), ['subscribed', 'subscribed']);
});

test('a client that is asked to move is told once for each place, and only of what it watches', async () => {
  const { node, placement, place } = arrangement();
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
