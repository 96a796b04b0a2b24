import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AlarmTransition } from '@tailrace/client/control';
import { AlarmList, actionsFor, isLate, stateWord } from './alarm-list.ts';

const alarm = (device: string, fields: Partial<AlarmTransition> = {}): AlarmTransition => ({
  ...{ id: device, alarm: device, rule: 'hot', device, number: 1, state: 'unacknowledged', time: 1 },
  ...fields,
});

test('alarms of several channels are one list: unacknowledged first, then by priority, then the newest', () => {
  const list = new AlarmList();
  assert.equal(list.isLive.value, false);
  list.set('plant1.>', {
    alarms: [alarm('plant1.a', { priority: 3 }), alarm('plant1.b', { priority: 1, state: 'acknowledged' })],
    isLive: true,
  });
  list.set('home.>', {
    alarms: [alarm('home.a', { priority: 3, activated: 5 }), alarm('home.b', { priority: 2 })],
    isLive: false,
  });
  assert.deepEqual(
    list.current.value.map(({ device }) => device),
    ['home.b', 'home.a', 'plant1.a', 'plant1.b'],
  );
  assert.deepEqual([list.unacknowledged.value, list.isLive.value], [3, false]);
  list.delete('home.>');
  assert.deepEqual([list.unacknowledged.value, list.isLive.value], [1, true]);
});

test('the refusals of the last hundred actions are known', () => {
  const list = new AlarmList();
  for (let n = 0; n < 150; n++) list.refused({ action: `a${n}`, code: 'conflict', message: `m${n}` });
  assert.deepEqual(
    [list.refusals.value.size, list.refusals.value.get('a149'), list.refusals.value.get('a1')],
    [100, { code: 'conflict', message: 'm149' }, undefined],
  );
});

test('an action that is neither applied nor refused is late after some seconds, not without an end', () => {
  assert.deepEqual([isLate(1_000, 6_000), isLate(1_000, 6_001)], [false, true]);
});

test('a person can do what fits the state of an alarm, and an unknown state has words', () => {
  assert.deepEqual(actionsFor('returned_unacknowledged'), ['acknowledge', 'shelve']);
  assert.deepEqual(actionsFor('shelved'), ['unshelve']);
  assert.deepEqual(actionsFor('suppressed'), []);
  assert.equal(stateWord('some_later_state'), 'some later state');
});
