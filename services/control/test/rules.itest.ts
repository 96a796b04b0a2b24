import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { ruleFromBytes } from '@tailrace/rules/rule';
import { eventually } from '@tailrace/testkit/eventually';
import { type ControlFixture, createControlFixture, type RunningControl, tokenOf } from './control-fixture.ts';

const { AlarmActionKind, ControlReply, ControlRequest } = tailrace.v1;

let fixture: ControlFixture;
let control: RunningControl;
let anna: string;
let engineer: string;

before(async () => {
  fixture = await createControlFixture();
  control = await fixture.start('c1');
  anna = await tokenOf('anna');
  engineer = await tokenOf('erik', { roles: ['engineer'] });
});

after(() => fixture.stop());

const body = {
  name: 'too hot',
  devices: ['plant1.line2.>'],
  condition: { kind: 'limits', tag: 'temperature', limits: { H: { value: 80 } } },
};

test('a rule has versions, and each one reaches its topic', async () => {
  const invalid = await control.request(engineer, 'PUT', '/v1/rules/hot', { ...body, devices: [] });
  assert.deepEqual([invalid.status, invalid.body.error.code], [400, 'invalid_rule']);
  const expression = { kind: 'expression', expression: 'temperature >' };
  const unparsed = await control.request(engineer, 'PUT', '/v1/rules/hot', { ...body, condition: expression });
  assert.equal(unparsed.status, 400);
  assert.match(unparsed.body.error.message, /condition/);
  assert.equal((await control.request(anna, 'PUT', '/v1/rules/hot', body)).status, 403);
  const first = await control.request(engineer, 'PUT', '/v1/rules/hot', body);
  assert.equal(first.status, 200, JSON.stringify(first.body));
  assert.deepEqual([first.body.version, first.body.author], [1, 'erik']);
  assert.equal((await control.request(engineer, 'PUT', '/v1/rules/hot', body)).status, 409);
  const second = await control.request(engineer, 'PUT', '/v1/rules/hot?version=1', { ...body, priority: 1 });
  assert.deepEqual([second.body.version, second.body.priority], [2, 1]);
  const other = await tokenOf('eve', { roles: ['engineer'] });
  const foreign = await control.request(other, 'PUT', '/v1/rules/cold', { ...body, devices: ['plant2.>'] });
  assert.equal(foreign.status, 403);
  assert.equal((await control.request(engineer, 'DELETE', '/v1/rules/hot?version=1')).status, 409);
  assert.equal((await control.request(engineer, 'DELETE', '/v1/rules/hot?version=2')).status, 204);
  assert.equal((await control.request(anna, 'GET', '/v1/rules/hot')).status, 404);
  const again = await control.request(engineer, 'PUT', '/v1/rules/hot', body);
  assert.equal(again.body.version, 4);
  const values = await eventually(async () => {
    const records = await fixture.values('tailrace.rules');
    assert.equal(records.length, 4);
    return records;
  });
  assert.deepEqual(
    values.map(({ key, value }) => [key, value.length === 0 ? 'tombstone' : ruleFromBytes(value).version]),
    [
      ['hot', 1],
      ['hot', 2],
      ['hot', 'tombstone'],
      ['hot', 4],
    ],
  );
  const versions = await control.request(anna, 'GET', '/v1/rules/hot/versions');
  assert.deepEqual(
    versions.body.versions.map(({ version, rule }: { version: number; rule?: object }) => [
      version,
      rule !== undefined,
    ]),
    [
      [4, true],
      [3, false],
      [2, true],
      [1, true],
    ],
  );
  const matching = await control.request(anna, 'GET', '/v1/rules?device=plant1.line2.press7');
  assert.deepEqual(
    matching.body.rules.map(({ id }: { id: string }) => id),
    ['hot'],
  );
  assert.deepEqual((await control.request(anna, 'GET', '/v1/rules?device=plant1.line3.press7')).body.rules, []);
});

test('what a person does about an alarm is in the audit, and reaches alarms, by HTTP and over the bus', async () => {
  const device = 'plant1.line2.press7';
  const action = { device, rule: 'hot', alarm: 'a1', number: 3 };
  const shelf = await control.request(anna, 'POST', '/v1/alarm-actions', { ...action, kind: 'shelve' });
  assert.equal(shelf.status, 400);
  assert.match(shelf.body.error.message, /note: expected the reason of a shelf/);
  const removed = await control.request(anna, 'POST', '/v1/alarm-actions', { ...action, kind: 'remove_from_service' });
  assert.equal(removed.status, 403);
  const acknowledged = await control.request(anna, 'POST', '/v1/alarm-actions', { ...action, kind: 'acknowledge' });
  assert.equal(acknowledged.status, 202);
  const bus = await fixture.bus('fanout-0');
  const requester = { subject: 'dora', command: ['plant1.>'] };
  const alarm = { ...action, kind: 'shelve', note: 'sensor is replaced', forMs: 60_000 };
  const [reply] = await bus.request('tailrace.v1.control', ControlRequest.encode({ requester, alarm }).finish(), {
    deadlineMs: 5_000,
  });
  const { alarmAction } = ControlReply.decode(reply!);
  const actions = await eventually(async () => {
    const events = await fixture.events();
    const found = events.filter(({ key }) => key === device).map(({ event }) => event.alarmAction!);
    assert.equal(found.length, 2);
    return found;
  });
  assert.deepEqual(
    actions.map(({ id, kind, by, number }) => [id, kind, by, number]),
    [
      [acknowledged.body.action, AlarmActionKind.ALARM_ACTION_KIND_ACKNOWLEDGE, 'anna', 3],
      [alarmAction, AlarmActionKind.ALARM_ACTION_KIND_SHELVE, 'dora', 3],
    ],
  );
  assert.ok(actions[1]!.until! > Date.now());
  const auditor = await tokenOf('audit', { roles: ['auditor'] });
  const audit = await control.request(auditor, 'GET', `/v1/audit?target=${device}`);
  assert.deepEqual(
    audit.body.entries.map((entry: { action: string; result: string }) => `${entry.action} ${entry.result}`),
    ['alarm.shelve done', 'alarm.acknowledge done', 'alarm.refused refused'],
  );
});
