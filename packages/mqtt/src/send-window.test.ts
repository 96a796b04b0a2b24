import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statement } from '../test/statements.ts';
import type { OutboundMessage } from './publish.ts';
import { SendWindow } from './send-window.ts';

const message = (topic: string): OutboundMessage => ({ topic, payload: Buffer.alloc(0), qos: 1 });
const neverExpired = () => assert.fail('nothing has expired');

statement(
  { v4: '2.3.1-2', v5: '2.2.1-4' },
  'takes a packet ID that is not in use, also after 65,535 of them, for messages and for subscriptions',
  () => {
    const window = new SendWindow(100);
    window.connected(100);
    const held = window.add(message('held'))!.packetId;
    const reserved = window.reserve();
    const ids = new Set<number>();
    for (let count = 0; count < 140_000; count++) {
      const { packetId } = window.add(message('x'))!;
      assert.ok(packetId !== held && packetId !== reserved && packetId >= 1 && packetId <= 65_535);
      ids.add(packetId);
      window.acked(packetId);
    }
    assert.equal(ids.size, 65_533);
    assert.equal(window.free(reserved), true);
    assert.equal(window.free(reserved), false);
  },
);

test('takes the smaller of its own limit and the quota of the peer', () => {
  for (const [own, peer, expected] of [
    [2, 10, 2],
    [10, 2, 2],
  ] as const) {
    const window = new SendWindow(own);
    window.connected(peer);
    const taken = ['a', 'b', 'c'].filter((topic) => window.add(message(topic)) !== undefined);
    assert.equal(taken.length, expected);
  }
});

test('takes no new message while others wait to be sent again', () => {
  const window = new SendWindow(10);
  window.connected(10);
  for (const topic of ['a', 'b']) window.add(message(topic));
  window.connected(10);
  assert.equal(window.add(message('c')), undefined);
  assert.equal(window.nextToResend(0, neverExpired)?.message.topic, 'a');
  assert.equal(window.add(message('c')), undefined);
  assert.equal(window.nextToResend(0, neverExpired)?.message.topic, 'b');
  assert.equal(window.nextToResend(0, neverExpired), undefined);
  assert.equal(window.add(message('c'))?.packetId, 3);
});

test('an acknowledgment of a message that was not sent again yet removes it', () => {
  const window = new SendWindow(10);
  window.connected(10);
  for (const topic of ['a', 'b']) window.add(message(topic));
  window.connected(1);
  assert.equal(window.acked(2)?.topic, 'b');
  assert.equal(window.nextToResend(0, neverExpired)?.message.topic, 'a');
  assert.equal(window.acked(2), undefined);
  assert.equal(window.size, 1);
});

test('removes expired messages, also those behind the quota', () => {
  const window = new SendWindow(10);
  window.connected(10);
  for (const [topic, expiresAtMs] of [
    ['a', 100],
    ['b', 300],
    ['c', 100],
  ] as const) {
    window.add({ ...message(topic), expiresAtMs });
  }
  window.connected(10);
  const expired: string[] = [];
  const resent: string[] = [];
  for (;;) {
    const next = window.nextToResend(200, ({ topic }) => expired.push(topic));
    if (next === undefined) break;
    resent.push(next.message.topic);
  }
  assert.deepEqual([expired, resent], [['a', 'c'], ['b']]);
});

test('returns its messages in order when the peer has lost the session', () => {
  const window = new SendWindow(10);
  window.connected(10);
  for (const topic of ['a', 'b']) window.add(message(topic));
  assert.deepEqual(
    window.unacknowledged().map(({ packetId }) => packetId),
    [1, 2],
  );
  assert.deepEqual(
    window.clear().map(({ topic }) => topic),
    ['a', 'b'],
  );
  assert.equal(window.add(message('c'))?.packetId, 3);
});
