import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { noticeFrom } from './notice-from.ts';

const { AlarmTransition, AlarmState, AlarmCause } = tailrace.v1;

test('a transition of the log has its states and causes as words, and no empty fields', () => {
  const encoded = AlarmTransition.encode({
    ...{ id: 't1', alarm: 'a1', rule: 'r1', ruleVersion: 3, device: 'plant1.press7', number: 2 },
    ...{ state: AlarmState.ALARM_STATE_RETURNED_UNACKNOWLEDGED, previous: AlarmState.ALARM_STATE_UNACKNOWLEDGED },
    ...{ cause: AlarmCause.ALARM_CAUSE_RETURNED, priority: 2, limit: 'HH', tag: 'p', time: 2_000, activated: 1_000 },
    ...{ value: { number: 0 }, limitValue: 0, context: [{ tag: 'open', value: { boolean: false } }] },
  }).finish();
  assert.deepEqual(noticeFrom(AlarmTransition.decode(encoded)), {
    ...{ id: 't1', alarm: 'a1', rule: 'r1', ruleVersion: 3, device: 'plant1.press7', number: 2 },
    ...{ state: 'returned_unacknowledged', previous: 'unacknowledged', cause: 'returned', priority: 2 },
    ...{ limit: 'HH', tag: 'p', time: 2_000, activated: 1_000, value: 0, limitValue: 0 },
    context: [{ tag: 'open', value: false }],
  });
});

test('a state or a cause of a later version is its number', () => {
  const { state, cause } = noticeFrom(new AlarmTransition({ state: 99, cause: 98 } as object));
  assert.deepEqual([state, cause], ['99', '98']);
});
