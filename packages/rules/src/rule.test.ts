import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { bytesFromRule, type Rule, ruleFor, ruleFrom, ruleFromBytes, ruleMatches } from './rule.ts';

const hot = {
  id: 'hot',
  version: 1,
  devices: ['plant1.>'],
  condition: { kind: 'limits', tag: 'temp', limits: { H: { value: 80, hysteresis: 2 }, HH: { value: 90 } } },
};

function refusal(change: object): string {
  try {
    ruleFrom({ ...hot, ...change });
  } catch (thrown) {
    assert.ok(isTailraceError(thrown));
    assert.equal(thrown.code, 'invalid_rule');
    return thrown.message;
  }
  assert.fail('expected an error');
}

test('a rule has its defaults, and survives the topic of rules', () => {
  const rule = ruleFrom(hot);
  assert.equal(rule.priority, 3);
  assert.equal(rule.onDelayMs, 0);
  assert.deepEqual(rule.overrides, []);
  assert.deepEqual(ruleFromBytes(bytesFromRule(rule)), rule);
});

test('the refusal of a rule has the place, what was expected, and the value', () => {
  assert.match(refusal({ priority: 9 }), /^rule: priority: expected .*<=5, got 9$/);
  assert.match(
    refusal({ devices: ['plant1..x'] }),
    /devices\.0: expected a pattern of devices, .*, got "plant1\.\.x"$/,
  );
  assert.match(refusal({ onDelay: 5 }), /expected known keys, got "onDelay"/);
  assert.match(refusal({ condition: { kind: 'limit' } }), /expected limits, rate, stale, .*, got "limit"/);
  assert.match(refusal({ condition: { ...hot.condition, limits: {} } }), /expected at least one of LL, L, H, HH/);
  assert.match(refusal({ message: '{temperature}' }), /message: expected placeholders of .*, got "\{temperature\}"/);
  assert.match(refusal({ message: '{context.speed}' }), /with a tag of the context of the rule/);
  assert.match(refusal({ inhibition: {} }), /expected at least one of alarms, states and expression/);
  assert.match(refusal({ inhibition: { alarms: ['hot'] } }), /expected other rules than itself/);
  assert.equal(refusal({ priority: 9, version: 0 }).split('\n').length, 3);
  assert.throws(() => ruleFromBytes(new TextEncoder().encode('{')), /rule: expected JSON, got "\{"/);
});

test('limits that contradict each other are refused', () => {
  const limits = (limits: object) => refusal({ condition: { kind: 'limits', tag: 'temp', limits } });
  assert.match(limits({ H: { value: 80 }, HH: { value: 70 } }), /limits\.HH: expected a value above that of H, 80/);
  assert.match(
    limits({ L: { value: 10, hysteresis: 80 }, H: { value: 80 } }),
    /at least that of L plus its hysteresis/,
  );
  assert.match(limits({ L: { value: 10 }, H: { value: 80, hysteresis: 71 } }), /at most the distance to L, 70/);
});

test('the first override that matches a device counts, and one may disable the rule', () => {
  const rule: Rule = ruleFrom({
    ...hot,
    overrides: [
      { devices: 'plant1.oven', priority: 1, onDelayMs: 5 },
      { devices: 'plant1.>', enabled: false },
    ],
  });
  assert.equal(ruleMatches(rule, 'plant1.oven', undefined), true);
  assert.equal(ruleFor(rule, 'plant1.oven').priority, 1);
  assert.equal(ruleFor(rule, 'plant1.oven').onDelayMs, 5);
  assert.equal(ruleMatches(rule, 'plant1.press', undefined), false);
  assert.equal(ruleMatches(rule, 'plant2.oven', undefined), false);
  assert.equal(ruleMatches(ruleFrom({ ...hot, enabled: false }), 'plant1.oven', undefined), false);
});

test('the refusal of an expression has line, column and caret', () => {
  const message = refusal({ condition: { kind: 'expression', expression: 'temp >> 80' } });
  assert.match(message, /^rule: condition\.expression: /);
  assert.match(message, /\n *\^$/);
  assert.match(refusal({ inhibition: { expression: 'temp +' } }), /inhibition\.expression: .*\n *\^/s);
});
