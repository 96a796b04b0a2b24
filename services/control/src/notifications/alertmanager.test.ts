import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AlarmNotice } from './alarm-notice.ts';
import { alertOf, alertsAfter } from './alertmanager.ts';

const nowMs = Date.parse('2026-01-15T12:00:00Z');
const raised: AlarmNotice = {
  ...{ id: 't1', alarm: 'a1', rule: 'pressure', device: 'plant1.press7', number: 1, state: 'unacknowledged' },
  ...{ cause: 'raised', priority: 3, tag: 'p', value: 9.1, limit: 'HH', limitValue: 9 },
  ...{ time: nowMs - 2_000, activated: nowMs - 2_000 },
};

test('a standing alarm is active for four minutes from now, so that it is forgotten if nothing follows', () => {
  assert.deepEqual(alertOf(raised, nowMs), {
    labels: {
      ...{ alertname: 'pressure', device: 'plant1.press7', priority: '3', severity: 'warning' },
      ...{ tag: 'p', source: 'tailrace' },
    },
    annotations: {
      ...{ summary: 'plant1.press7: p HH 9.1 (limit 9)', state: 'unacknowledged' },
      ...{ value: '9.1', limit: 'HH', limit_value: '9' },
    },
    startsAt: '2026-01-15T11:59:58.000Z',
    endsAt: '2026-01-15T12:04:00.000Z',
  });
  assert.equal(alertOf({ ...raised, state: 'acknowledged' }, nowMs).endsAt, '2026-01-15T12:04:00.000Z');
});

test('an alarm that has returned, or is put aside, is resolved at the time of its transition', () => {
  for (const state of ['normal', 'returned_unacknowledged', 'latched', 'shelved', 'suppressed', 'out_of_service'])
    assert.equal(alertOf({ ...raised, state, time: nowMs }, nowMs + 500).endsAt, '2026-01-15T12:00:00.000Z', state);
  // The clock of a device may be set back.
  assert.equal(alertOf({ ...raised, state: 'normal', time: 0 }, nowMs).endsAt, '2026-01-15T11:59:58.000Z');
});

test('no time is in the future: an alert would be active until then', () => {
  const ahead = { ...raised, time: nowMs + 60_000, activated: nowMs + 30_000 };
  assert.equal(alertOf(ahead, nowMs).startsAt, '2026-01-15T12:00:00.000Z');
  assert.equal(alertOf({ ...ahead, state: 'normal' }, nowMs).endsAt, '2026-01-15T12:00:00.000Z');
  const [former] = alertsAfter({ ...ahead, priority: 1, number: 2 }, ahead, nowMs);
  assert.equal(former!.endsAt, '2026-01-15T12:00:00.000Z');
});

test('a change of the labels, as by an escalation, resolves the alert with the former ones', () => {
  const escalated = { ...raised, cause: 'escalated', priority: 1, number: 2, time: nowMs };
  const [former, alert, ...more] = alertsAfter(escalated, raised, nowMs);
  assert.deepEqual([former!.labels['priority'], former!.endsAt], ['3', '2026-01-15T12:00:00.000Z']);
  assert.deepEqual([alert!.labels['priority'], alert!.labels['severity'], more.length], ['1', 'critical', 0]);
  assert.equal(alertsAfter({ ...raised, limit: 'H', number: 2 }, raised, nowMs).length, 1, 'the limit is no label');
});

test('texts are lines without control characters', () => {
  const { annotations } = alertOf({ ...raised, message: `a\r\nb${'x'.repeat(1_000)}`, note: '\u0000' }, nowMs);
  assert.match(annotations['summary']!, /^plant1\.press7: a b/);
  assert.equal(annotations['summary']!.length, 200);
  assert.equal(annotations['note'], undefined);
});
