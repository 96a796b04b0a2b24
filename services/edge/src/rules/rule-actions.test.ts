import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { Sample } from '../sample.ts';
import { ruleSchema } from './rule.ts';
import { RuleActions } from './rule-actions.ts';

const sample: Sample = { tag: 0, time: 1_000.5, value: 8.1, quality: 'good' };

function start() {
  const clock = createFakeClock();
  const reports: object[] = [];
  const writes: unknown[][] = [];
  const actions = new RuleActions({
    put: (report) => reports.push(report),
    write: async (...args) => {
      writes.push(args);
      return { state: 'done' };
    },
    ...{ clock, logger: silentLogger },
  });
  return { clock, reports, writes, actions };
}

const rule = ruleSchema.parse({
  when: { device: 'p.a', tag: 'pressure', above: 8 },
  actions: [
    { event: 'pressure_high', severity: 'critical' },
    { write: { device: 'p.a', tag: 'burner', value: false }, safety: true },
  ],
});

test('an event is a reading of the device, true while the rule is active, and a write is done once', () => {
  const { reports, writes, actions } = start();
  actions.changed(rule, true, sample);
  actions.changed(rule, false, { ...sample, time: 2_000 });
  const severity = { tag: 'pressure_high_severity', value: 'critical' };
  assert.deepEqual(reports, [
    { device: 'p.a', time: 1_000.5, readings: [{ tag: 'pressure_high', value: true }, severity] },
    { device: 'p.a', time: 2_000, readings: [{ tag: 'pressure_high', value: false }, severity] },
  ]);
  assert.deepEqual(writes, [['p.a', 'burner', false, true]]);
});

test('a rule writes at most once a second', async () => {
  const { clock, writes, actions } = start();
  for (let n = 0; n < 10; n++) {
    actions.changed(rule, true, sample);
    actions.changed(rule, false, sample);
    await clock.advance(250);
  }
  assert.equal(writes.length, 3);
});
