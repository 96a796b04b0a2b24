import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { eventually } from '@tailrace/testkit/eventually';
import { type ControlFixture, createControlFixture, type RunningControl, tokenOf } from './control-fixture.ts';

/** Alarms from the log to the API. */
let fixture: ControlFixture;
let control: RunningControl;
let anna: string;
before(async () => {
  fixture = await createControlFixture();
  control = await fixture.start('c1');
  anna = await tokenOf('anna');
});
after(() => fixture?.stop());

const { AlarmCause, AlarmState, Event } = tailrace.v1;
const unacknowledged = AlarmState.ALARM_STATE_UNACKNOWLEDGED;
const raised = AlarmCause.ALARM_CAUSE_RAISED;
const numbers = new Map<string, number>();

interface Transition extends Partial<tailrace.v1.IAlarmTransition> {
  readonly device: string;
  readonly rule: string;
}

/** Writes transitions as alarms does, and resolves when control has stored them. */
async function transit(...transitions: readonly Transition[]): Promise<void> {
  const ids: string[] = [];
  for (const fields of transitions) {
    const key = `${fields.device}/${fields.rule}`;
    const number = (numbers.get(key) ?? 0) + 1;
    numbers.set(key, number);
    const id = `${key}/${number}`;
    const time = Date.now();
    const alarmTransition = {
      ...{ id, alarm: key, number, time, activated: fields.time ?? time, state: unacknowledged, cause: raised },
      ...{ priority: 3, tag: 'temp', value: { number: 81.5 }, limit: 'H', limitValue: 80, ...fields },
    };
    await fixture.eventLog.append('tailrace.events', [
      { key: fields.device, value: Event.encode({ alarmTransition }).finish() },
    ]);
    ids.push(id);
  }
  await eventually(async () => {
    const sql = 'SELECT 1 FROM alarm_transitions WHERE id = ANY ($1::text[])';
    assert.equal((await fixture.database.query(sql, [ids])).rowCount, ids.length);
  });
}

async function get(path: string, token = anna) {
  const answer = await control.request(token, 'GET', path);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
}

const devicesOf = (alarms: readonly { readonly device: string }[]) => alarms.map(({ device }) => device).sort();

test('current alarms have filters and pages, and only those that the token may see', async () => {
  const area = 'plant1.list';
  const devices = [0, 1, 2, 3, 4].map((n) => `${area}.m${n}`);
  await transit(...devices.map((device, n) => ({ device, rule: 'hot', priority: n + 1 })));
  await transit(
    { device: devices[0]!, rule: 'hot', state: AlarmState.ALARM_STATE_NORMAL, cause: AlarmCause.ALARM_CAUSE_RETURNED },
    { device: devices[1]!, rule: 'hot', state: AlarmState.ALARM_STATE_ACKNOWLEDGED, by: 'anna', priority: 2 },
    { device: 'plant2.m1', rule: 'hot' },
  );
  const list = async (query: string) => devicesOf((await get(`/v1/alarms?pattern=${area}.>&${query}`)).alarms);
  assert.deepEqual(await list(''), devices.slice(1));
  assert.deepEqual(await list('state=acknowledged'), [devices[1]]);
  assert.deepEqual(await list('priority=3'), devices.slice(1, 3));
  assert.deepEqual(await list('rule=cold'), []);
  assert.deepEqual(await list(`since=${Date.now() + 60_000}`), []);
  assert.deepEqual(devicesOf((await get(`/v1/alarms?pattern=${devices[2]}`)).alarms), [devices[2]]);
  assert.deepEqual((await get('/v1/alarms?pattern=plant2.>')).alarms, []);
  assert.ok(!devicesOf((await get('/v1/alarms')).alarms).includes('plant2.m1'));
  const paged: string[] = [];
  for (let after = ''; ; ) {
    const page = await get(`/v1/alarms?pattern=${area}.>&limit=3${after && `&after=${after}`}`);
    paged.push(...devicesOf(page.alarms));
    if (page.next === undefined) break;
    after = page.next;
  }
  assert.deepEqual(paged.sort(), devices.slice(1));
  const [alarm] = (await get(`/v1/alarms?pattern=${devices[2]}`)).alarms;
  assert.deepEqual([alarm.state, alarm.cause, alarm.value, alarm.limitValue], ['unacknowledged', 'raised', 81.5, 80]);
  assert.equal((await control.request('', 'GET', '/v1/alarms')).status, 401);
  assert.equal((await control.request(anna, 'GET', '/v1/alarms?state=normal')).status, 400);
});

