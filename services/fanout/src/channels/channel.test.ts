import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Channel } from './channels.ts';

test('a channel is live once it has joined all its partitions, and notifies once', () => {
  const channel = new Channel('p.>', [0, 1, 2]);
  let calls = 0;
  const late = { onLive: () => assert.fail('it was removed') };
  channel.wait({ onLive: () => calls++ });
  channel.wait(late);
  channel.waiting.delete(late);
  channel.join(0, 10);
  channel.join(2, 0);
  channel.join(2, 5);
  assert.equal(channel.live, false);
  channel.join(1, 7);
  assert.equal(channel.live, true);
  channel.leave(1, 'requested');
  channel.join(1, 9);
  assert.equal(calls, 1);
  channel.wait({ onLive: () => calls++ });
  assert.deepEqual([calls, channel.waiting.size], [2, 0]);
});

test('a partition that is lost makes the channel wait again, and its position is kept', () => {
  const channel = new Channel('p.>', [0, 1]);
  channel.join(0, 10);
  channel.join(1, 20);
  channel.leave(1, 'waiting');
  assert.equal(channel.live, false);
  assert.deepEqual(channel.slot(1), { state: 'waiting', next: 20 });
  channel.leave(1, 'requested');
  channel.join(1, 15);
  assert.equal(channel.live, true);
  assert.equal(channel.slot(1).next, 20, 'the position never decreases');
});

test('a channel of a device has one partition, whatever its number', () => {
  const channel = new Channel('p.d', [7]);
  assert.equal(channel.slot(7).next, -1);
  channel.join(7, 3);
  assert.equal(channel.live, true);
  assert.equal(channel.covers('p.d'), true);
  assert.equal(channel.covers('p.d.e'), false);
});

test('in each partition a channel changes between waiting, requested and joined, and its position only grows', () => {
  const enter = {
    waiting: (channel: Channel) => channel.leave(0, 'waiting'),
    requested: (channel: Channel) => channel.leave(0, 'requested'),
    joined: (channel: Channel) => channel.join(0, 3),
  };
  for (const before of Object.values(enter)) {
    for (const [state, change] of Object.entries(enter)) {
      const channel = new Channel('p.d', [0]);
      channel.advance(0, 5);
      before(channel);
      change(channel);
      assert.deepEqual(channel.slot(0), { state, next: 5 });
      assert.equal(channel.live, state === 'joined');
      channel.advance(0, 4);
      assert.equal(channel.slot(0).next, 5);
    }
  }
});

test('a report is new to a channel once, and only where it is known what came before', () => {
  const channel = new Channel('p.d', [0]);
  assert.throws(() => channel.join(0, -1), { code: 'internal' });
  assert.throws(() => channel.take(0, 7), {
    code: 'internal',
    message: /^channel p\.d, partition 0, waiting: expected/,
  });
  channel.join(0, 7);
  assert.deepEqual(
    [channel.take(0, 6), channel.take(0, 7), channel.take(0, 7), channel.take(0, 9)],
    [false, true, false, true],
  );
  assert.equal(channel.slot(0).next, 10);
});
