import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { Sample, Value } from '../sample.ts';
import { ruleSchema } from './rule.ts';
import { Threshold } from './threshold.ts';

function start(when: object) {
  const clock = createFakeClock();
  const changes: (readonly [boolean, Value | undefined])[] = [];
  const rule = ruleSchema.parse({ when: { device: 'p.a', tag: 't', ...when }, actions: [{ event: 'e' }] });
  const onChange = (isActive: boolean, { value }: Sample) => changes.push([isActive, value]);
  const threshold = new Threshold({ when: rule.when, onChange, clock });
  let time = 0;
  const take = (...values: (Value | undefined)[]) => {
    for (const value of values) {
      threshold.take({ tag: 0, time: ++time, value, quality: value === undefined ? 'bad' : 'good' });
    }
  };
  return { clock, changes, threshold, take };
}

test('a rule is active above its limit, and clear again below the hysteresis', () => {
  const { changes, take } = start({ above: 8, hysteresis: 0.5 });
  take(8, 8.1, 8.4, 7.6, 8.2, 7.5, 8, 9);
  assert.deepEqual(changes, [
    [true, 8.1],
    [false, 7.5],
    [true, 9],
  ]);
});

test('a rule is active below its limit, and a boolean counts as 1 or 0', () => {
  const below = start({ below: 0 });
  below.take(1, 0, -1, 0);
  assert.deepEqual(below.changes, [
    [true, -1],
    [false, 0],
  ]);
  const boolean = start({ above: 0 });
  boolean.take(false, true, true, false);
  assert.deepEqual(boolean.changes, [
    [true, true],
    [false, false],
  ]);
});

test('the value must be there for forMs, also without another sample', async () => {
  const { clock, changes, take } = start({ above: 8, forMs: 2_000 });
  take(9);
  await clock.advance(1_999);
  take(7, 9);
  await clock.advance(1_999);
  assert.deepEqual(changes, []);
  await clock.advance(1);
  assert.deepEqual(changes, [[true, 9]]);
});

test('texts and late samples change nothing', async () => {
  const { clock, changes, threshold, take } = start({ above: 8, forMs: 100 });
  take(9, 'x');
  threshold.take({ tag: 0, time: 0, value: 1, quality: 'good' });
  await clock.advance(100);
  assert.deepEqual(changes, [[true, 9]]);
  threshold.stop();
});

test('time in which the tag cannot be read does not count for forMs', async () => {
  const { clock, changes, take } = start({ above: 8, forMs: 2_000 });
  take(9);
  await clock.advance(1_500);
  take(undefined);
  await clock.advance(1_800);
  // A second bad sample is the same failure.
  take(undefined);
  await clock.advance(100);
  assert.deepEqual(changes, [], 'a rule does not act because a sensor fails');
  take(9);
  await clock.advance(499);
  assert.deepEqual(changes, []);
  await clock.advance(1);
  assert.deepEqual(changes, [[true, 9]]);
  take(undefined, 7);
  assert.deepEqual(changes.at(-1), [false, 7]);
});

test('after a failure of the sensor that was longer than forMs, the time starts again', async () => {
  const { clock, changes, take } = start({ above: 8, forMs: 2_000 });
  take(9);
  await clock.advance(1_999);
  take(undefined);
  await clock.advance(60_000);
  assert.deepEqual(changes, []);
  take(9.5);
  await clock.advance(1_999);
  assert.deepEqual(changes, []);
  await clock.advance(1);
  assert.deepEqual(changes, [[true, 9.5]]);
});

test('a sensor that is back with a value within the limit leaves nothing pending', async () => {
  const { clock, changes, take } = start({ above: 8, forMs: 2_000 });
  take(9, undefined, 7);
  await clock.advance(10_000);
  assert.deepEqual([changes, clock.pending()], [[], 0]);
  take(9);
  await clock.advance(2_000);
  assert.deepEqual(changes, [[true, 9]]);
});

test('after a clock was set back by an hour, a rule goes on within ten seconds', async () => {
  const { clock, changes, threshold } = start({ above: 8 });
  const hourMs = 3_600_000;
  threshold.take({ tag: 0, time: 2 * hourMs, value: 7, quality: 'good' });
  for (let n = 1; n <= 10; n++) {
    await clock.advance(1_000);
    threshold.take({ tag: 0, time: hourMs + n, value: 9, quality: 'good' });
  }
  assert.deepEqual(changes, [[true, 9]]);
  threshold.take({ tag: 0, time: hourMs + 11, value: 7, quality: 'good' });
  assert.equal(changes.length, 2);
});

test('a rule that is stopped does nothing', async () => {
  const { clock, changes, threshold, take } = start({ above: 8, forMs: 100 });
  take(9);
  threshold.stop();
  await clock.advance(1_000);
  assert.deepEqual(changes, []);
});
