import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { NotificationSequence, nextNumber } from './notification-sequence.ts';

test('numbers that follow each other have no gap', () => {
  const sequence = new NotificationSequence();
  assert.equal(sequence.missingBefore(1), undefined);
  sequence.received(1, false);
  assert.equal(sequence.missingBefore(2), undefined);
  assert.equal(sequence.expected, 2);
});

test('a missing first message is found, and a server that counts otherwise starts anywhere', () => {
  const sequence = new NotificationSequence();
  assert.deepEqual(sequence.missingBefore(3), { first: 1, count: 2 });
  assert.equal(sequence.missingBefore(0), undefined);
  assert.equal(sequence.missingBefore(5_000), undefined);
  assert.ok(!sequence.isRepeated(0));
  sequence.received(5_000, false);
  sequence.restart();
  assert.equal(sequence.expected, 1);
});

test('a missing message is found by the next one, also by a keep-alive', () => {
  const sequence = new NotificationSequence();
  sequence.received(7, false);
  assert.deepEqual(sequence.missingBefore(10), { first: 8, count: 2 });
  sequence.received(8, true);
  assert.equal(sequence.missingBefore(8), undefined, 'the keep-alive has the number of the next message');
  assert.deepEqual(sequence.missingBefore(9), { first: 8, count: 1 });
});

test('the numbers wrap from 2^32 - 1 to 1', () => {
  assert.equal(nextNumber(0xffff_ffff), 1);
  const sequence = new NotificationSequence();
  sequence.received(0xffff_fffe, false);
  assert.deepEqual(sequence.missingBefore(2), { first: 0xffff_ffff, count: 2 });
  sequence.received(0xffff_ffff, false);
  assert.equal(sequence.missingBefore(1), undefined);
  sequence.received(1, false);
  assert.ok(sequence.isRepeated(0xffff_ffff));
  assert.ok(!sequence.isRepeated(2));
});

test('whatever comes, each number from the first on is received or missing exactly once', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 0xffff_ffff }),
      fc.array(fc.record({ skipped: fc.integer({ min: 0, max: 5 }), isKeepAlive: fc.boolean() }), { maxLength: 50 }),
      (first, messages) => {
        const sequence = new NotificationSequence();
        sequence.received(first, false);
        let number = nextNumber(first);
        for (const { skipped, isKeepAlive } of messages) {
          const expected = number;
          for (let at = 0; at < skipped; at++) number = nextNumber(number);
          assert.deepEqual(
            sequence.missingBefore(number),
            skipped === 0 ? undefined : { first: expected, count: skipped },
          );
          sequence.received(number, isKeepAlive);
          if (!isKeepAlive) number = nextNumber(number);
        }
      },
    ),
    fuzzed(),
  );
});
