import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Environment } from '@marcbachmann/cel-js';
import { isTailraceError } from '@tailrace/protocol/error';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { compileExpression } from './expression.ts';
import type { TagType, Value } from './expression-value.ts';

const types: ReadonlyMap<string, TagType> = new Map([
  ['n1', 'number'],
  ['n2', 'number'],
  ['b1', 'boolean'],
  ['b2', 'boolean'],
  ['t1', 'text'],
  ['t2', 'text'],
]);

/** Numbers with a decimal point, which are doubles in CEL too. Eighths have no rounding error. */
const numberText = fc.integer({ min: -80, max: 80 }).map((eighths) => `(${(eighths / 8).toFixed(3)})`);
const textText = fc.constantFrom('"a"', '"ab"', '""', '"b\\n"');

/** Random well-typed expressions: what the language of rules has in common with CEL. */
const { condition } = fc.letrec<{ condition: string; number: string; text: string }>((tie) => {
  const binary = (side: 'condition' | 'number' | 'text', ...operators: string[]) =>
    fc.tuple(tie(side), fc.constantFrom(...operators), tie(side)).map(([a, operator, b]) => `(${a} ${operator} ${b})`);
  const choice = (side: 'condition' | 'number' | 'text') =>
    fc.tuple(tie('condition'), tie(side), tie(side)).map(([a, b, c]) => `(${a} ? ${b} : ${c})`);
  return {
    condition: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('b1', 'b2', 'true', 'false'),
      binary('condition', '&&', '||', '==', '!='),
      binary('number', '<', '<=', '>', '>=', '==', '!='),
      binary('text', '<', '<=', '>', '>=', '==', '!='),
      tie('condition').map((operand) => `!${operand}`),
      choice('condition'),
      fc.tuple(tie('text'), tie('text')).map(([a, b]) => `${a}.contains(${b})`),
      fc.tuple(tie('text'), tie('text')).map(([a, b]) => `${a}.startsWith(${b})`),
      fc
        .tuple(tie('number'), fc.array(numberText, { minLength: 1, maxLength: 3 }))
        .map(([a, list]) => `(${a} in [${list}])`),
    ),
    number: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom('n1', 'n2'),
      numberText,
      binary('number', '+', '-', '*'),
      tie('number').map((operand) => `(${operand} / 4.0)`),
      tie('number').map((operand) => `-${operand}`),
      choice('number'),
    ),
    text: fc.oneof({ depthSize: 'small' }, fc.constantFrom('t1', 't2'), textText, binary('text', '+'), choice('text')),
  };
});

const values = fc.record(
  {
    n1: fc.integer({ min: -16, max: 16 }).map((eighths) => eighths / 8),
    n2: fc.integer({ min: -16, max: 16 }).map((eighths) => eighths / 8),
    b1: fc.boolean(),
    b2: fc.boolean(),
    t1: fc.constantFrom('', 'a', 'ab', 'b\n'),
    t2: fc.constantFrom('', 'a', 'ab', 'b\n'),
  },
  { requiredKeys: [] },
);

const cel = new Environment();
for (const [tag, type] of types) {
  cel.registerVariable(tag, type === 'number' ? 'double' : type === 'boolean' ? 'bool' : 'string');
}

/** What CEL has; undefined: an error, of which a missing variable is the only possible one here. */
function celResult(text: string, context: Record<string, Value>): unknown {
  try {
    return cel.evaluate(text, context);
  } catch {
    return undefined;
  }
}

test('random expressions have the value that CEL has, with and without missing tags', () => {
  let known = 0;
  fc.assert(
    fc.property(condition, values, (text, context) => {
      fc.pre(text.length <= 400);
      const given = context as Record<string, Value>;
      const result = compileExpression(text, types).evaluate((tag) => given[tag]);
      assert.equal(result, celResult(text, given), text);
      if (result !== undefined) known++;
    }),
    fuzzed(500),
  );
  assert.ok(known > 50, `${known} known results`);
});

test('a tag that becomes known never changes a known result', () => {
  fc.assert(
    fc.property(condition, values, values, (text, context, more) => {
      fc.pre(text.length <= 400);
      const expression = compileExpression(text, types);
      const some = context as Record<string, Value>;
      const result = expression.evaluate((tag) => some[tag]);
      const all = { ...(more as Record<string, Value>), ...some };
      if (result !== undefined)
        assert.equal(
          expression.evaluate((tag) => all[tag]),
          result,
          text,
        );
    }),
    fuzzed(300),
  );
});

test('any text compiles or is refused with a place, and its evaluation never throws', () => {
  const words = [
    'n1',
    't1',
    'b1',
    'tags',
    '["',
    '"]',
    '[',
    ']',
    '(',
    ')',
    '.',
    '&&',
    '||',
    '!',
    '-',
    '+',
    '/',
    '%',
    '==',
    '<',
  ];
  const more = [
    'in',
    '?',
    ':',
    ',',
    '1',
    '2.5',
    '1u',
    '"a"',
    'has',
    'math',
    'size',
    'contains',
    'abs',
    'exists',
    '\n',
    ' ',
    'null',
    '{',
    '}',
    '\u0000',
    '\u{1f600}',
  ];
  const text = fc.oneof(
    fc.array(fc.constantFrom(...words, ...more), { maxLength: 30 }).map((parts) => parts.join('')),
    fc.string({ maxLength: 60, unit: 'grapheme' }),
  );
  const value = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.string(),
    fc.constant(undefined),
  );
  fc.assert(
    fc.property(text, fc.boolean(), value, (each, isTyped, one) => {
      try {
        const result = compileExpression(each, isTyped ? types : undefined).evaluate(() => one);
        assert.ok(result === undefined || typeof result === 'boolean');
      } catch (error) {
        assert.ok(isTailraceError(error) && error.code === 'invalid_rule', String(error));
        assert.match(error.message, /^expression(, line \d+, column \d+)?: expected /);
      }
    }),
    fuzzed(2000),
  );
});
