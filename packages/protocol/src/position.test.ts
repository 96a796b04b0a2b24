import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyJson, mutatedBytes, partition, seeded } from '../test/arbitraries.ts';
import { errorOf, resultOrError } from '../test/errors.ts';
import { base64urlFromBytes, bytesFromBase64url } from './base64url.ts';
import { createPositions, positionsFromToken, tokenFromPositions } from './position.ts';

const last = fc.oneof(
  fc.integer({ min: -1, max: 300 }),
  fc.maxSafeNat().map((seq) => seq - 1),
);
const epoch = fc.string({ unit: fc.constantFrom('a', 'Z', '-', '!', '~'), minLength: 1, maxLength: 64 });
const positions = fc
  .tuple(epoch, fc.array(fc.tuple(partition, last), { maxLength: 20 }))
  .map(([name, lasts]) => createPositions(name, lasts));

test('positions survive a round trip through a token, and have one token', () => {
  fc.assert(
    fc.property(positions, (before) => {
      const token = tokenFromPositions(before);
      assert.match(token, /^[A-Za-z0-9_-]+$/);
      const after = positionsFromToken(token);
      assert.equal(after.epoch, before.epoch);
      assert.deepEqual(after.entries(), before.entries());
      assert.equal(tokenFromPositions(after), token);
    }),
    seeded,
  );
});

test('the token of the largest positions is within its bound', () => {
  const lasts = Array.from({ length: 4096 }, (_, index) => [index, Number.MAX_SAFE_INTEGER - 1] as const);
  const largest = createPositions('e'.repeat(64), lasts);
  assert.deepEqual(positionsFromToken(tokenFromPositions(largest)).entries(), lasts);
});

test('a position never goes back', () => {
  const seen = createPositions('e');
  assert.equal(seen.advance(3, 10), true);
  assert.equal(seen.advance(3, 10), false);
  assert.equal(seen.advance(3, 9), false);
  assert.equal(seen.last(3), 10);
  assert.equal(seen.last(4), undefined);
  assert.equal(seen.advance(4, -1), true);
  assert.equal(seen.size, 2);
});

test('invalid positions and epochs are rejected', () => {
  const seen = createPositions('e');
  for (const [inPartition, seq] of [
    [-1, 0],
    [4096, 0],
    [0.5, 0],
    [Number.NaN, 0],
    [0, Number.NaN],
    [0, -2],
    [0, 2 ** 53 - 1],
    [0, 2 ** 53],
    [0, 1.5],
  ] as const) {
    errorOf(() => seen.advance(inPartition, seq), 'invalid_position');
  }
  for (const name of ['', 'a b', 'ä', 'x'.repeat(65)]) errorOf(() => createPositions(name), 'invalid_position');
});

test('an invalid token is rejected with a clear message', () => {
  const tooHigh = base64urlFromBytes(
    Uint8Array.of(1, 1, 0x65, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
  );
  const noPartition = base64urlFromBytes(Uint8Array.of(1, 1, 0x65, 0x80, 0x20, 5));
  const values = [
    '',
    'A',
    '!!!!',
    'AQ==',
    'AAAA',
    'AQFl=',
    tooHigh,
    noPartition,
    'A'.repeat(70_000),
    null,
    undefined,
    42,
    {},
    [],
  ];
  for (const value of values) {
    assert.match(
      errorOf(() => positionsFromToken(value), 'invalid_position').message,
      /^position: expected the unchanged text of a "position" from this server, got /,
    );
  }
});

test('garbage never crashes, and its positions are valid', () => {
  const valid = tokenFromPositions(
    createPositions('epoch-1', [
      [0, 5],
      [7, 123_456_789],
      [4095, -1],
    ]),
  );
  const bytes = bytesFromBase64url(valid)!;
  const garbage = fc.oneof(
    anyJson,
    fc.base64String(),
    mutatedBytes(bytes).map(base64urlFromBytes),
    fc.uint8Array({ maxLength: 64 }).map((rest) => base64urlFromBytes(Uint8Array.of(1, ...rest))),
  );
  fc.assert(
    fc.property(garbage, (value) => {
      const read = resultOrError(() => positionsFromToken(value), 'invalid_position');
      for (const [inPartition, seq] of read?.entries() ?? []) {
        assert.ok(inPartition >= 0 && inPartition < 4096 && Number.isSafeInteger(seq) && seq >= -1);
      }
    }),
    { ...seeded, numRuns: 1000 },
  );
});

test('base64url is that of RFC 4648, and only canonical texts are decoded', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (raw) => {
      const text = base64urlFromBytes(raw);
      assert.equal(text, Buffer.from(raw).toString('base64url'));
      assert.deepEqual(bytesFromBase64url(text), raw);
    }),
    seeded,
  );
  // Left-over bits, padding and the other alphabet are not canonical.
  for (const text of ['AB', 'AAF', 'A', 'AA==', '+/AA', 'é']) assert.equal(bytesFromBase64url(text), undefined, text);
});
