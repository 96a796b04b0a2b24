import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { compileExpression, expressionLimits } from './expression.ts';
import type { TagType, Value } from './expression-value.ts';

const types: ReadonlyMap<string, TagType | 'unknown'> = new Map([
  ['temp', 'number'],
  ['pressure', 'number'],
  ['running', 'boolean'],
  ['state', 'text'],
  ['motor-1.temp', 'number'],
  ['motor.temp', 'number'],
  ['other', 'unknown'],
]);

function result(text: string, values: Record<string, Value> = {}): boolean | undefined {
  return compileExpression(text, types).evaluate((tag) => values[tag]);
}

function refusal(text: string): string {
  try {
    compileExpression(text, types);
  } catch (error) {
    assert.ok(isTailraceError(error) && error.code === 'invalid_rule', String(error));
    return error.message;
  }
  assert.fail(`${text} was not refused`);
}

test('whole and other numbers are one type', () => {
  assert.equal(result('temp > 80 && pressure + 1 < 5', { temp: 80.5, pressure: 3.9 }), true);
  assert.equal(result('temp > 80 && pressure + 1 < 5', { temp: 81, pressure: 4 }), false);
  assert.equal(result('temp + 1 == 2', { temp: 1 }), true);
  assert.equal(result('1 / 2 == 0.5'), true);
  assert.equal(result('temp % 2 == 1', { temp: 3 }), true);
  assert.equal(result('temp in [1, 2.5]', { temp: 2.5 }), true);
  assert.equal(result('-temp == 0x10 - 1u - 22', { temp: 7 }), true);
});

test('texts, booleans and functions', () => {
  assert.equal(result('state.startsWith("op") && state.size() == 4', { state: 'open' }), true);
  assert.equal(result('state.lowerAscii() in ["open", "ajar"]', { state: 'OPEN' }), true);
  assert.equal(result('state + "!" == "a!"', { state: 'a' }), true);
  assert.equal(result('state < "b"', { state: 'a' }), true);
  assert.equal(result('!running ? temp > 5 : temp > 10', { running: true, temp: 7 }), false);
  assert.equal(
    result('math.abs(temp - 20) > 5 && math.greatest(temp, pressure, 1) == 9', { temp: 9, pressure: 2 }),
    true,
  );
  assert.equal(result('math.round(temp) == -3', { temp: -2.5 }), true);
  assert.equal(result('double(state) > 1.5', { state: '2' }), true);
});

test('a tag that is no identifier is written in brackets', () => {
  assert.equal(result('tags["motor-1.temp"] > motor.temp', { 'motor-1.temp': 2, 'motor.temp': 1 }), true);
  assert.equal(result('tags.temp == temp', { temp: 1 }), true);
  const { tags } = compileExpression('motor.temp > 1 || has(running) || temp > motor.temp || "state" in tags', types);
  assert.deepEqual(tags, ['motor.temp', 'running', 'temp', 'state']);
});

test('a missing tag makes the result unknown, unless the rest decides it', () => {
  assert.equal(result('temp > 80'), undefined);
  assert.equal(result('temp < 80'), undefined);
  assert.equal(result('!(temp > 80)'), undefined);
  assert.equal(result('temp != 80'), undefined);
  assert.equal(result('temp > 80 && running', { running: false }), false);
  assert.equal(result('temp > 80 || running', { running: true }), true);
  assert.equal(result('temp > 80 || running', { running: false }), undefined);
  assert.equal(result('running ? true : true'), undefined);
  assert.equal(result('1 in [temp, 1]'), true);
  assert.equal(result('1 in [temp, 2]'), undefined);
  assert.equal(result('state.contains("a")'), undefined);
});

test('has() is never unknown', () => {
  assert.equal(result('has(temp)'), false);
  assert.equal(result('!has(tags["motor-1.temp"]) || temp > 80'), true);
  assert.equal(result('has(tags.temp) && temp > 80', { temp: 81 }), true);
  assert.equal(result('"temp" in tags', { temp: 0 }), true);
});

test('a value of another type than the registry has is unknown', () => {
  assert.equal(result('temp > 80', { temp: 'high' }), undefined);
  assert.equal(result('temp == 80', { temp: '80' }), undefined);
  assert.equal(result('other > 80', { other: 'high' }), undefined);
  assert.equal(result('other == 80', { other: '80' }), false);
  assert.equal(result('other', { other: 1 }), undefined);
});

test('a division by zero is unknown', () => {
  assert.equal(result('temp / 0 > 1', { temp: 1 }), undefined);
  assert.equal(result('temp % 0 > 1', { temp: 1 }), undefined);
  assert.equal(result('math.sqrt(temp) < 1', { temp: -1 }), undefined);
});

