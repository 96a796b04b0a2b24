import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSocket, type WebSocketConstructor } from './websocket.ts';

/** A WebSocket whose events a test sets off. */
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

  fires(type: string, event: object = {}): void {
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

test('a handshake that fails is a close, once, whether the implementation says so after its error or not', () => {
  const { fake, closes } = opened();
  fake.fires('error');
  assert.deepEqual(closes, [[1006, '']], 'as in Node 22, where nothing more comes');
  fake.fires('close', { code: 1006, reason: '' });
  assert.equal(closes.length, 1, 'as in browsers');
});

test('an error of an open socket leaves the code to the close after it', () => {
  const { fake, closes } = opened();
  fake.fires('open');
  fake.fires('error');
  assert.deepEqual(closes, []);
  fake.fires('close', { code: 4002, reason: 'too slow' });
  assert.deepEqual(closes, [[4002, 'too slow']]);
});

test('the WebSocket of the runtime is taken as it is, by the compiler, too', () => {
  const taken: WebSocketConstructor = globalThis.WebSocket;
  assert.equal(typeof taken, 'function');
});
