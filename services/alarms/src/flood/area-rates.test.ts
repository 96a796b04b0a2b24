import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { withAlarms } from '../../test/alarms-cluster.ts';
import { areaOf, raisedTag } from './area.ts';
import { AreaRates } from './area-rates.ts';

const { Event, AlarmCause } = tailrace.v1;
const minuteMs = 60_000;
const area = 'plant1.line3.alarms';
const settings = { areaLevels: 2 };

test('more than 10 alarms of an area in 10 minutes raise one alarm, which returns when there are fewer than 5', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule({ devices: ['plant1.>'] });
    await cluster.start('a');
    await cluster.start('b');
    const raise = async (from: number, until: number) => {
      for (let n = from; n < until; n++) await cluster.report(`plant1.line3.press${n}`, 90);
      await cluster.settle(2_000);
    };
    for (let n = 0; n < 12; n++) await cluster.report(`plant1.line4${n}.press`, 90);
    await raise(0, 10);
    assert.deepEqual(await cluster.statesOf(area, 'alarm-flood'), [], '10 are no flood');
    await raise(10, 11);
    assert.deepEqual(await cluster.statesOf(area, 'alarm-flood'), ['1 unacknowledged']);
    await raise(11, 15);
    const [flood] = (await cluster.events()).transitions.filter(({ rule }) => rule === 'alarm-flood');
    assert.equal(flood!.message, '11 alarms in 10 minutes');
    await cluster.acknowledge(area, 1, 'alarm-flood');
    await cluster.settle(9 * minuteMs);
    assert.equal((await cluster.statesOf(area, 'alarm-flood')).at(-1), '2 acknowledged');
    await raise(15, 19);
    await cluster.settle(minuteMs);
    assert.equal((await cluster.statesOf(area, 'alarm-flood')).at(-1), '3 normal', '4 are left');
    await cluster.settle(10 * minuteMs);
    const readings = await cluster.readings(area, raisedTag);
    assert.deepEqual([Math.max(...readings), readings.at(-1)], [19, 0]);
    await cluster.assertContinuous();
  }, settings);
});

test('an area with few alarms has no readings', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule({ devices: ['plant1.>'] });
    await cluster.start('a');
    for (let n = 0; n < 4; n++) await cluster.report(`plant1.line3.press${n}`, 90);
    await cluster.settle(20 * minuteMs);
    assert.deepEqual(await cluster.readings(area, raisedTag), []);
  }, settings);
});

test('a flood goes on over a takeover, and one that has gone meanwhile returns', async () => {
  for (const awayMs of [1_000, 60 * minuteMs]) {
    await withAlarms(async (cluster) => {
      await cluster.rule({ devices: ['plant1.>'] });
      const first = await cluster.start('a');
      for (let n = 0; n < 12; n++) await cluster.report(`plant1.line3.press${n}`, 90);
      await cluster.settle(3_000);
      await cluster.kill(first);
      await cluster.settle(awayMs);
      await cluster.start('b');
      await cluster.settle(3_000);
      const states = await cluster.statesOf(area, 'alarm-flood');
      assert.deepEqual(states[0], '1 unacknowledged');
      assert.equal(states.length, awayMs > minuteMs ? 2 : 1, 'it has returned by itself');
    }, settings);
  }
});

test('a rule with the ID of the flood replaces it, and one that is disabled switches it off', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule({ devices: ['plant1.>'] });
    await cluster.rule({ id: 'alarm-flood', devices: ['>'], enabled: false });
    await cluster.start('a');
    for (let n = 0; n < 12; n++) await cluster.report(`plant1.line3.press${n}`, 90);
    await cluster.settle(3_000);
    assert.deepEqual(await cluster.statesOf(area, 'alarm-flood'), []);
    assert.equal((await cluster.readings(area, raisedTag)).at(-1), 12);
  }, settings);
});

test('a transition that was written twice, or by a former owner, counts once', () => {
  const rates = new AreaRates(2, { refused: 0 });
  const take = (number: number, owner: number, device = 'plant1.line3.press') => {
    const cause = AlarmCause.ALARM_CAUSE_RAISED;
    const alarmTransition = { device, rule: 'hot', number, owner, cause };
    rates.take(0, 0, Event.encode({ alarmTransition }).finish(), 1_000);
  };
  for (const number of [1, 2, 2, 3, 4]) take(number, 7);
  rates.take(0, 9, Event.encode({ alarmOwner: { node: 'b' } }).finish(), 1_000);
  take(5, 7);
  rates.take(0, 10, new Uint8Array([42, 255]), 1_000);
  rates.take(0, 11, Event.encode({ ingestAlive: { node: 'a' } }).finish(), 1_000);
  assert.deepEqual(rates.due(1_000), []);
  take(6, 9);
  assert.deepEqual(rates.due(1_000), [{ device: 'plant1.line3.alarms', raised: 5 }]);
  assert.equal(areaOf('plant1.line3.press', 2), 'plant1.line3');
});

test('alarms of areas beyond the limit are counted', () => {
  const counts = { refused: 0 };
  const rates = new AreaRates(2, counts);
  const cause = AlarmCause.ALARM_CAUSE_RAISED;
  for (let n = 0; n < 10_001; n++) {
    const alarmTransition = { device: `plant1.line${n}.press`, rule: 'hot', number: 1, owner: 1, cause };
    rates.take(n % 4, 0, Event.encode({ alarmTransition }).finish(), 1_000);
  }
  assert.deepEqual([rates.size, counts.refused], [10_000, 1]);
  rates.due(1_000 + 11 * minuteMs);
  assert.equal(rates.size, 0);
});
