import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { jsonSyntaxErrorIn, jsonSyntaxErrorText, jsonWithInexact } from './json-text.ts';

const errorIn = (text: string) => jsonSyntaxErrorIn(text, text.length);

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const cases: readonly (readonly [text: string, at: number, expected: RegExp])[] = [
  ['', 0, /a value/],
  ['   ', 3, /a value/],
  ['{"a":}', 5, /a value/],
  ['{"a" 1}', 5, /":"/],
  ['{"a":1,}', 7, /a name in double quotes/],
  ['{a:1}', 1, /a name in double quotes, or "}"/],
  ['{"a":1', 6, /"," or "}"/],
  ['[1,2', 4, /"," or "\]"/],
  ['[1,]', 3, /a value/],
  ['[1 2]', 3, /"," or "\]"/],
  ['01', 1, /the end of the text/],
  ['{} {}', 3, /the end of the text/],
  ['nul', 0, /a value/],
  ['"abc', 4, /closing double quote/],
  ['"a\nb"', 2, /no control characters/],
  ['"\\x"', 1, /an escape/],
  ['"\\u12"', 1, /an escape/],
  ["{'a':1}", 1, /a name in double quotes/],
  ['[NaN]', 1, /a value/],
  ['[1}', 2, /"," or "\]"/],
];

for (const [text, at, expected] of cases) {
  test(`the syntax error of ${JSON.stringify(text)} is at ${at}`, () => {
    const error = errorIn(text);
    assert.equal(error?.at, at);
    assert.match(error.expected, expected);
  });
}

test('a number that JSON does not have is quoted whole, in every spelling', () => {
  for (const word of ['NaN', 'Infinity', '-Infinity', 'None', 'undefined', 'True']) {
    const text = `{"value":${word}}`;
    const message = jsonSyntaxErrorText(text, errorIn(text)!);
    assert.ok(message.startsWith('line 1, column 10: expected a value: an object,'), message);
    assert.ok(message.includes(`, got "${word}", near `), message);
  }
});

test('a text has a syntax error exactly if JSON.parse rejects it, and never beyond its end', () => {
  const change = fc.tuple(
    fc.nat(),
    fc.nat({ max: 2 }),
    fc.constantFrom('', '"', ',', ':', '}', ']', '{', '[', '\\', '\n', '-', '.', 'e', '0', 't', 'ü'),
  );
  const texts = fc.tuple(fc.json({ maxDepth: 4 }), fc.array(change, { maxLength: 3 })).map(([json, changes]) => {
    let text = json;
    for (const [place, remove, insert] of changes) {
      const at = place % (text.length + 1);
      text = text.slice(0, at) + insert + text.slice(at + remove);
    }
    return text;
  });
  fc.assert(
    fc.property(texts, (text) => {
      const error = errorIn(text);
      assert.equal(error === undefined, isJson(text));
      assert.ok(error === undefined || (error.at >= 0 && error.at <= text.length));
      // Not too late: the text before the error is complete, or is only incomplete.
      if (error !== undefined) assert.equal(errorIn(text.slice(0, error.at))?.at ?? error.at, error.at);
    }),
    fuzzed(3_000),
  );
});

test('a deeply nested text does not overflow the stack', () => {
  assert.equal(errorIn('['.repeat(500_000))?.at, 500_000);
  assert.equal(errorIn(`${'['.repeat(200_000)}${']'.repeat(200_000)}`), undefined);
});

test('the message has line, column, what was expected, what was found, and the text around it', () => {
  const text = '[\n  {"device":"plant1.press1",\n   "time":oops}\n]';
  const message = jsonSyntaxErrorText(text, errorIn(text)!);
  assert.match(message, /^line 3, column 11: expected a value: .*, got "oops", near ".*oops.*"$/);
});

test('the message of an incomplete text has its end', () => {
  const text = '{"device":"plant1';
  assert.match(
    jsonSyntaxErrorText(text, errorIn(text)!),
    /^line 1, column 18: expected the closing double quote .*, got the end of the text/,
  );
});

test('the message is short and printable for any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      const error = errorIn(text);
      if (error === undefined) return;
      const message = jsonSyntaxErrorText(text, error);
      assert.ok(message.length < 400, message);
      assert.doesNotMatch(message, /\p{Cc}/u);
      assert.ok(message.isWellFormed());
    }),
    fuzzed(300),
  );
});

/** Returns the value as written in the text, with an object for each integer that a double does not hold. */
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

test('an integer is replaced exactly if a double does not hold it, whatever is around it', () => {
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
      const parsed: unknown = JSON.parse(jsonWithInexact(text) ?? text);
      assert.deepEqual(parsed, expectedOf(written));
    }),
    fuzzed(2_000),
  );
});

test('a double is exact in the digits that JavaScript prints for it, and its neighbors are not', () => {
  for (const value of [2 ** 60, -(2 ** 63), 1.2345678901234568e20, 1_795_930_154_378_123_500]) {
    assert.equal(jsonWithInexact(JSON.stringify({ value })), undefined);
    assert.notEqual(jsonWithInexact(`{"value":${BigInt(JSON.stringify(value)) + 1n}}`), undefined);
  }
});
