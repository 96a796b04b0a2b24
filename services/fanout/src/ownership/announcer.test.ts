import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { Announcer } from './announcer.ts';
import { Ring } from './ring.ts';

const { Announcement } = tailrace.v1;

/** An announcer on a bus that the test hears and speaks on. */
function arrangement() {
  const said: tailrace.v1.Announcement[] = [];
  const clock = { nowMs: 0 };
  let hear: (bytes: Uint8Array) => void = () => assert.fail('nobody listens');
  const ring = new Ring(3, { suspectMs: 1_500, nodeSilenceMs: 6_000 });
  const announcer = new Announcer({
    bus: {
      publish: (_subject, bytes) => said.push(Announcement.decode(bytes)),
      async subscribe(_subject, onMessage) {
        hear = (bytes) => onMessage(bytes, '');
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
    hear(
      Announcement.encode({ node: 'b', url: 'ws://b', generation: 7, partitions: [2], epoch: 'e', ...fields }).finish(),
    );
  return { announcer, ring, said, other, clock, hear: (bytes: Uint8Array) => hear(bytes) };
}

test('a node says what it owns when it starts and that it goes when it stops, and its own ring knows', async () => {
  const { announcer, ring, said } = arrangement();
  await announcer.start();
  assert.equal(ring.owner(1)?.node, 'a');
  await announcer.stop();
  await announcer.stop();
  assert.equal(ring.owner(1), undefined);
  assert.deepEqual(
    said.map(({ node, generation, partitions, leaving }) => [node, generation, partitions, leaving]),
    [
      ['a', 7, [1], false],
      ['a', 7, [1], true],
    ],
  );
});

test('a node that was not started says nothing when it is stopped: another of its name may be running', async () => {
  const { announcer, said } = arrangement();
  await announcer.stop();
  assert.deepEqual(said, []);
});

test('what other nodes say goes into the ring, and out of it when they leave', async () => {
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

test('what is unreadable, nameless or of another log is counted and passed over; our own echo is passed over', async () => {
  const { announcer, ring, other, hear } = arrangement();
  await announcer.start();
  hear(Uint8Array.of(0x0a, 9));
  other({ epoch: 'another' });
  other({ node: '' });
  assert.equal(announcer.counts.rejected, 3);
  other({ node: 'a', leaving: true });
  assert.equal(ring.owner(1)?.node, 'a');
  assert.equal(announcer.counts.rejected, 3);
});

test('a node is suspect after its silence, but not while this one hears nobody at all, not even itself', async () => {
  const { announcer, ring, other, clock } = arrangement();
  await announcer.start();
  const passes = (ms: number, heard: { self: boolean; b: boolean }) => {
    for (const end = clock.nowMs + ms; clock.nowMs < end; clock.nowMs += 100) {
      if (clock.nowMs % 500 === 0 && heard.self) {
        announcer.announce();
        other({ node: 'a' });
      }
      if (clock.nowMs % 500 === 0 && heard.b) other({});
      announcer.check();
    }
  };
  passes(1_000, { self: true, b: true });
  passes(5_000, { self: false, b: false });
  assert.equal(ring.suspects, 0, 'the bus is cut here');
  passes(2_000, { self: true, b: false });
  assert.equal(ring.suspects, 0, 'others may need longer to find back to it');
  passes(1_500, { self: true, b: false });
  assert.equal(ring.suspects, 1);
  passes(100, { self: true, b: true });
  assert.equal(ring.suspects, 0);
});

test('a node that was stopped for a while itself takes nobody for silent', async () => {
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
