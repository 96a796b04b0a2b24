import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TailraceError } from '@tailrace/protocol/error';
import { createManualClock } from '../test/manual-clock.ts';
import { type BodyOwner, BodyReader, type BodyReaderOptions, type IncomingBody } from './body-reader.ts';

interface Outcome {
  readonly error: TailraceError | undefined;
  readonly body: string;
  readonly isComplete: boolean;
}

class Upload {
  readonly outcomes: Outcome[] = [];
  readonly #body: IncomingBody | undefined;

  constructor(reader: BodyReader, bytesMax: number, declaredBytes = 0, owner?: BodyOwner) {
    const settleBody = (error: TailraceError | undefined, body: Buffer, isComplete: boolean) =>
      void this.outcomes.push({ error, body: body.toString(), isComplete });
    this.#body = reader.open({ settleBody }, bytesMax, declaredBytes, owner);
  }

  /** Passes a chunk and detaches its memory, as uWebSockets.js does. */
  chunk(text: string): this {
    const chunk = Uint8Array.from(Buffer.from(text));
    this.#body!.take(chunk, false);
    structuredClone(chunk.buffer, { transfer: [chunk.buffer] });
    return this;
  }

  finish(text: string): this {
    const chunk = Uint8Array.from(Buffer.from(text));
    this.#body!.finish(chunk);
    structuredClone(chunk.buffer, { transfer: [chunk.buffer] });
    return this;
  }

  end(): this {
    this.#body!.end();
    return this;
  }

  abort(): void {
    this.#body!.abort();
  }

  get code(): string | undefined {
    return this.outcomes[0]?.error?.code;
  }
}

function readerWith(options: BodyReaderOptions = {}) {
  const clock = createManualClock();
  return { clock, reader: new BodyReader({ clock, bodyMs: 1_000, ...options }) };
}

test('a body in one chunk is copied', () => {
  const { reader } = readerWith();
  const { outcomes } = new Upload(reader, 10, 5).finish('hello');
  assert.deepEqual(outcomes, [{ error: undefined, body: 'hello', isComplete: true }]);
  assert.equal(reader.unfinishedCount, 0);
});

test('a body in many chunks, without a length, is assembled', () => {
  const { reader } = readerWith();
  const upload = new Upload(reader, 10).chunk('pa');
  assert.equal(reader.unfinishedBytes, 2);
  upload.chunk('cket').finish('');
  assert.deepEqual(upload.outcomes, [{ error: undefined, body: 'packet', isComplete: true }]);
  assert.equal(reader.unfinishedBytes, 0);
});

test('a body in chunks of one byte is the same body', () => {
  const { reader } = readerWith();
  const text = 'abcdefghij'.repeat(2_000);
  const upload = new Upload(reader, 20_000);
  for (const letter of text) upload.chunk(letter);
  assert.equal(upload.end().outcomes[0]?.body, text);
});

test('a chunk whose memory stays valid is kept without a copy, and the next is appended', () => {
  const { reader } = readerWith();
  const outcomes: string[] = [];
  const settleBody = (_error: unknown, body: Buffer) => void outcomes.push(body.toString());
  const body = reader.open({ settleBody }, 10, 0)!;
  body.take(Buffer.from('hello'), true);
  body.take(Buffer.from(' you'), true);
  body.end();
  assert.deepEqual(outcomes, ['hello you']);
});

test('a body of exactly the limit is taken', () => {
  const { reader } = readerWith();
  assert.equal(new Upload(reader, 5, 5).finish('hello').code, undefined);
});

test('a declared length over the limit is refused once the client has sent the body, of which nothing is kept', () => {
  const { reader } = readerWith();
  const upload = new Upload(reader, 5, 8).chunk('hell');
  assert.equal(reader.unfinishedBytes, 0);
  assert.equal(upload.outcomes.length, 0);
  upload.finish('o wo');
  assert.equal(upload.code, 'too_large');
  assert.match(upload.outcomes[0]?.error?.message ?? '', /the body: expected at most 5 bytes, got 8 bytes/);
  assert.equal(upload.outcomes[0]?.isComplete, true);
});

test('a declared length far over the limit is refused before anything is read', () => {
  const { reader } = readerWith();
  const { code, outcomes } = new Upload(reader, 5, 11);
  assert.deepEqual([code, outcomes[0]?.isComplete, reader.unfinishedCount], ['too_large', false, 0]);
});

