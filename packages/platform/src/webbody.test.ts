import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createManualClock } from '../test/manualclock.ts';
import { type Log, silentLog } from './log.ts';
import { BodyReader, type BodyReaderOptions, type BodyResponse } from './webbody.ts';
import { respond } from './webresponse.ts';

function bytes(text: string): ArrayBuffer {
  return Uint8Array.from(Buffer.from(text)).buffer;
}

/** A response whose chunks and abort the test plays. */
class FakeResponse implements BodyResponse {
  status = '';
  body: unknown;
  closed: boolean | undefined;
  ended?: boolean;
  bodyUnread?: boolean;
  abortCall?: () => void;
  #onData: (chunk: ArrayBuffer, isLast: boolean) => void = () => {};
  #onAborted: () => void = () => {};
  cork(call: () => void): void {
    call();
  }
  writeStatus(status: string): void {
    this.status = status;
  }
  writeHeader(): void {}
  end(body?: unknown, closeConnection?: boolean): void {
    this.body = body;
    this.closed = closeConnection;
  }
  onAborted(handler: () => void): void {
    this.#onAborted = handler;
  }
  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): void {
    this.#onData = handler;
  }
  /** Hands a chunk over and takes its memory back, as uWebSockets.js does. */
  chunk(text: string, isLast = false): void {
    const chunk = bytes(text);
    this.#onData(chunk, isLast);
    structuredClone(chunk, { transfer: [chunk] });
  }
  abort(): void {
    this.#onAborted();
  }
}

function arrangement(options: Partial<BodyReaderOptions> = {}) {
  const clock = createManualClock();
  const reader = new BodyReader({ log: silentLog, clock, bodyMs: 1_000, ...options });
  const read = (bytesMax: number, contentLength = '') => {
    const res = new FakeResponse();
    const calls: { readonly error: TailraceError | undefined; readonly body: string }[] = [];
    const request = { getHeader: (name: string) => (name === 'content-length' ? contentLength : '') };
    reader.read(res, request, bytesMax, (error, body) => {
      // Read only when the test looks at it, long after the chunks' memory was taken back.
      calls.push({
        error,
        get body() {
          return body.toString();
        },
      });
    });
    return { res, calls };
  };
  return { clock, reader, read };
}

test('a body in one chunk is handed over as a copy', () => {
  const { read, reader } = arrangement();
  const { res, calls } = read(10, '5');
  res.chunk('hello', true);
  assert.deepEqual(calls, [{ error: undefined, body: 'hello' }]);
  assert.equal(reader.unfinishedCount, 0);
});

test('a body in many chunks, without a length, is put together', () => {
  const { read, reader } = arrangement();
  const { res, calls } = read(10);
  res.chunk('he');
  assert.equal(reader.unfinishedBytes, 2);
  res.chunk('llo');
  res.chunk('', true);
  assert.deepEqual(calls, [{ error: undefined, body: 'hello' }]);
  assert.equal(reader.unfinishedBytes, 0);
});

test('a body of exactly the limit is taken', () => {
  const { read } = arrangement();
  const { res, calls } = read(5, '5');
  res.chunk('hello', true);
  assert.equal(calls[0]?.error, undefined);
});

test('a declared length over the limit is refused without keeping a byte, once the client has sent it', () => {
  const { read, reader } = arrangement();
  const { res, calls } = read(5, '8');
  res.chunk('hell');
  assert.equal(reader.unfinishedBytes, 0);
  assert.equal(calls.length, 0);
  res.chunk('o wo', true);
  assert.equal(calls[0]?.error?.code, 'too_large');
  assert.match(calls[0]?.error?.message ?? '', /the body has 8 bytes; at most 5 bytes/);
  assert.equal(res.bodyUnread, false);
});

test('a declared length far over the limit is refused before anything is read, and the connection closes', () => {
  const { read } = arrangement();
  const { res, calls } = read(5, '11');
  assert.equal(calls[0]?.error?.code, 'too_large');
  respond(res, 413, []);
  assert.equal(res.closed, true);
});

test('a body without a length is refused when it passes the limit, and what was kept is let go', () => {
  const { read, reader } = arrangement();
  const { res, calls } = read(5);
  res.chunk('hello');
  res.chunk('w');
  assert.equal(reader.unfinishedBytes, 0);
  res.chunk('orld');
  assert.equal(calls.length, 0);
  res.chunk('!');
  assert.equal(calls[0]?.error?.code, 'too_large');
  assert.equal(res.bodyUnread, true);
  res.chunk('more', true);
  assert.equal(calls.length, 1);
});

test('a body that does not come in its time is told so, and its connection closes', () => {
  const { read, reader, clock } = arrangement();
  const slow = read(10, '5');
  clock.advance(500);
  const later = read(10, '5');
  slow.res.chunk('he');
  clock.advance(499);
  assert.equal(slow.calls.length, 0);
  clock.advance(251);
  assert.equal(slow.calls[0]?.error?.code, 'timeout');
  assert.match(slow.calls[0]?.error?.message ?? '', /only 2 bytes of the body came within 1000 ms/);
  assert.equal(slow.res.bodyUnread, true);
  assert.equal(later.calls.length, 0);
  later.res.chunk('hello', true);
  assert.equal(later.calls[0]?.body, 'hello');
  assert.equal(reader.unfinishedBytes, 0);
});

test('the timer runs only while a body is unfinished', () => {
  const { read, clock } = arrangement();
  assert.equal(clock.timers(), 0);
  const { res } = read(10);
  assert.equal(clock.timers(), 1);
  res.chunk('x', true);
  clock.advance(250);
  assert.equal(clock.timers(), 0);
});

test('a client that goes is told as closed, and nothing is kept of it', () => {
  const { read, reader } = arrangement();
  const { res, calls } = read(10);
  res.chunk('he');
  res.abort();
  assert.equal(calls[0]?.error?.code, 'closed');
  assert.equal(reader.unfinishedBytes, 0);
  assert.equal(reader.unfinishedCount, 0);
  assert.equal(respond(res, 200, []), false);
  assert.equal(res.status, '');
});

test('all unfinished bodies together are bounded, and the one too many can come again', () => {
  const { read, reader } = arrangement({ unfinishedBytesMax: 8 });
  const first = read(10);
  const second = read(10);
  first.res.chunk('12345');
  second.res.chunk('1234');
  assert.equal(reader.unfinishedBytes, 5);
  second.res.chunk('', true);
  const { error } = second.calls[0]!;
  assert.deepEqual([error?.code, error?.retryable], ['limit_reached', true]);
  first.res.chunk('6', true);
  assert.equal(first.calls[0]?.body, '123456');
});

test('a handler that throws costs its own request a 500, and the log an entry', () => {
  const sentences: string[] = [];
  const log: Log = { ...silentLog, error: (_, sentence) => void sentences.push(sentence) };
  const reader = new BodyReader({ log, clock: createManualClock() });
  const res = new FakeResponse();
  reader.read(res, { getHeader: () => '' }, 10, () => {
    throw new TailraceError('internal', 'odd');
  });
  res.chunk('x', true);
  assert.equal(res.status, '500 Internal Server Error');
  assert.deepEqual(sentences, ['a request could not be handled']);
});

test('an answer is given once', () => {
  const res = new FakeResponse();
  assert.equal(respond(res, 202, [], 'a'), true);
  assert.equal(respond(res, 500, [], 'b'), false);
  assert.deepEqual([res.status, res.body, res.closed], ['202 Accepted', 'a', false]);
});