test('a refusal has line, column, the line and a caret', () => {
  assert.equal(
    refusal('temp > 80\n  && state + 1 > 5'),
    'expression, line 2, column 14: expected a text as on the left of +, got a number\n  && state + 1 > 5\n             ^',
  );
  assert.equal(
    refusal('temp >'),
    'expression, line 1, column 7: expected a value or a tag, got the end\ntemp >\n      ^',
  );
});

const refusals: readonly [text: string, column: number, expected: RegExp][] = [
  ['tem > 80', 1, /expected a tag of the device, got "tem"; did you mean temp\?/],
  ['motor-1.temp > 80', 1, /did you mean tags\["motor-1.temp"\]\?/],
  ['has(tags["zz"])', 5, /got "zz"; its tags are "temp", "pressure", "running", "state", "motor-1.temp", …/],
  ['temp > 80 and running', 11, /expected an operator, a closing bracket or the end, got "and"; use &&/],
  ['temp = 80', 6, /got "="; use == to compare/],
  ['temp > "80"', 8, /expected a number as on the left of >, got a text/],
  ['temp > running', 8, /expected a number on the right of >, got a boolean/],
  ['temp == "80"', 9, /expected a number as on the left of ==, got a text/],
  ['temp in [1, "2"]', 13, /expected a number as on the left of in, got a text/],
  ['temp && running', 1, /expected a boolean on the left of &&, got a number/],
  ['!temp', 2, /expected a boolean after !, got a number/],
  ['temp + 1', 1, /expected a condition such as temp > 80, got a number/],
  ['running ? temp : state', 18, /expected a number as on the left of :, got a text/],
  ['[1, 2].exists(x, x > temp)', 1, /expected a comparison for each tag/],
  ['state.matches("(a+)+")', 1, /the cost of a regular expression is not bounded/],
  ['state.strip() == "a"', 1, /expected one of \.contains\(\), .*, got "\.strip"/],
  ['math.pow(temp, 2) > 1', 1, /expected one of math\.abs\(\), .*, got "math\.pow"/],
  ['timestamp("2026-01-01") > 1', 1, /expected one of has\(\), .*, got "timestamp"/],
  ['state.contains() ', 1, /expected 1 arguments of contains\(\), got 0/],
  ['math.abs(state) > 1', 10, /expected a number as an argument of abs\(\), got a text/],
  ['temp > 9007199254740993', 8, /expected a number that a double has exactly/],
  ['temp > 1e999', 8, /expected CEL, got "1e999": Invalid number/],
  ['temp == null', 9, /expected a number, a boolean or a text, got "null"/],
  ['if > 1', 1, /got the reserved word "if"; use tags\["if"\]/],
  ['tags["temp"].x > 1', 1, /expected a tag, as in temp or/],
  ['tags > 1', 1, /expected a tag, as in temp or/],
  ['state == "open', 10, /Unterminated string/],
  ['[temp] == 1', 1, /expected a list only after in/],
  ['temp > 80 @', 11, /expected an operator, a closing bracket or the end, got "@"/],
  ['temp in state', 9, /expected a list after in, as in/],
  ['{"a": 1} == 1', 1, /expected values, tags, operators and functions/],
];

for (const [text, column, expected] of refusals) {
  test(`refuses ${text}`, () => {
    const message = refusal(text);
    assert.match(message, expected);
    assert.match(message, new RegExp(`^expression, line 1, column ${column}: `));
    assert.equal(message.split('\n').at(-1)!.indexOf('^'), column - 1);
  });
}

test('an expression that costs too much is refused', () => {
  assert.match(refusal(`${'('.repeat(50)}temp${')'.repeat(50)}`), /at most 32 deep; the expression costs too much/);
  assert.match(refusal(Array(150).fill('temp > 1').join(' && ')), /at most 200 values, tags and operators; the exp/);
  assert.match(refusal(`${'!'.repeat(500)}running`), /at most 200 values, tags and operators; the expression costs/);
  assert.match(
    refusal(`state == "${'a'.repeat(expressionLimits.charactersMax)}"`),
    /expected at most 2000 characters, got 2011/,
  );
  assert.match(refusal('  '), /expected a condition such as temp > 80, got/);
});

test('a long line is shown around the place', () => {
  const message = refusal(`${'running && '.repeat(40)}wrong${' || running'.repeat(20)}`);
  const [, line, caret] = message.split('\n');
  assert.ok(line!.length <= 122 && line!.startsWith('…') && line!.endsWith('…'), line);
  assert.equal(line!.slice(caret!.indexOf('^')).slice(0, 5), 'wrong');
});

test('without types, tags have any name, and types show at the evaluation', () => {
  const expression = compileExpression('a.b > 1 && tags["x y"] == "z"');
  assert.deepEqual(expression.tags, ['a.b', 'x y']);
  assert.equal(
    expression.evaluate((tag) => (tag === 'a.b' ? 2 : 'z')),
    true,
  );
  assert.throws(() => compileExpression('a && 1'), TailraceError);
});
