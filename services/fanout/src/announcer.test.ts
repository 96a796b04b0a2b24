import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { Announcer } from './announcer.ts';
import { Ring } from './ring.ts';

const { Announcement } = tailrace.v1;

/** An announcer on a bus that the test hears and speaks on. */
function arrangement() {
  const said: tailrace.v1.Announcement[] = [];
  let hear: (bytes: Uint8Array) => void = () => assert.fail('nobody listens');
  const ring = new Ring(3, 6_000, () => {});
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
    now: () => 0,
    self: () => ({ node: 'a', url: 'ws://a', generation: 7, partitions: [1], connections: 5 }),
  });
  const other = (fields: tailrace.v1.IAnnouncement) =>
    hear(
      Announcement.encode({ node: 'b', url: 'ws://b', generation: 7, partitions: [2], epoch: 'e', ...fields }).finish(),
    );
  return { announcer, ring, said, other, hear: (bytes: Uint8Array) => hear(bytes) };
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
  assert.deepEqual(ring.owner(2), { node: 'b', url: 'ws://b', generation: 7 });
  other({ leaving: true });
  assert.equal(ring.owner(2), undefined);
  assert.equal(announcer.counts.foreign, 0);
});

test('what is unreadable, nameless or of another log is counted and passed over; our own echo is passed over', async () => {
  const { announcer, ring, other, hear } = arrangement();
  await announcer.start();
  hear(Uint8Array.of(0x0a, 9));
  other({ epoch: 'another' });
  other({ node: '' });
  assert.equal(announcer.counts.foreign, 3);
  other({ node: 'a', leaving: true });
  assert.equal(ring.owner(1)?.node, 'a');
  assert.equal(announcer.counts.foreign, 3);
});
