import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AlarmOrder } from '@tailrace/protocol/alarm-order';
import { tailrace } from '@tailrace/protocol/generated';
import { type AlarmEvent, acceptEvents, alarmEventFrom } from './alarm-event.ts';

const { Event, AlarmState, AlarmCause } = tailrace.v1;

const raised = {
  ...{ id: 't1', alarm: 'a1', rule: 'hot', device: 'plant1.press7', number: 1, owner: 5, time: 1_000 },
  ...{ state: AlarmState.ALARM_STATE_UNACKNOWLEDGED, cause: AlarmCause.ALARM_CAUSE_RAISED },
};
const bytesOf = (event: tailrace.v1.IEvent) => Event.encode(event).finish();

function eventOf(seq: number, event: tailrace.v1.IEvent): AlarmEvent {
  const decoded = alarmEventFrom(seq, bytesOf(event));
  assert.ok(typeof decoded === 'object');
  return decoded;
}

test('an event of alarms is decoded, and no other one', () => {
  assert.deepEqual(eventOf(3, { alarmOwner: { node: 'alarms-0' } }), { seq: 3, kind: 'owner' });
  assert.deepEqual(eventOf(4, { alarmTransition: { ...raised, action: 'x1' } }), {
    ...{ seq: 4, kind: 'transition', owner: 5 },
    transition: {
      ...{ id: 't1', alarm: 'a1', rule: 'hot', device: 'plant1.press7', number: 1, time: 1_000 },
      ...{ state: 'unacknowledged', cause: 'raised', action: 'x1' },
    },
  });
  const refused = { action: 'x2', device: 'plant1.press7', rule: 'hot', code: 'conflict', message: 'it has changed' };
  const { owner: _, ...event } = eventOf(5, { alarmActionRefused: { ...refused, owner: 5 } }) as AlarmEvent &
    object & { owner: number };
  assert.deepEqual(event, { seq: 5, kind: 'refused', refused });
  assert.equal(alarmEventFrom(6, bytesOf({ ingestAlive: { node: 'ingest-0' } })), undefined);
  assert.equal(alarmEventFrom(7, new Uint8Array(0)), undefined);
});

test('an event that is none of a device and a rule is invalid', () => {
  for (const changed of [
    { device: '' },
    { device: 'a..b' },
    { rule: 'a b' },
    { number: 0 },
    { id: '' },
    { time: Number.NaN },
  ])
    assert.equal(alarmEventFrom(1, bytesOf({ alarmTransition: { ...raised, ...changed } })), 'invalid');
  assert.equal(alarmEventFrom(1, bytesOf({ alarmActionRefused: { device: 'plant1.press7' } })), 'invalid');
  assert.equal(alarmEventFrom(1, bytesOf({ alarmTransition: raised }).subarray(0, 8)), 'invalid');
});

test('texts that PostgreSQL cannot hold are replaced, and numbers that JSON cannot hold are left out', () => {
  const event = { ...raised, note: 'a\0b', value: { number: Number.NaN }, limitValue: Number.POSITIVE_INFINITY };
  const decoded = eventOf(1, { alarmTransition: event });
  assert.ok(decoded.kind === 'transition');
  assert.equal(decoded.transition.note, 'a\uFFFDb');
  assert.ok(!('value' in decoded.transition) && !('limitValue' in decoded.transition));
});

test('what a former owner writes does not count, and what is written twice counts once', () => {
  const transition = (owner: number, number: number) => ({ alarmTransition: { ...raised, owner, number } });
  const events = [
    { alarmOwner: {} },
    transition(10, 1),
    transition(10, 1),
    { alarmOwner: {} },
    transition(10, 2),
    { alarmActionRefused: { action: 'x', device: 'plant1.press7', owner: 10 } },
    transition(13, 2),
    { alarmActionRefused: { action: 'y', device: 'plant1.press7', owner: 13 } },
  ].map((event, n) => eventOf(10 + n, event));
  const order = new AlarmOrder();
  const { transitions, refused, duplicates } = acceptEvents(events, order);
  assert.deepEqual([transitions.map(({ number }) => number), refused.map(({ action }) => action)], [[1, 2], ['y']]);
  assert.deepEqual([duplicates, order.owner], [3, 13]);
});
