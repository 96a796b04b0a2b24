import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Inbox, MessageScheduler } from './message-scheduler.ts';

/** A scheduler for messages of which each takes `messageMs`, and the messages as they were handled: client, number. */
function schedulerOf(messageMs: number, waitingBytesMax?: number) {
  let nowMs = 0;
  const deferred: (() => void)[] = [];
  const handled: string[] = [];
  const messages = new MessageScheduler({
    clock: { monotonic: () => nowMs },
    defer: (call) => void deferred.push(call),
    ...(waitingBytesMax === undefined ? {} : { waitingBytesMax }),
  });
  const handle = (data: string | Uint8Array) => {
    handled.push(String(data));
    nowMs += messageMs;
  };
  const client = (name: string) => {
    const inbox = new Inbox(handle);
    let sent = 0;
    return {
      inbox,
      send: (count: number, padding = '') => {
        for (let i = 0; i < count; i++) {
          const data = `${name}${sent++}${padding}`;
          if (!messages.isFree(inbox)) messages.wait(inbox, data);
          else {
            handle(data);
            messages.spend(messageMs);
          }
        }
      },
    };
  };
  /** Runs the next turn, and returns what it handled. */
  const turn = () => {
    handled.length = 0;
    for (const call of deferred.splice(0)) call();
    return handled;
  };
  return { messages, client, handled, turn, isIdle: () => deferred.length === 0 };
}

test('the messages of one turn take little time, however many have come, and stay in order', () => {
  const { messages, client, handled, turn, isIdle } = schedulerOf(0.5);
  const all: string[] = [];
  client('a').send(1_000);
  assert.equal(handled.length, 4, 'two milliseconds');
  for (let done = handled; ; done = turn()) {
    assert.ok(done.length <= 4, `${done.length} messages in one turn`);
    all.push(...done);
    if (isIdle()) break;
  }
  assert.deepEqual(
    all,
    Array.from({ length: 1_000 }, (_, i) => `a${i}`),
  );
  assert.deepEqual([messages.waitingBytes, messages.counts.waited], [0, 996]);
});

test('a client with one message goes before those that have sent thousands', () => {
  const { client, turn } = schedulerOf(0.5);
  for (const name of ['a', 'b', 'c']) client(name).send(1_000);
  turn();
  turn();
  client('honest').send(1);
  assert.ok(turn().includes('honest0'), turn().join());
});

test('a message that comes while earlier ones of its client wait is handled after them', () => {
  const { client, handled, turn } = schedulerOf(2);
  const a = client('a');
  a.send(3);
  assert.deepEqual(handled, ['a0']);
  assert.deepEqual(turn(), ['a1']);
  a.send(1);
  assert.deepEqual(turn(), ['a2']);
  assert.deepEqual(turn(), ['a3']);
});

test('beyond its limits a client waits no longer, and neither does anybody beyond that of all', () => {
  const one = schedulerOf(1);
  one.client('a').send(40, 'x'.repeat(16_000));
  assert.ok(one.messages.waitingBytes <= 262_144, `${one.messages.waitingBytes}`);
  assert.ok(one.handled.length >= 40 - 262_144 / 16_000, `${one.handled.length}`);
  const all = schedulerOf(1, 1_000);
  for (const name of ['a', 'b', 'c']) all.client(name).send(20);
  assert.ok(all.messages.waitingBytes <= 1_000, `${all.messages.waitingBytes}`);
  all.turn();
  while (!all.isIdle()) all.turn();
  assert.equal(all.messages.waitingBytes, 0);
});
