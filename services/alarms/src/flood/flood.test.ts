import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompiledRule } from '@tailrace/rules/evaluation/compiled-rule';
import { floodRuleId } from '@tailrace/rules/flood-limits';
import { ruleFrom } from '@tailrace/rules/rule';
import { RuleSet } from '../rules/rule-set.ts';
import { AlarmRate } from './alarm-rate.ts';
import { areaOf, floodDeviceOf, floodRule, isFloodDevice } from './flood-rule.ts';

const minuteMs = 60_000;

test('an alarm counts for 10 minutes', () => {
  const rate = new AlarmRate();
  for (const atMs of [0, 1, 1]) rate.raise(atMs);
  rate.advance(10 * minuteMs - 1);
  assert.equal(rate.count, 3);
  rate.advance(10 * minuteMs);
  assert.equal(rate.count, 2);
  rate.advance(10 * minuteMs + 1);
  assert.equal(rate.count, 0);
});

test('an alarm that is read late counts at its time, and of over 1,000 the newest count', () => {
  const rate = new AlarmRate();
  rate.raise(9 * minuteMs);
  rate.raise(1 * minuteMs);
  rate.advance(12 * minuteMs);
  assert.equal(rate.count, 1);
  for (let n = 0; n < 2_000; n++) rate.raise(12 * minuteMs + n);
  assert.equal(rate.count, 1_000);
  rate.advance(22 * minuteMs + 1_000);
  assert.equal(rate.count, 999);
});

test('the area of a device is above it, at the level of the setting at most', () => {
  assert.equal(areaOf('plant1.line3.press7.motor', 2), 'plant1.line3');
  assert.equal(areaOf('plant1.line3.press7', 1), 'plant1');
  assert.equal(areaOf('home.heating', 2), 'home');
  assert.equal(areaOf('meter', 2), undefined);
  assert.equal(floodDeviceOf('plant1.line3'), 'plant1.line3.alarm_flood');
  assert.equal(isFloodDevice('plant1.line3.alarm_flood'), true);
  assert.equal(isFloodDevice('plant1.line3'), false);
});

test('a flood has the rule of floods alone, and no other device has it', () => {
  const device = floodDeviceOf('plant1.line3');
  const condition = { kind: 'stale', afterMs: 1_000 } as const;
  const limits = { kind: 'limits', tag: 'raised_10min', limits: { H: { value: 20 } } } as const;
  const stale = new CompiledRule(ruleFrom({ id: 'stale', version: 1, devices: ['>'], condition }));
  const own = new CompiledRule(ruleFrom({ id: floodRuleId, version: 1, devices: ['plant1.>'], condition: limits }));
  const rules = new RuleSet({ hasFloods: true });
  rules.replace(new Map([['stale', stale]]));
  assert.deepEqual(rules.of(device), [floodRule]);
  assert.deepEqual(rules.of('plant1.line3.press7'), [stale]);
  rules.replace(new Map([...[stale, own].map((rule) => [rule.rule.id, rule] as const)]));
  assert.deepEqual(rules.of(device), [own]);
  assert.deepEqual(rules.of(floodDeviceOf('home')), [floodRule], 'the own rule is of other areas');
  assert.deepEqual(rules.of('plant1.line3.press7'), [stale]);
  const off = new CompiledRule({ ...own.rule, enabled: false });
  rules.replace(new Map([[floodRuleId, off]]));
  assert.deepEqual(
    [rules.of(device), rules.of(floodDeviceOf('home'))],
    [[], [floodRule]],
    'without floods of its areas',
  );
  rules.replace(new Map());
  assert.deepEqual(rules.of(device), [floodRule]);
  assert.deepEqual(new RuleSet().of(device), []);
});
