import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RepeatedPositions } from './repeated-positions.ts';

test('positions that were added are there, and no others, in any range', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat({ max: 5_000 }), { maxLength: 60 }),
      fc.nat({ max: 5_000 }),
      fc.nat({ max: 5_000 }),
      (seqs, from, until) => {
        const positions = new RepeatedPositions();
        const sorted = seqs.sort((a, b) => a - b);
        for (const seq of sorted) positions.add(seq);
        for (const seq of sorted) assert.ok(positions.has(seq));
        assert.equal(positions.has(from), sorted.includes(from));
        const expected = sorted.filter((seq) => seq >= from && seq < until);
        assert.deepEqual([...positions.in(from, until)], expected);
      },
    ),
    { seed: 1 },
  );
});

test('in a flood of repetitions the oldest are forgotten, and it says from where it knows', () => {
  const positions = new RepeatedPositions();
  positions.startAt(10);
  for (let block = 0; block < 8_192; block++) positions.add(block * 1_024 + 7);
  assert.equal(positions.from, 10);
  const { bytes } = positions;
  for (let block = 8_192; block < 8_200; block++) positions.add(block * 1_024 + 7);
  assert.equal(positions.from, 8 * 1_024);
  assert.equal(positions.bytes, bytes);
  assert.ok(positions.has(8 * 1_024 + 7));
});
