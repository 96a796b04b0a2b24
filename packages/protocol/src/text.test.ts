import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seeded } from '../test/arbitraries.ts';
import { isPlainText, utf8Bytes } from './text.ts';

/** Any code units, lone surrogates included. */
const anyText = fc
  .array(fc.oneof(fc.nat({ max: 0xffff }), fc.integer({ min: 0xd7f0, max: 0xe010 }), fc.nat({ max: 0xff })))
  .map((codes) => String.fromCharCode(...codes));

test('a text is plain without control characters and lone surrogates', () => {
  fc.assert(
    fc.property(anyText, (text) => assert.equal(isPlainText(text), !/\p{Cc}/u.test(text) && text.isWellFormed())),
    { ...seeded, numRuns: 1000 },
  );
});

test('utf8Bytes returns the length of the encoded text', () => {
  fc.assert(
    fc.property(anyText, (text) => assert.equal(utf8Bytes(text), Buffer.byteLength(text))),
    { ...seeded, numRuns: 1000 },
  );
});
