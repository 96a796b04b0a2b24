import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Channel } from './channel.ts';

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
  channel.part(1, 'asking');
  channel.join(1, 9);
  assert.equal(calls, 1);
  channel.wait({ onLive: () => calls++ });
  assert.deepEqual([calls, channel.waiting.size], [2, 0]);
});

test('a partition that is lost makes the channel wait again, and its position is kept', () => {
  const channel = new Channel('p.>', [0, 1]);
  channel.join(0, 10);
  channel.join(1, 20);
  channel.part(1, 'waiting');
  assert.equal(channel.live, false);
  assert.deepEqual(channel.slot(1), { state: 'waiting', next: 20 });
  channel.part(1, 'asking');
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
