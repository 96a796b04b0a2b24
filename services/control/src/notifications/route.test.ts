import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AlarmNotice } from './alarm-notice.ts';
import { deliveriesOf, type Route, routeSchema } from './route.ts';
import type { TargetKind } from './target.ts';

const nowMs = Date.parse('2026-01-15T23:00:00Z');
const notice: AlarmNotice = {
  ...{ id: 't1', alarm: 'a1', rule: 'r1', device: 'plant1.line1.press7', number: 1, state: 'unacknowledged' },
  ...{ cause: 'raised', priority: 3, alarmClass: 'safety', time: nowMs },
};
const kinds: Readonly<Record<string, TargetKind>> = { hook: 'webhook', shift: 'email', prom: 'alertmanager' };
const routeOf = (rest: object = {}): Route => ({
  ...routeSchema.parse({ patterns: ['plant1.>'], targets: ['hook'], ...rest }),
  id: 'route',
});
const night = { timeZone: 'UTC', from: '22:00', to: '06:00' };
const targetsOf = (routes: readonly Route[], changed: Partial<AlarmNotice> = {}) =>
  deliveriesOf({ ...notice, ...changed }, routes, (id) => kinds[id], nowMs).map(({ target, dueMs }) =>
    dueMs === nowMs ? target : `${target} at ${new Date(dueMs).toISOString().slice(11, 16)}`,
  );

test('a route selects by pattern, priority, class and cause', () => {
  assert.deepEqual(targetsOf([routeOf()]), ['hook']);
  assert.deepEqual(targetsOf([routeOf({ patterns: ['plant2.>', 'plant1.line1.press7'] })]), ['hook']);
  for (const rest of [
    { patterns: ['plant2.>'] },
    { patterns: ['plant1.line1'] },
    { priorityMax: 2 },
    { classes: ['process'] },
    { causes: ['returned'] },
    { isEnabled: false },
    { targets: ['unknown'] },
  ])
    assert.deepEqual(targetsOf([routeOf(rest)]), [], JSON.stringify(rest));
  assert.deepEqual(targetsOf([routeOf({ priorityMax: 3, classes: ['safety', 'x'] })]), ['hook']);
});

test('an alarm without a priority has the lowest one, and what people do is no notification by default', () => {
  const { priority: _, ...without } = notice;
  assert.deepEqual(
    deliveriesOf(without, [routeOf({ priorityMax: 4 })], (id) => kinds[id], nowMs),
    [],
  );
  assert.deepEqual(targetsOf([routeOf()], { cause: 'acknowledged', state: 'acknowledged' }), []);
  assert.deepEqual(targetsOf([routeOf()], { cause: 'returned', state: 'normal' }), ['hook']);
});

test('several routes to one target are one notification, at the earliest time', () => {
  const quiet = routeOf({ quietHours: night });
  assert.deepEqual(targetsOf([quiet]), ['hook at 06:00']);
  assert.deepEqual(targetsOf([quiet, routeOf({ targets: ['hook', 'shift'] })]), ['hook', 'shift']);
  assert.deepEqual(targetsOf([quiet, routeOf({ quietHours: { ...night, to: '05:00' } })]), ['hook at 05:00']);
});

test('quiet hours hold back or drop, except the highest priorities and an Alertmanager', () => {
  const routes = (quietHours: object) => [
    routeOf({ targets: ['hook', 'prom'], quietHours: { ...night, ...quietHours } }),
  ];
  assert.deepEqual(targetsOf(routes({})), ['hook at 06:00', 'prom']);
  assert.deepEqual(targetsOf(routes({ during: 'drop' })), ['prom']);
  assert.deepEqual(targetsOf(routes({}), { priority: 1 }), ['hook', 'prom']);
  assert.deepEqual(targetsOf(routes({ exceptPriority: 3 })), ['hook', 'prom']);
  assert.deepEqual(targetsOf(routes({ exceptPriority: 0 }), { priority: 1 }), ['hook at 06:00', 'prom']);
});

test('an Alertmanager is notified of each cause', () => {
  assert.deepEqual(targetsOf([routeOf({ targets: ['prom', 'hook'] })], { cause: 'shelved', state: 'shelved' }), [
    'prom',
  ]);
});
