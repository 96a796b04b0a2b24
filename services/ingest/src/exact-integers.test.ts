import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasLargeNumber, markedJson } from './exact-integers.ts';

/** The value as written in the text, with a mark for each integer that a double does not hold. */
function expectedOf(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const isHeld = BigInt(Number(value)) === value || String(Number(value)) === String(value);
    return isHeld ? Number(value) : { '\u0000': String(value) };
  }
  if (Array.isArray(value)) return value.map(expectedOf);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, expectedOf(each)]));
}

function textOf(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map(textOf).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, each]) => `${JSON.stringify(key)}:${textOf(each)}`)
    .join(',\n')}}`;
}

test('an integer is marked exactly where a double does not hold it, whatever stands around it', () => {
  const tricky = fc.constantFrom('9007199254740993', '"', '\\', '\\"9007199254740993\\', ':-9007199254740993,', 'e1');
  const leaf = fc.oneof(
    fc.bigInt({ min: -(2n ** 66n), max: 2n ** 66n }),
    fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => /[.e]/.test(String(value))),
    fc.oneof(fc.boolean(), fc.constant(null), fc.string(), tricky),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.oneof(fc.string(), tricky), tie('value'), { maxKeys: 4, noNullPrototype: true }),
    ),
  }));
  fc.assert(
    fc.property(value, (written) => {
      const text = textOf(written);
      const parsed: unknown = JSON.parse(markedJson(text) ?? text);
      assert.deepEqual(parsed, expectedOf(written));
    }),
    { seed: 20_241_121, numRuns: 2_000 },
  );
});

test('the text is scanned only if there is a number of 2^53 and more', () => {
  const has = (...values: (number | string | boolean)[]) =>
    hasLargeNumber(values.map((value) => ({ tag: 't', value })));
  assert.equal(has(1, -2.5, 2 ** 53 - 1, '9007199254740993', true), false);
  assert.equal(has(1, 2 ** 53), true);
  assert.equal(has(-(2 ** 53)), true);
});

test('a double is accepted in the digits that JavaScript writes for it, and its neighbors are not', () => {
  for (const value of [2 ** 60, -(2 ** 63), 1.2345678901234568e20, 1_795_930_154_378_123_500]) {
    assert.equal(markedJson(JSON.stringify({ value })), undefined);
    assert.notEqual(markedJson(`{"value":${BigInt(JSON.stringify(value)) + 1n}}`), undefined);
  }
});