test('the history has all transitions, the newest first, in pages', async () => {
  const device = 'plant1.past.m1';
  const time = Date.now() - 3_600_000;
  await transit(
    { device, rule: 'hot', time },
    { device, rule: 'hot', time: time + 1, cause: AlarmCause.ALARM_CAUSE_LIMIT_CHANGED, limit: 'HH', priority: 1 },
    {
      device,
      rule: 'hot',
      time: time + 2,
      cause: AlarmCause.ALARM_CAUSE_RETURNED,
      state: AlarmState.ALARM_STATE_NORMAL,
    },
    { device: 'plant1.past', rule: 'hot', time },
  );
  const causes = async (query: string) => {
    const { transitions } = await get(`/v1/alarms/history?pattern=${device}&${query}`);
    return transitions.map(({ cause }: { cause: string }) => cause);
  };
  assert.deepEqual(await causes(''), ['returned', 'limit_changed', 'raised']);
  assert.deepEqual(await causes('cause=raised'), ['raised']);
  assert.deepEqual(await causes('priority=1'), ['limit_changed']);
  assert.deepEqual(await causes(`from=${time + 1}&to=${time + 2}`), ['limit_changed']);
  assert.deepEqual(await causes('alarm=other'), []);
  const page = await get(`/v1/alarms/history?pattern=${device}&limit=2`);
  const rest = await get(`/v1/alarms/history?pattern=${device}&limit=2&before=${page.next}`);
  assert.deepEqual([page.transitions.length, rest.transitions.length, rest.next], [2, 1, undefined]);
  const bob = await tokenOf('bob', { command: ['plant2.>'] });
  assert.equal((await get(`/v1/alarms/history?pattern=${device}`, bob)).transitions.length, 3, 'they may see plant1');
});

test('the numbers of ISA-18.2 are those of the time range, the pattern and the rights', async () => {
  const area = 'plant1.kpi';
  const to = Math.floor(Date.now() / 600_000) * 600_000;
  const from = to - 86_400_000;
  const at = (minutes: number) => from + minutes * 60_000;
  const spread = Array.from({ length: 12 }, (_, n) => ({
    ...{ device: `${area}.m${n % 3}`, rule: 'hot', time: at(100) + n * 45_000 },
  }));
  const chatter = [0, 20_000, 40_000].map((ms) => ({ device: `${area}.m9`, rule: 'wet', time: at(500) + ms }));
  await transit(...spread, ...chatter, { device: `${area}.old`, rule: 'cold', time: from - 1 });
  await transit({ device: 'plant2.kpi.m1', rule: 'hot', time: at(100) });
  const kpi = await get(`/v1/alarms/kpi?pattern=${area}.>&from=${from}&to=${to}`);
  assert.deepEqual([kpi.from, kpi.to, kpi.raised, kpi.perDay], [from, to, 15, 15]);
  assert.equal(kpi.perTenMinutes, 15 / 144);
  assert.deepEqual(kpi.peak, { start: at(100), raised: 12 });
  assert.deepEqual([kpi.floods, kpi.floodShare], [1, 1 / 144]);
  assert.deepEqual(kpi.rules, [
    { name: 'hot', raised: 12, share: 0.8 },
    { name: 'wet', raised: 3, share: 0.2 },
  ]);
  assert.deepEqual(
    kpi.devices.map(({ name, raised }: { name: string; raised: number }) => `${name} ${raised}`),
    [`${area}.m0 4`, `${area}.m1 4`, `${area}.m2 4`, `${area}.m9 3`],
  );
  assert.deepEqual([kpi.standing.count, devicesOf(kpi.standing.alarms)], [1, [`${area}.old`]]);
  assert.deepEqual(kpi.chattering, [{ device: `${area}.m9`, rule: 'wet', raised: 3 }]);
  assert.equal((await get(`/v1/alarms/kpi?pattern=plant2.>&from=${from}&to=${to}`)).raised, 0);
  assert.equal((await get(`/v1/alarms/kpi?pattern=${area}.>&from=${from}&to=${to}&rule=wet`)).raised, 3);
  const long = await control.request(anna, 'GET', `/v1/alarms/kpi?from=${to - 32 * 86_400_000}&to=${to}`);
  assert.equal(long.status, 400);
  assert.match(long.body.error.message, /expected a time within 31 days before to/);
});

