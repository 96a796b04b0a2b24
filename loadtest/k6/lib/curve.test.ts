import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Curve, flat, meanPart, partAt, stayOf } from './curve.ts';

const spike: Curve = [
  [0, 0.1],
  [0.4, 0.1],
  [0.5, 1],
  [0.7, 1],
  [0.7, 0.2],
  [1, 0.2],
];

test('between two points the load is on the line; at a jump it is that of the later point', () => {
  assert.deepEqual(
    [0, 0.4, 0.45, 0.5, 0.6, 0.7, 1].map((at) => Number(partAt(spike, at).toFixed(6))),
    [0.1, 0.1, 0.55, 1, 1, 0.2, 0.2],
  );
});

test('the mean is the area below the line', () => {
  assert.equal(meanPart(flat, 0.3, 0.9), 1);
  assert.equal(meanPart(flat, 0.5, 0.5), 0);
  assert.ok(Math.abs(meanPart(spike, 0, 1) - (0.04 + 0.055 + 0.2 + 0.06)) < 1e-9);
  assert.ok(Math.abs(meanPart(spike, 0.45, 0.6) * 0.15 - (0.775 * 0.05 + 0.1)) < 1e-9);
});

test('each is active from where the line rises above it to where it falls below', () => {
  assert.deepEqual(stayOf(flat, 99, 100), { from: 0, to: 1 });
  assert.deepEqual(stayOf(spike, 9, 100), { from: 0, to: 1 });
  const middle = stayOf(spike, 54, 100)!;
  assert.ok(Math.abs(middle.from - 0.45) < 1e-6, String(middle.from));
  assert.ok(Math.abs(middle.to - 0.7) < 1e-6, String(middle.to));
  assert.deepEqual(stayOf(spike, 19, 100)?.to, 1);
  assert.equal(
    stayOf(
      [
        [0, 0.5],
        [1, 0.5],
      ],
      50,
      100,
    ),
    undefined,
  );
});
