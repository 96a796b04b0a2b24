import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { Announcer } from './announcer.ts';
import { Ring } from './ring.ts';

const { Announcement } = tailrace.v1;

/** An announcer on a bus on which the test sends and receives. */
function arrangement() {
  const sent: tailrace.v1.Announcement[] = [];
  const clock = { nowMs: 0 };
  let deliver: (bytes: Uint8Array) => void = () => assert.fail('expected a subscription');
  const ring = new Ring(3, { suspectMs: 1_500, nodeTimeoutMs: 6_000 });
  const announcer = new Announcer({
    bus: {
      publish: (_subject, bytes) => sent.push(Announcement.decode(bytes)),
      async subscribe(_subject, onMessage) {
        deliver = (bytes) => onMessage(bytes, '');
        return { stop: async () => {} };
      },
    },
    ring,
    epoch: 'e',
    clock: { monotonic: () => clock.nowMs },
    self: () => ({
      node: 'a',
      url: 'ws://a',
      generation: 7,
      partitions: [1],
      standby: [0],
      connections: 5,
      connectionsMax: 10,
      reachable: true,
      draining: true,
    }),
  });
  const other = (fields: tailrace.v1.IAnnouncement) =>
    deliver(
      Announcement.encode({ node: 'b', url: 'ws://b', generation: 7, partitions: [2], epoch: 'e', ...fields }).finish(),
    );
  return { announcer, ring, sent, other, clock, deliver: (bytes: Uint8Array) => deliver(bytes) };
}

test('a node announces what it owns when it starts and that it leaves when it stops, also to its own ring', async () => {
  const { announcer, ring, sent } = arrangement();
  await announcer.start();
  assert.equal(ring.owner(1)?.node, 'a');
  await announcer.stop();
  await announcer.stop();
  assert.equal(ring.owner(1), undefined);
  assert.deepEqual(
    sent.map(({ node, generation, partitions, leaving }) => [node, generation, partitions, leaving]),
    [
      ['a', 7, [1], false],
      ['a', 7, [1], true],
    ],
  );
});

test('a node that was not started announces nothing when it is stopped: another of its name may be running', async () => {
  const { announcer, sent } = arrangement();
  await announcer.stop();
  assert.deepEqual(sent, []);
});

test('what other nodes announce is in the ring until they leave', async () => {
  const { announcer, ring, other } = arrangement();
  await announcer.start();
  other({});
  const { node, url, generation } = ring.owner(2)!;
  assert.deepEqual({ node, url, generation }, { node: 'b', url: 'ws://b', generation: 7 });
  other({ acting: [2], partitions: [], connections: 3, connectionsMax: 4, reachable: true, draining: true });
  assert.equal(ring.owner(2)?.isStandby, true);
  const { connections, connectionsMax, reachable, draining } = ring.node('b')!;
  assert.deepEqual([connections, connectionsMax, reachable, draining], [3, 4, true, true]);
  other({ leaving: true });
  assert.equal(ring.owner(2), undefined);
  assert.equal(announcer.counts.rejected, 0);
});

test('announcements that are invalid, nameless or of another log are counted and dropped; a node’s own echo is dropped', async () => {
  const { announcer, ring, other, deliver } = arrangement();
  await announcer.start();
  deliver(Uint8Array.of(0x0a, 9));
  other({ epoch: 'another' });
  other({ node: '' });
  assert.equal(announcer.counts.rejected, 3);
  other({ node: 'a', leaving: true });
  assert.equal(ring.owner(1)?.node, 'a');
  assert.equal(announcer.counts.rejected, 3);
});

test('a node that announces nothing is suspect, but not while this one is isolated from the bus', async () => {
  const { announcer, ring, other, clock } = arrangement();
  await announcer.start();
  const passes = (ms: number, received: { self: boolean; b: boolean }) => {
    for (const end = clock.nowMs + ms; clock.nowMs < end; clock.nowMs += 100) {
      if (clock.nowMs % 500 === 0 && received.self) {
        announcer.announce();
        other({ node: 'a' });
      }
      if (clock.nowMs % 500 === 0 && received.b) other({});
      announcer.check();
    }
  };
  passes(1_000, { self: true, b: true });
  passes(5_000, { self: false, b: false });
  assert.equal(ring.suspects, 0, 'this node is isolated');
  passes(2_000, { self: true, b: false });
  assert.equal(ring.suspects, 0, 'other nodes may need longer to reconnect');
  passes(1_500, { self: true, b: false });
  assert.equal(ring.suspects, 1);
  passes(100, { self: true, b: true });
  assert.equal(ring.suspects, 0);
});

test('a node whose process was stopped for a while suspects no other', async () => {
  const { announcer, ring, other, clock } = arrangement();
  await announcer.start();
  other({ node: 'a' });
  other({});
  announcer.check();
  clock.nowMs += 20_000;
  announcer.check();
  assert.equal(ring.suspects, 0);
  assert.equal(ring.nodes().length, 2);
});
