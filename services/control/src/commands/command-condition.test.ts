import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import type { Reading } from '@tailrace/protocol/reading';
import { assertCondition, assertConditionMet, type CommandCondition, compiledCondition } from './command-condition.ts';

const device = 'plant1.press7';

/** `temp` 85 of position 7, `gate` of bad quality. */
const current = {
  isOnline: true,
  readings: new Map<string, Reading>([
    ['temp', { tag: 'temp', value: 85 }],
    ['gate', { tag: 'gate', value: 'open', quality: 'bad' }],
  ]),
  positions: new Map([
    ['temp', 7],
    ['gate', 7],
  ]),
};

function refusal(condition: Partial<CommandCondition>): string {
  const whole = { onlyIf: '', seen: {}, ...condition };
  try {
    assertConditionMet(device, whole, compiledCondition(whole), current);
    return '';
  } catch (error) {
    assert.ok(isTailraceError(error) && error.code === 'conflict');
    return error.message;
  }
}

test('a condition holds by the last values, and by the positions that the sender has seen', () => {
  assert.equal(refusal({}), '');
  assert.equal(refusal({ onlyIf: 'temp > 80 && !has(pressure)' }), '');
  assert.equal(refusal({ onlyIf: 'temp > 80', seen: { temp: 7 } }), '');
});

test('what is false, unknown, or newer than the sender has seen is refused with what was read', () => {
  assert.match(refusal({ onlyIf: 'temp > 90' }), /to hold, got false, temp = 85 at position 7$/);
  assert.match(refusal({ onlyIf: 'gate == "open"' }), /got unknown, no value of gate$/);
  assert.match(refusal({ seen: { temp: 6 } }), /^seen.temp: expected 6 .*, got 7, with 85$/);
  assert.match(refusal({ seen: { pressure: 6 } }), /got no value$/);
});

test('a device without any value makes a condition unknown', () => {
  const condition = { onlyIf: 'temp > 80', seen: {} };
  assert.throws(() => assertConditionMet(device, condition, compiledCondition(condition), undefined), /got unknown/);
});

test('an invalid expression is refused with its place, and its cost is bounded', () => {
  const invalid = (condition: Partial<CommandCondition>, message: RegExp) =>
    assert.throws(
      () => assertCondition({ onlyIf: '', seen: {}, ...condition }),
      (error) => isTailraceError(error) && error.code === 'invalid_message' && message.test(error.message),
    );
  invalid({ onlyIf: 'temp >' }, /^onlyIf, line 1, column \d+: expected a value/);
  invalid({ onlyIf: 'temp + 1' }, /expected a condition/);
  invalid({ onlyIf: 'a.exists(x, x > 1)' }, /^onlyIf, line 1/);
  invalid({ onlyIf: 'a'.repeat(1_001) }, /at most 1000 characters, got 1001/);
  invalid({ seen: { temp: 1.5 } }, /^seen.temp: expected a position, got 1.5/);
  invalid({ seen: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`t${n}`, 1])) }, /at most 32 tags, got 33/);
});
