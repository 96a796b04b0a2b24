import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSocket, type WebSocketConstructor } from './websocket.ts';

/** A WebSocket whose events a test emits. */
class Fake {
  static last: Fake;
  readonly #listeners = new Map<string, (event: never) => void>();

  constructor() {
    Fake.last = this;
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, listener);
  }

  send(): void {}

  close(): void {}

  emit(type: string, event: object = {}): void {
    this.#listeners.get(type)?.(event as never);
  }
}

function opened(): { fake: Fake; closes: [number, string][] } {
  const closes: [number, string][] = [];
  openSocket('ws://x', Fake as unknown as WebSocketConstructor, {
    onOpen: () => {},
    onText: () => {},
    onBinary: () => {},
    onClose: (code, reason) => closes.push([code, reason]),
  });
  return { fake: Fake.last, closes };
}

test('a failed handshake is one close, with or without a `close` event after the error', () => {
  const { fake, closes } = opened();
  fake.emit('error');
  assert.deepEqual(closes, [[1006, '']], 'as in Node.js 22, which emits no close');
  fake.emit('close', { code: 1006, reason: '' });
  assert.equal(closes.length, 1, 'as in browsers');
});

test('an error of an open socket is ignored until its close', () => {
  const { fake, closes } = opened();
  fake.emit('open');
  fake.emit('error');
  assert.deepEqual(closes, []);
  fake.emit('close', { code: 4002, reason: 'too slow' });
  assert.deepEqual(closes, [[4002, 'too slow']]);
});

test("the type of the runtime's WebSocket is assignable", () => {
  const own: WebSocketConstructor = globalThis.WebSocket;
  assert.equal(typeof own, 'function');
});
