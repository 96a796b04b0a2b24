import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultReorderLimits, type HeldMessage, ReorderWindow } from './reorder-window.ts';

function held(seq: number, more: Partial<HeldMessage> = {}): HeldMessage {
  return { seq, type: 'NDATA', device: undefined, bytes: new Uint8Array(10), timestamp: seq, receivedMs: 0, ...more };
}

function windowWith(...messages: readonly HeldMessage[]): ReorderWindow {
  const window = new ReorderWindow(defaultReorderLimits);
  for (const each of messages) window.hold(each);
  return window;
}

test('messages are taken by number, or in order over 255', () => {
  const window = windowWith(held(3), held(254), held(0), held(255));
  assert.equal(window.take(1), undefined);
  assert.equal(window.take(0)?.seq, 0);
  assert.deepEqual(
    [window.takeNext(250)?.seq, window.takeNext(255)?.seq, window.takeNext(0)?.seq, window.takeNext(0)],
    [254, 255, 3, undefined],
  );
  assert.deepEqual([window.size, window.bytes], [0, 0]);
});

test('of two messages with one number the first one to come is taken first', () => {
  const window = windowWith(held(5, { timestamp: 2 }), held(5, { timestamp: 1 }));
  assert.deepEqual([window.takeNext(5)?.timestamp, window.takeNext(5)?.timestamp], [2, 1]);
});

test('messages from before a time are taken in order; those without a timestamp are not', () => {
  const window = windowWith(
    held(3, { timestamp: 10 }),
    held(2, { timestamp: 9 }),
    held(1, { timestamp: undefined }),
    held(4, { timestamp: 11 }),
  );
  assert.deepEqual(
    [window.takeOlder(11, 1)?.seq, window.takeOlder(11, 3)?.seq, window.takeOlder(11, 4)],
    [2, 3, undefined],
  );
  assert.equal(window.size, 2);
});

test('the time of the oldest message that is left counts', () => {
  const window = windowWith(held(2, { receivedMs: 100 }), held(4, { receivedMs: 300 }));
  assert.equal(window.dueMs, 100 + defaultReorderLimits.reorderMs);
  window.take(2);
  assert.equal(window.dueMs, 300 + defaultReorderLimits.reorderMs);
  window.take(4);
  assert.equal(window.dueMs, undefined);
});
