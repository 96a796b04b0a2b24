import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import fc from 'fast-check';
import { bytes, failure } from '../test/contract-bench.ts';
import { assertReply, errorFromReply, errorReplyFrom, partHeaderOf, ReplyCollector } from './reply.ts';

describe('replies of many parts', () => {
  it('collected in order they are complete with the last part and not before', () => {
    const collector = new ReplyCollector('a');
    assert.equal(collector.take(partHeaderOf('x-1', 0, 3), bytes('0')), undefined);
    assert.equal(collector.take(partHeaderOf('x-1', 1, 3), bytes('1')), undefined);
    assert.deepEqual(collector.take(partHeaderOf('x-1', 2, 3), bytes('2')), [bytes('0'), bytes('1'), bytes('2')]);
    assert.deepEqual(new ReplyCollector('a').take(partHeaderOf('x-1', 0, 0), bytes('')), []);
  });

  it('any sequence of messages returns the complete reply in order, or an error, or nothing yet', () => {
    const message = fc.record({
      reply: fc.constantFrom('a', 'a', 'a', 'b'),
      index: fc.nat(3),
      count: fc.constantFrom(3, 3, 3, 2),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), (messages) => {
        const collector = new ReplyCollector('a');
        for (const [at, { reply, index, count }] of messages.entries()) {
          try {
            const parts = collector.take(partHeaderOf(reply, index, count), bytes(index));
            if (parts === undefined) continue;
            assert.deepEqual(
              parts,
              Array.from({ length: count }, (_, i) => bytes(i)),
            );
            assert.equal(parts.length, at + 1);
          } catch (error) {
            failure('unavailable', /incomplete/)(error);
          }
          return;
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('any header is taken or refused with a bounded message, never a crash', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (header) => {
        try {
          new ReplyCollector('a').take(header, bytes('x'));
        } catch (error) {
          failure('unavailable')(error);
          assert.ok((error as Error).message.length < 300);
        }
      }),
    );
  });

  it('a reply that no requester would collect is refused before it is sent', () => {
    assert.throws(() => assertReply([new Uint8Array(11)], 10), failure('too_large', /at most 10 bytes, got 11/));
    assert.throws(
      () => assertReply(new Array(65_537).fill(new Uint8Array(0)), 10),
      failure('too_large', /65537 parts/),
    );
    const part = new Uint8Array(1_000_000);
    assert.throws(() => assertReply(new Array(300).fill(part), 1_000_000), failure('too_large', /300000000 bytes/));
    assertReply([new Uint8Array(10)], 10);
  });

  it('an error is sent with code, message and retryable, truncated to a bounded length', () => {
    const error = new TailraceError('not_found', `no ${'é'.repeat(1000)}`, { retryable: true });
    const { header, payload } = errorReplyFrom(error);
    const received = errorFromReply(header, payload);
    assert.equal(received.code, 'not_found');
    assert.equal(received.retryable, true);
    assert.equal(received.message, error.message.slice(0, 500));
  });

  it('anything but a TailraceError is sent as internal without its message, and an unknown code is received as internal', () => {
    const { header, payload } = errorReplyFrom(new TypeError('secret'));
    assert.equal(header, 'internal 0');
    assert.doesNotMatch(new TextDecoder().decode(payload), /secret/);
    for (const code of ['from_the_future 1', '__proto__ 0', 'toString', ''])
      assert.equal(errorFromReply(code, payload).code, 'internal');
  });
});
