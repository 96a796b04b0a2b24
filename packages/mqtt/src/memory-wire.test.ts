import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MemoryWire, wirePair } from './memory-wire.ts';

/** What the handlers of an end were called with. */
function recorded(wire: MemoryWire): string[] {
  const calls: string[] = [];
  wire.handlers = {
    bytes: (chunk) => calls.push(chunk.toString()),
    writable: () => calls.push('writable'),
    closed: (error) => calls.push(error === undefined ? 'closed' : `closed: ${error.message}`),
  };
  return calls;
}

test('delivers bytes in both directions, and an answer after the handler has returned', () => {
  const [first, second] = wirePair();
  const calls = recorded(first);
  let isHandling = false;
  second.handlers = {
    bytes() {
      isHandling = true;
      second.send(Buffer.from('answer'));
      assert.deepEqual(calls, []);
      isHandling = false;
    },
    writable() {},
    closed() {},
  };
  first.send(Buffer.from('request'));
  assert.equal(isHandling, false);
  assert.deepEqual(calls, ['answer']);
});

test('a paused end receives nothing until it reads again, and the other end learns it by false and writable', () => {
  const [first, second] = wirePair();
  const [sent, received] = [recorded(first), recorded(second)];
  first.highWaterBytes = 3;
  second.pause();
  assert.equal(first.send(Buffer.from('abc')), true);
  assert.equal(first.send(Buffer.from('d')), false);
  assert.equal(second.waitingBytes, 4);
  second.resume();
  assert.deepEqual([received, sent], [['abc', 'd'], ['writable']]);
});

test('closes both sides once, after what was sent before', () => {
  const [first, second] = wirePair();
  const [own, other] = [recorded(first), recorded(second)];
  first.send(Buffer.from('last'));
  first.close();
  first.close();
  second.close();
  first.send(Buffer.from('late'));
  assert.deepEqual([own, other], [['closed'], ['last', 'closed']]);
});

test('a connection that fails delivers nothing that waits', () => {
  const [first, second] = wirePair();
  const [own, other] = [recorded(first), recorded(second)];
  second.pause();
  first.send(Buffer.from('lost'));
  first.fail(new Error('reset'));
  second.resume();
  assert.deepEqual([own, other], [['closed: reset'], ['closed: reset']]);
});
