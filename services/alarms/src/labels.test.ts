import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompiledRule } from '@tailrace/rules/evaluation/compiled-rule';
import { ruleFrom } from '@tailrace/rules/rule';
import { withAlarms } from '../test/alarms-cluster.ts';
import { DeviceDirectory } from './rules/device-directory.ts';
import { RuleSet } from './rules/rule-set.ts';

const press = 'plant.press';
const oven = 'plant.oven';
/** The time after which a change of labels is in force, ms. */
const pollMs = 600;

test('a rule by kind and label is evaluated for the devices that have them, from the first report on', async () => {
  await withAlarms(async (cluster) => {
    await cluster.attributes(press, { kind: 'press', labels: { line: '3' } });
    await cluster.attributes(oven, { kind: 'oven', labels: { line: '3' } });
    await cluster.rule({ where: { kind: 'press', labels: { line: '3' } } });
    await cluster.start('a');
    for (const device of [press, oven, 'plant.unknown']) await cluster.report(device, 90);
    await cluster.settle();
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged']);
    assert.deepEqual(await cluster.statesOf(oven), []);
    assert.deepEqual(await cluster.statesOf('plant.unknown'), []);
  });
});

test('a change of labels is a change of the rules of that device, also without a report', async () => {
  await withAlarms(async (cluster) => {
    await cluster.attributes(press, { labels: { line: '3' } });
    await cluster.rule({ where: { labels: { line: '3' } } });
    await cluster.rule({ id: 'always' });
    await cluster.start('a');
    await cluster.report(press, 90);
    await cluster.settle();
    await cluster.attributes(press, { labels: { line: '4' } });
    await cluster.settle(pollMs);
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged', '2 normal']);
    assert.deepEqual(await cluster.statesOf(press, 'always'), ['1 unacknowledged']);
    await cluster.attributes(press, { labels: { line: '3' } });
    await cluster.settle(pollMs);
    await cluster.report(press, 91);
    await cluster.settle();
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged', '2 normal', '3 unacknowledged']);
    await cluster.attributes(press);
    await cluster.settle(pollMs);
    assert.equal((await cluster.statesOf(press)).at(-1), '4 normal', 'a tombstone removes the labels');
    const { transitions } = await cluster.events();
    await cluster.assertContinuous();
    assert.equal(transitions.filter(({ rule }) => rule === 'always').length, 1);
  });
});

test('a device that is labeled after its reports has the rule from its next report on', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule({ where: { kind: 'press' } });
    await cluster.start('a');
    await cluster.report(press, 90);
    await cluster.attributes(press, { kind: 'press' });
    await cluster.settle(pollMs);
    assert.deepEqual(await cluster.statesOf(press), []);
    await cluster.report(press, 90);
    await cluster.settle();
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged']);
  });
});

test('labels that change while no node runs are in force at the takeover, and nothing is raised twice', async () => {
  await withAlarms(async (cluster) => {
    for (const device of [press, oven]) await cluster.attributes(device, { kind: 'press' });
    await cluster.rule({ where: { kind: 'press' } });
    const first = await cluster.start('a');
    for (const device of [press, oven]) await cluster.report(device, 90);
    await cluster.settle();
    await cluster.kill(first);
    await cluster.attributes(oven, { kind: 'oven' });
    await cluster.start('b');
    await cluster.settle();
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged']);
    assert.deepEqual(await cluster.statesOf(oven), ['1 unacknowledged', '2 normal']);
  });
});

test('a record that has no kind and labels is counted, and those before it stay in force', async () => {
  await withAlarms(async (cluster) => {
    await cluster.attributes(press, { kind: 'press' });
    await cluster.rule({ where: { kind: 'press' } });
    const { alarms } = await cluster.start('a');
    await cluster.append('tailrace.devices', [{ key: press, value: new TextEncoder().encode('{"kind":1}') }]);
    await cluster.settle(pollMs);
    assert.equal(alarms.node!.devicesReader.counts.invalid, 1);
    await cluster.report(press, 90);
    await cluster.settle();
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged']);
  });
});

const compiled = (id: string, fields: object = {}) =>
  new CompiledRule(
    ruleFrom({ id, version: 1, devices: ['plant.>'], condition: { kind: 'stale', afterMs: 60_000 }, ...fields }),
  );
const idsOf = (rules: RuleSet, device: string) => rules.of(device).map(({ rule }) => rule.id);

test('only a change after which a device has other rules is a change of the rules', () => {
  const rules = new RuleSet();
  const replace = (...all: CompiledRule[]) => rules.replace(new Map(all.map((each) => [each.rule.id, each])));
  const always = compiled('always');
  const line3 = compiled('line3', { where: { labels: { line: '3' } } });
  replace(always, line3);
  const { version } = rules;
  assert.equal(rules.setAttributes(new Map([[oven, '{"kind":"oven","labels":{"hall":"B"}}']])), false);
  assert.equal(rules.version, version);
  assert.equal(rules.setAttributes(new Map([[press, '{"kind":"","labels":{"line":"3"}}']])), true);
  assert.deepEqual(idsOf(rules, press), ['always', 'line3']);
  assert.deepEqual(idsOf(rules, oven), ['always']);
  assert.equal(rules.setAttributes(new Map([[press, '{"kind":"press","labels":{"line":"3"}}']])), false);
  replace(line3, compiled('presses', { where: { kind: 'press' } }));
  assert.deepEqual(idsOf(rules, press), ['presses', 'line3']);
  replace();
  assert.deepEqual(idsOf(rules, press), []);
});

test('devices with the same attributes share them, and devices beyond the limit have none', () => {
  const directory = new DeviceDirectory(2);
  const text = '{"kind":"press","labels":{}}';
  directory.set('a', text);
  directory.set('b', text);
  directory.set('c', text);
  assert.equal(directory.of('a'), directory.of('b'));
  assert.deepEqual([directory.of('c'), directory.size, directory.refused], [undefined, 2, 1]);
  directory.set('a', undefined);
  directory.set('c', '{"kind":"oven","labels":{}}');
  assert.deepEqual([directory.of('a'), directory.of('c')?.kind], [undefined, 'oven']);
});
