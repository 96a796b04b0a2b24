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
  const writes: string[] = [];
  const gate = { promise: Promise.resolve() };
  const actions = new RuleActions({
    put: (report) => reports.push(report),
    write: async ({ device, tag, value, isSafety, start }) => {
      await gate.promise;
      if (!start()) return { state: 'failed' };
      writes.push(`${device} ${tag} ${value}${isSafety ? ' safety' : ''}`);
      return { state: 'done' };
    },
    ...{ clock, logger: silentLogger },
  });
  return { clock, reports, writes, actions, gate };
}

const rule = ruleSchema.parse({
  when: { device: 'p.a', tag: 'pressure', above: 8 },
  actions: [
    { event: 'pressure_high', severity: 'critical' },
    { write: { device: 'p.a', tag: 'burner', value: false }, safety: true },
  ],
});

test('an event is a reading of the device, true while the rule is active, and a write is done once', async () => {
  const { clock, reports, writes, actions } = start();
  actions.changed(rule, true, sample);
  await clock.advance(0);
  actions.changed(rule, false, { ...sample, time: 2_000 });
  const severity = { tag: 'pressure_high_severity', value: 'critical' };
  assert.deepEqual(reports, [
    { device: 'p.a', time: 1_000.5, readings: [{ tag: 'pressure_high', value: true }, severity] },
    { device: 'p.a', time: 2_000, readings: [{ tag: 'pressure_high', value: false }, severity] },
  ]);
  assert.deepEqual(writes, ['p.a burner false safety']);
});

test('a rule writes at most once a second', async () => {
  const { clock, writes, actions } = start();
  for (let n = 0; n < 10; n++) {
    actions.changed(rule, true, sample);
    await clock.advance(0);
    actions.changed(rule, false, sample);
    await clock.advance(250);
  }
  assert.equal(writes.length, 3);
});

test('all writes of a rule are done', async () => {
  const { clock, writes, actions } = start();
  const write = (tag: string) => ({ write: { device: 'p.a', tag, value: 1 } });
  actions.changed(ruleSchema.parse({ when: rule.when, actions: [write('first'), write('second')] }), true, sample);
  await clock.advance(0);
  assert.deepEqual(writes, ['p.a first 1', 'p.a second 1']);
});

test('a write within a second after the one before waits, and is left out when the rule is clear by then', async () => {
  const { clock, writes, actions } = start();
  const change = async (isActive: boolean, afterMs: number) => {
    actions.changed(rule, isActive, sample);
    await clock.advance(afterMs);
  };
  await change(true, 200);
  await change(false, 200);
  await change(true, 599);
  assert.equal(writes.length, 1);
  await clock.advance(1);
  assert.equal(writes.length, 2);
  await change(false, 100);
  await change(true, 100);
  await change(false, 5_000);
  assert.equal(writes.length, 2);
  await change(true, 100);
  await change(false, 100);
  await change(true, 100);
  actions.stop();
  await clock.advance(5_000);
  assert.equal(writes.length, 3);
});

test('a write that has to wait for its turn is left out when the rule is clear by then', async () => {
  const { clock, writes, actions, gate } = start();
  const { promise, resolve } = Promise.withResolvers<void>();
  gate.promise = promise;
  actions.changed(rule, true, sample);
  await clock.advance(3_000);
  actions.changed(rule, false, sample);
  resolve();
  await clock.advance(0);
  assert.deepEqual(writes, []);
  actions.changed(rule, true, sample);
  await clock.advance(0);
  assert.equal(writes.length, 1);
});
