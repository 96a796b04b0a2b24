import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  alarmTransitionFromProto,
  alarmTransitionProto,
  commandTransitionFromProto,
  commandTransitionProto,
  leaseTransitionFromProto,
  leaseTransitionProto,
} from './control-event.ts';
import {
  type AlarmTransition,
  alarmCauses,
  alarmStates,
  commandProgresses,
  confirmers,
  leaseActions,
} from './control-event-json.ts';
import { tailrace } from './generated/tailrace.js';
import {
  serverMessageBytes,
  serverMessageFromBytes,
  serverMessageFromJson,
  serverMessageJson,
} from './server-message.ts';

const v1 = tailrace.v1;

/** Returns the words of an enumeration of the .proto, without its prefix and without "unspecified". */
function wordsOf(values: object, prefix: string): string[] {
  const entries = Object.entries(values).filter(([name, number]) => Number.isNaN(Number(name)) && number !== 0);
  return entries.sort(([, a], [, b]) => a - b).map(([name]) => name.slice(prefix.length).toLowerCase());
}

test('the words are those of the enumerations, in their order', () => {
  assert.deepEqual(wordsOf(v1.AlarmState, 'ALARM_STATE_'), alarmStates);
  assert.deepEqual(wordsOf(v1.AlarmCause, 'ALARM_CAUSE_'), alarmCauses);
  assert.deepEqual(wordsOf(v1.CommandProgress, 'COMMAND_PROGRESS_'), commandProgresses);
  assert.deepEqual(wordsOf(v1.ConfirmedBy, 'CONFIRMED_BY_'), confirmers);
  assert.deepEqual(wordsOf(v1.LeaseAction, 'LEASE_ACTION_'), leaseActions);
});

const alarm: AlarmTransition = {
  id: 't-1',
  alarm: 'a-1',
  rule: 'too-hot',
  ruleVersion: 3,
  device: 'p.d',
  number: 7,
  state: 'returned_unacknowledged',
  previous: 'unacknowledged',
  cause: 'returned',
  time: 12.5,
  // A value, a position and a limit of 0 are not absent.
  seq: 0,
  value: 0,
  limitValue: 0,
  context: [{ tag: 'running', value: false, time: 11 }],
};

test('transitions are the same after a round trip through the log', () => {
  const bytes = v1.AlarmTransition.encode(alarmTransitionProto(alarm)).finish();
  assert.deepEqual(alarmTransitionFromProto(v1.AlarmTransition.decode(bytes)), alarm);
  const command = {
    id: 'c',
    device: 'p.d',
    number: 1,
    state: 'done',
    time: 1,
    params: { on: false, level: 0, name: '' },
    confirmedBy: 'read_back',
    before: 0,
    after: false,
  };
  const encoded = v1.CommandTransition.encode(commandTransitionProto(command)).finish();
  assert.deepEqual(commandTransitionFromProto(v1.CommandTransition.decode(encoded)), command);
  const lease = { scope: 'p.>', token: 1, time: 1, holder: 'anna', action: 'take_over' };
  const last = v1.LeaseTransition.encode(leaseTransitionProto(lease)).finish();
  assert.deepEqual(leaseTransitionFromProto(v1.LeaseTransition.decode(last)), lease);
});

test('a state of a later version is passed on', () => {
  const later = v1.AlarmTransition.decode(v1.AlarmTransition.encode({ device: 'p.d', state: 99 as never }).finish());
  assert.equal(alarmTransitionFromProto(later).state, 'unknown_99');
});

test('messages with events are the same in JSON and in Protobuf', () => {
  const messages = [
    { alarm: { view: 1, events: [{ partition: 0, seq: 0, transition: alarm }], snapshot: true } },
    {
      alarm: {
        view: 1,
        events: [{ partition: 0, refused: { action: 'x', device: 'p.d', rule: 'r', code: 'conflict' } }],
      },
    },
    { accepted: { request: 'r', action: 'x' } },
    { error: { code: 'unavailable', message: 'm', retryable: true, request: 'r' } },
  ];
  for (const message of messages) {
    assert.deepEqual(serverMessageFromJson(serverMessageJson(message)), message);
    assert.deepEqual(serverMessageFromBytes(serverMessageBytes(message)), message);
  }
});
