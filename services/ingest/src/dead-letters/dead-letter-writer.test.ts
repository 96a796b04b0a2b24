import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { DeadLetter } from './dead-letter.ts';
import { DeadLetterWriter } from './dead-letter-writer.ts';
import type { DeadLetterDone } from './dead-letters.ts';

const letter: DeadLetter = {
  ...{ reason: 'malformed_json', message: 'no JSON', protocol: 'mqtt', source: 'plant1.a' },
  payload: Buffer.from('{'),
};

function setUp() {
  const clock = createFakeClock();
  const calls: { readonly letter: DeadLetter; readonly done: DeadLetterDone }[] = [];
  const writer = new DeadLetterWriter({
    letters: { write: (each, done) => void calls.push({ letter: each, done }) },
    clock,
  });
  return { clock, calls, writer };
}

test('a dead letter that the log refuses is written again, as the same object, and is done when the log has it', async () => {
  const { clock, calls, writer } = setUp();
  let isDone = false;
  writer.write(letter, () => {
    isDone = true;
  });
  calls[0]!.done(new TailraceError('unavailable', 'away'));
  assert.deepEqual([isDone, writer.size], [false, 1]);
  await clock.advance(200);
  assert.equal(calls[1]!.letter, letter);
  calls[1]!.done(undefined);
  assert.deepEqual([isDone, writer.size, clock.pending()], [true, 0, 0]);
});

test('a dead letter that a closed log refuses is not written again, and its message is not acknowledged', () => {
  const { clock, calls, writer } = setUp();
  let isDone = false;
  writer.write(letter, () => {
    isDone = true;
  });
  calls[0]!.done(new TailraceError('closed', 'the log is closed'));
  assert.deepEqual([isDone, writer.size, clock.pending()], [false, 0, 0]);
});

test('after a stop no dead letter is written again', async () => {
  const { clock, calls, writer } = setUp();
  writer.write(letter, () => assert.fail('done'));
  calls[0]!.done(new TailraceError('unavailable', 'away'));
  writer.stop();
  await clock.advance(10_000);
  assert.deepEqual([calls.length, clock.pending()], [1, 0]);
});
