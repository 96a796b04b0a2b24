import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AlarmNotice } from '../notifications/alarm-notice.ts';
import { decideTrigger, isTriggeredBy, triggerSchema } from './trigger.ts';

const notice: AlarmNotice = {
  ...{ id: 't1', alarm: 'a1', rule: 'smoke', device: 'home.kitchen', number: 1, state: 'unacknowledged' },
  ...{ cause: 'raised', priority: 2, time: 100_000 },
};
const fields = triggerSchema.parse({ name: 'Fire', scene: 'out', devices: ['home.>'] });
const idle = { fields, hasActiveRun: false };

test('an alarm that is raised at a matching device triggers, and no other transition', () => {
  assert.ok(isTriggeredBy(fields, notice));
  assert.ok(!isTriggeredBy(fields, { ...notice, device: 'plant1.press7' }));
  for (const cause of ['returned', 'acknowledged', 'realarmed', 'limit_changed'])
    assert.ok(!isTriggeredBy(fields, { ...notice, cause }), cause);
});

test('rules and priority select alarms', () => {
  assert.ok(isTriggeredBy({ ...fields, rules: ['smoke', 'gas'] }, notice));
  assert.ok(!isTriggeredBy({ ...fields, rules: ['gas'] }, notice));
  assert.ok(isTriggeredBy({ ...fields, priorityMax: 2 }, notice));
  assert.ok(!isTriggeredBy({ ...fields, priorityMax: 1 }, notice));
  const { priority: _, ...lowest } = notice;
  assert.ok(!isTriggeredBy({ ...fields, priorityMax: 4 }, lowest));
});

test('an alarm that is too old by either clock is late', () => {
  const at = (time: number, appendedMs: number, nowMs: number) =>
    decideTrigger(idle, { notice: { ...notice, time }, appendedMs }, nowMs);
  assert.equal(at(100_000, 100_000, 130_000), 'run');
  assert.equal(at(100_000, 100_000, 130_001), 'late');
  assert.equal(at(500_000, 100_000, 130_001), 'late', 'the clock of the device is ahead');
  assert.equal(at(100_000, 130_000, 130_001), 'late', 'the report was late');
});

test('a run that is active, or has started within the cooldown, is the only one', () => {
  const raised = { notice, appendedMs: notice.time };
  assert.equal(decideTrigger({ ...idle, hasActiveRun: true }, raised, 100_100), 'active');
  assert.equal(decideTrigger({ ...idle, startedMs: 60_000 }, raised, 119_999), 'cooldown');
  assert.equal(decideTrigger({ ...idle, startedMs: 60_000 }, raised, 120_000), 'run');
});
