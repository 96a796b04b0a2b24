import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { TimedReading } from './batcher.ts';
import { ruleSchema } from './rules/rule.ts';
import type { SourceTag } from './source.ts';
import { TagPipeline } from './tag-pipeline.ts';

const tags: readonly SourceTag[] = [
  { device: 'p.a', tag: 'pressure', unit: 'bar', filter: { deadband: 1, maxSilenceMs: 60_000 }, write: undefined },
  { device: 'p.a', tag: 'tripped', unit: '', filter: { bypass: true, maxSilenceMs: 60_000 }, write: undefined },
  { device: 'p.b', tag: 'mode', unit: '', filter: undefined, write: undefined },
  { device: 'p.b', tag: 'flow', unit: '', filter: { swingingDoor: 1, maxSilenceMs: 60_000 }, write: undefined },
];

function start(rules: object[] = []) {
  const clock = createFakeClock();
  const added: { device: string; reading: TimedReading; isUrgent: boolean }[] = [];
  const active: (readonly [string, boolean])[] = [];
  const pipeline = new TagPipeline({
    ...{ tags, clock, rules: rules.map((rule) => ruleSchema.parse(rule)) },
    batcher: { add: (device, reading, isUrgent) => added.push({ device, reading, isUrgent }) },
    onRule: ({ when }, isActive) => active.push([when.tag, isActive]),
  });
  return { clock, added, active, pipeline };
}

test('each sample is filtered, and becomes a reading with its unit, quality and time', () => {
  const { added, pipeline } = start();
  pipeline.take({ tag: 0, time: 1, value: 5, quality: 'good' });
  pipeline.take({ tag: 0, time: 2, value: 5.5, quality: 'good' });
  pipeline.take({ tag: 0, time: 3, value: undefined, quality: 'bad', reason: 'no_answer' });
  pipeline.take({ tag: 1, time: 4, value: true, quality: 'good' });
  pipeline.take({ tag: 2, time: 5, value: 'auto', quality: 'uncertain' });
  pipeline.take({ tag: 2, time: 6, value: 'auto', quality: 'uncertain' });
  assert.deepEqual(added, [
    { device: 'p.a', reading: { tag: 'pressure', value: 5, unit: 'bar', time: 1 }, isUrgent: false },
    { device: 'p.a', reading: { tag: 'pressure', value: 5.5, unit: 'bar', quality: 'bad', time: 3 }, isUrgent: false },
    { device: 'p.a', reading: { tag: 'tripped', value: true, time: 4 }, isUrgent: true },
    { device: 'p.b', reading: { tag: 'mode', value: 'auto', quality: 'uncertain', time: 5 }, isUrgent: false },
    { device: 'p.b', reading: { tag: 'mode', value: 'auto', quality: 'uncertain', time: 6 }, isUrgent: false },
  ]);
  assert.deepEqual([pipeline.samples, pipeline.sent], [6, 5]);
  pipeline.stop();
});

test('a rule sees samples that its filter leaves out', () => {
  const when = { device: 'p.a', tag: 'pressure', above: 8 };
  const { active, added, pipeline } = start([{ when, actions: [{ event: 'high' }] }]);
  pipeline.take({ tag: 0, time: 1, value: 7.9, quality: 'good' });
  pipeline.take({ tag: 0, time: 2, value: 8.1, quality: 'good' });
  assert.equal(added.length, 1);
  assert.deepEqual(active, [['pressure', true]]);
  pipeline.stop();
});

test('a value that is held is sent after maxSilenceMs while the source is live, and at the stop', async () => {
  const { clock, added, pipeline } = start();
  let isLive = false;
  pipeline.start(() => isLive);
  const time = clock.now();
  pipeline.take({ tag: 3, time, value: 1, quality: 'good' });
  pipeline.take({ tag: 3, time: time + 1, value: 1, quality: 'good' });
  await clock.advance(61_000);
  assert.equal(added.length, 1);
  isLive = true;
  await clock.advance(1_000);
  assert.equal(added.length, 2);
  pipeline.take({ tag: 3, time: time + 70_000, value: 1, quality: 'good' });
  pipeline.stop();
  assert.equal(added.length, 3);
  assert.equal(clock.pending(), 0);
});

test('a listener receives each sample until it is removed', () => {
  const { pipeline } = start();
  const values: unknown[] = [];
  const remove = pipeline.onSample(({ value }) => values.push(value));
  pipeline.take({ tag: 0, time: 1, value: 1, quality: 'good' });
  remove();
  pipeline.take({ tag: 0, time: 2, value: 2, quality: 'good' });
  assert.deepEqual(values, [1]);
});
