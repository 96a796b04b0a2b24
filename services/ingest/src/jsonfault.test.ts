import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonFaultIn, jsonFaultSentence } from './jsonfault.ts';

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const cases: readonly (readonly [text: string, at: number, right: RegExp])[] = [
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
  ['01', 1, /nothing more/],
  ['{} {}', 3, /nothing more/],
  ['nul', 0, /a value/],
  ['"abc', 4, /ends the text/],
  ['"a\nb"', 2, /control characters/],
  ['"\\x"', 1, /an escape/],
  ['"\\u12"', 1, /an escape/],
  ["{'a':1}", 1, /a name in double quotes/],
  ['[NaN]', 1, /a value/],
  ['[1}', 2, /"," or "\]"/],
];

for (const [text, at, right] of cases) {
  test(`the fault of ${JSON.stringify(text)} is found at ${at}`, () => {
    const fault = jsonFaultIn(text);
    assert.equal(fault?.at, at);
    assert.match(fault.right, right);
  });
}

test('a number that JSON cannot write is named whole, in every spelling', () => {
  for (const word of ['NaN', 'Infinity', '-Infinity', 'None', 'undefined', 'True']) {
    const text = `{"value":${word}}`;
    const sentence = jsonFaultSentence(text, jsonFaultIn(text)!);
    assert.ok(sentence.startsWith(`line 1, column 10: "${word}" stands where a value: an object,`), sentence);
  }
});

test('a fault is found exactly where JSON.parse finds one, and never behind the text', () => {
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
      const fault = jsonFaultIn(text);
      assert.equal(fault === undefined, isJson(text));
      assert.ok(fault === undefined || (fault.at >= 0 && fault.at <= text.length));
      // Not too late: what stands before the fault is no fault yet, it only ends too soon, unless it is whole.
      if (fault !== undefined) assert.equal(jsonFaultIn(text.slice(0, fault.at))?.at ?? fault.at, fault.at);
    }),
    { seed: 20_241_121, numRuns: 3_000 },
  );
});

test('a depth that would overflow a stack is only long', () => {
  assert.equal(jsonFaultIn('['.repeat(500_000))?.at, 500_000);
  assert.equal(jsonFaultIn(`${'['.repeat(200_000)}${']'.repeat(200_000)}`), undefined);
});

test('the sentence names line, column, what stands there, what would be right, and the text around it', () => {
  const text = '[\n  {"device":"plant1.press1",\n   "time":oops}\n]';
  const sentence = jsonFaultSentence(text, jsonFaultIn(text)!);
  assert.match(sentence, /^line 3, column 11: "oops" stands where a value: .* is right, near ".*oops.*"$/);
});

test('the sentence of a text that ends too soon says so', () => {
  const text = '{"device":"plant1';
  assert.match(jsonFaultSentence(text, jsonFaultIn(text)!), /^line 1, column 18: the text ends where the double quote/);
});

test('the sentence stays short and printable, whatever the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      const fault = jsonFaultIn(text);
      if (fault === undefined) return;
      const sentence = jsonFaultSentence(text, fault);
      assert.ok(sentence.length < 400, sentence);
      assert.doesNotMatch(sentence, /\p{Cc}/u);
      assert.ok(sentence.isWellFormed());
    }),
    { seed: 20_241_121, numRuns: 300 },
  );
});
