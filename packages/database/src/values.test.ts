import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import fc from 'fast-check';
import { parameterText, valueFrom } from './values.ts';

const textArray = 1009;
const bigintArray = 1016;

test('an array of texts is the same after the way through PostgreSQL’s text', () => {
  const texts = fc.array(fc.option(fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'))));
  fc.assert(
    fc.property(texts, (sent) => {
      assert.deepEqual(valueFrom(parameterText(sent), textArray), sent);
    }),
  );
});

test('nested and empty arrays, and those with other bounds, are read', () => {
  assert.deepEqual(valueFrom('{{1,2},{3,NULL}}', bigintArray), [
    [1, 2],
    [3, null],
  ]);
  assert.deepEqual(valueFrom('{}', bigintArray), []);
  assert.deepEqual(valueFrom('[0:1]={5,6}', bigintArray), [5, 6]);
});

test('a date has milliseconds and is in UTC', () => {
  assert.deepEqual(valueFrom('2026-11-30 10:35:37.628123+00', 1184), new Date('2026-11-30T10:35:37.628Z'));
  assert.deepEqual(valueFrom('2026-11-30 10:35:37+00', 1184), new Date('2026-11-30T10:35:37Z'));
  assert.deepEqual(valueFrom('2026-11-30 10:35:37.5', 1114), new Date('2026-11-30T10:35:37.500Z'));
});

test('a bigint beyond the integers of a number is an error', () => {
  assert.equal(valueFrom('9007199254740991', 20), 2 ** 53 - 1);
  assert.throws(() => valueFrom('9007199254740992', 20), /expected at most 2\^53 - 1, got "9007199254740992"/);
});

test('values without a form in PostgreSQL are refused', () => {
  for (const value of ['a\0', { a: 1, toJSON: () => '\0' }, [['\0']], new Date(Number.NaN), () => 1, Symbol('x')])
    try {
      const text = parameterText(value);
      // JSON has an escape for it, which jsonb refuses.
      assert.equal(text, '"\\u0000"');
    } catch (error) {
      assert.ok(isTailraceError(error) && error.code === 'invalid_message', String(error));
    }
});

test('objects are JSON, and bytes are hexadecimal', () => {
  assert.equal(parameterText({ a: [1, 'x'] }), '{"a":[1,"x"]}');
  assert.equal(parameterText(new Uint8Array([0, 255])), '\\x00ff');
  assert.equal(parameterText(Buffer.from('abc').subarray(1)), '\\x6263');
  assert.deepEqual([null, undefined, true, 1n, -0.5].map(parameterText), [null, null, 'true', '1', '-0.5']);
});
