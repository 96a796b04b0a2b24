import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partialBatchFrom, partialBatchText } from './partial-batch.ts';

test('the refused reports of a batch are read back from its Reason String', () => {
  for (const [refused, text] of [
    [[1], 'accepted 2 of 3: report 1: not covered: a, b'],
    [[4, 1, 3], 'accepted 2 of 5: reports 1, 3-4: not covered: a, b'],
    [[0, 1, 2], 'accepted 2 of 5: reports 0-2: not covered: a, b'],
  ] as const) {
    assert.equal(partialBatchText(2, refused, 'not covered: a, b'), text);
    assert.deepEqual(partialBatchFrom(text), {
      accepted: 2,
      count: 2 + refused.length,
      refused: refused.toSorted(),
      message: 'not covered: a, b',
    });
  }
});

test('each refused report of a batch of up to 500 is read back from 200 bytes, whichever they are', () => {
  const message = 'plant2.press1 is not covered by the token, which covers plant1.> and no other device';
  const every = (step: number, count = 500) => Array.from({ length: count }, (_, n) => n).filter((n) => n % step === 0);
  const pairs = every(1).filter((n) => n % 4 < 2);
  const lists = [every(2), every(3), every(7), pairs, every(2, 60), every(2, 70), every(2, 80), [...every(2), 499]];
  for (let seed = 1; seed < 40; seed++) lists.push(every(1).filter((n) => Math.sin(seed * 1_000 + n * n) > seed / 40));
  for (const refused of lists) {
    const text = partialBatchText(500 - refused.length, refused, message, 200);
    const read = partialBatchFrom(text.slice(0, 200))!;
    assert.deepEqual(read.refused, refused, text);
    assert.equal(read.count, 500);
    assert.ok(read.message.startsWith('plant2.press1 is not cov'), text);
  }
  assert.match(
    partialBatchText(250, every(2), message, 200),
    /^accepted 250 of 500: reports 0, 2, 4(, \d+)* and \d+ more \(bits VVV[\w+/=]+\): plant2/,
  );
});

test('a Reason String that was truncated has the reports whose numbers are whole', () => {
  const refused = Array.from({ length: 100 }, (_, n) => 2 * n);
  const truncated = partialBatchText(100, refused, 'm').slice(0, 200);
  const { refused: read, ...rest } = partialBatchFrom(truncated)!;
  assert.deepEqual(rest, { accepted: 100, count: 200, message: '' });
  assert.ok(read.length > 40);
  assert.deepEqual(read, refused.slice(0, read.length));
  assert.equal(partialBatchFrom('accepted'), undefined);
  assert.equal(partialBatchFrom('expected a number'), undefined);
});

test('the ranges of a text cannot fill the memory', () => {
  assert.equal(partialBatchFrom('accepted 0 of 10001: reports 0-10000: m'), undefined);
  assert.equal(partialBatchFrom('accepted 0 of 2: reports 0-1, 0-1: m')?.refused.length, 2);
});