test('alarms that return within 5 seconds are fleeting', async () => {
  const to = Math.floor(Date.now() / 600_000) * 600_000;
  const from = to - 3_600_000;
  const brief = (device: string, n: number, ms: number) => {
    const activated = from + n * 60_000;
    const fields = { device: `plant1.brief.${device}`, rule: 'hot', activated };
    const state = AlarmState.ALARM_STATE_RETURNED_UNACKNOWLEDGED;
    const returned = { ...fields, time: activated + ms, state, cause: AlarmCause.ALARM_CAUSE_RETURNED };
    return [{ ...fields, time: activated }, returned];
  };
  await transit(...brief('m1', 1, 4_999), ...brief('m2', 1, 0), ...brief('m2', 2, 100), ...brief('m3', 1, 5_000));
  const kpi = await get(`/v1/alarms/kpi?pattern=plant1.brief.>&from=${from}&to=${to}`);
  assert.deepEqual(kpi.fleeting, [
    { device: 'plant1.brief.m2', rule: 'hot', returned: 2 },
    { device: 'plant1.brief.m1', rule: 'hot', returned: 1 },
  ]);
  assert.equal(kpi.raised, 4);
});

test('an action of a person has its outcome', async () => {
  const device = 'plant1.act.m1';
  const post = async () => {
    const body = { device, rule: 'hot', kind: 'acknowledge' };
    return (await control.request(anna, 'POST', '/v1/alarm-actions', body)).body.action as string;
  };
  const [done, refused] = [await post(), await post()];
  assert.equal((await control.request(anna, 'GET', `/v1/alarm-actions/${done}`)).status, 404);
  await transit(
    { device, rule: 'hot' },
    { device, rule: 'hot', action: done, cause: AlarmCause.ALARM_CAUSE_ACKNOWLEDGED },
  );
  const alarmActionRefused = { action: refused, device, rule: 'hot', code: 'conflict', message: 'it has changed' };
  await fixture.eventLog.append('tailrace.events', [
    { key: device, value: Event.encode({ alarmActionRefused }).finish() },
  ]);
  const outcome = await get(`/v1/alarm-actions/${done}`);
  assert.deepEqual(
    [outcome.state, outcome.transition.action, outcome.transition.cause],
    ['done', done, 'acknowledged'],
  );
  const answer = await eventually(() => get(`/v1/alarm-actions/${refused}`));
  assert.deepEqual(answer, { state: 'refused', code: 'conflict', message: 'it has changed' });
  const auditor = await tokenOf('audit', { roles: ['auditor'] });
  const { entries } = await get(`/v1/audit?result=refused&subject=anna&target=${device}`, auditor);
  assert.equal(entries.length, 1);
  const [{ action, details }] = entries;
  assert.deepEqual(
    [action, details.kind, details.rule, details.id, details.code, details.message],
    ['alarm.refused', 'acknowledge', 'hot', refused, 'conflict', 'it has changed'],
  );
});