test('a body without a length is refused above the limit, and what was kept is released', () => {
  const { reader } = readerWith();
  const upload = new Upload(reader, 5).chunk('hello').chunk('w');
  assert.equal(reader.unfinishedBytes, 0);
  upload.chunk('orld');
  assert.equal(upload.outcomes.length, 0);
  upload.chunk('!');
  assert.deepEqual([upload.code, upload.outcomes[0]?.isComplete], ['too_large', false]);
  upload.finish('more');
  assert.equal(upload.outcomes.length, 1);
});

test('a body that is not complete at the deadline is refused with the bytes received', () => {
  const { reader, clock } = readerWith();
  const slow = new Upload(reader, 10, 5);
  clock.advance(500);
  const later = new Upload(reader, 10, 5);
  slow.chunk('pa');
  clock.advance(499);
  assert.equal(slow.outcomes.length, 0);
  clock.advance(251);
  assert.equal(slow.code, 'timeout');
  assert.match(slow.outcomes[0]?.error?.message ?? '', /the body: expected all of it within 1000 ms, got 2 bytes/);
  assert.equal(slow.outcomes[0]?.isComplete, false);
  assert.equal(later.outcomes.length, 0);
  assert.equal(later.finish('hello').outcomes[0]?.body, 'hello');
  assert.equal(reader.unfinishedBytes, 0);
});

test('the timer runs only while a body is unfinished', () => {
  const { reader, clock } = readerWith();
  assert.equal(clock.timers(), 0);
  const upload = new Upload(reader, 10);
  assert.equal(clock.timers(), 1);
  upload.finish('x');
  clock.advance(250);
  assert.equal(clock.timers(), 0);
});

test('a client that closes the connection is reported as closed, and nothing of it is kept', () => {
  const { reader } = readerWith();
  const upload = new Upload(reader, 10).chunk('pa');
  upload.abort();
  assert.equal(upload.code, 'closed');
  assert.deepEqual([reader.unfinishedBytes, reader.unfinishedCount], [0, 0]);
});

test('all unfinished bodies together are bounded, and one too many may be sent again', () => {
  const { reader } = readerWith({ unfinishedBytesMax: 8 });
  const first = new Upload(reader, 10).chunk('12345');
  const second = new Upload(reader, 10).chunk('1234');
  assert.equal(reader.unfinishedBytes, 5);
  const { error } = second.finish('').outcomes[0]!;
  assert.deepEqual([error?.code, error?.retryable], ['limit_reached', true]);
  assert.equal(first.finish('6').outcomes[0]?.body, '123456');
});

test('the unfinished bodies of one sender use at most half of the capacity, and others the rest', () => {
  const { reader } = readerWith({ unfinishedBytesMax: 16 });
  const [greedy, honest]: BodyOwner[] = [{ unfinishedBytes: 0 }, { unfinishedBytes: 0 }];
  const first = new Upload(reader, 10, 0, greedy).chunk('12345678');
  const second = new Upload(reader, 10, 0, greedy).chunk('9').finish('');
  assert.deepEqual([second.code, second.outcomes[0]?.error?.retryable], ['rate_limited', true]);
  assert.equal(new Upload(reader, 10, 0, honest).chunk('1234').end().outcomes[0]?.body, '1234');
  first.abort();
  assert.equal(greedy?.unfinishedBytes, 0);
});

test('near a limit the slowest bodies are terminated after a second, the slowest first; others are not', () => {
  const { reader, clock } = readerWith({ bodyMs: 10_000, unfinishedBytesMax: 40_000 });
  const stalled = new Upload(reader, 20_000).chunk('x'.repeat(9_000));
  const slow = new Upload(reader, 20_000).chunk('x'.repeat(9_000));
  const fast = new Upload(reader, 20_000).chunk('x'.repeat(1_000));
  clock.advance(1_000);
  assert.equal(stalled.outcomes.length, 0, 'less than half of the capacity is used');
  slow.chunk('x'.repeat(100));
  fast.chunk('x'.repeat(5_000));
  clock.advance(1_000);
  assert.equal(stalled.code, 'timeout');
  assert.match(
    stalled.outcomes[0]?.error?.message ?? '',
    /expected at least 4096 bytes a second while the server is near its limits, got 0/,
  );
  assert.equal(slow.outcomes.length, 0, 'the first one released enough');
  assert.equal(fast.outcomes.length, 0);
  assert.equal(reader.terminated, 1);
});

test('near another limit of the server, slow bodies are terminated too', () => {
  let isNear = false;
  const { reader, clock } = readerWith({ bodyMs: 10_000, isNearLimit: () => isNear });
  const slow = new Upload(reader, 20_000).chunk('x');
  clock.advance(1_000);
  assert.equal(slow.outcomes.length, 0);
  isNear = true;
  clock.advance(1_000);
  assert.equal(slow.code, 'timeout');
});
