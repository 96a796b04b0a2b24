import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { ruleFromBytes, ruleSchema } from '@tailrace/rules/rule';
import { eventually } from '@tailrace/testkit/eventually';
import { appendAllRecords } from '../src/outbox/compacted-records.ts';
import { type ControlFixture, createControlFixture, type RunningControl, tokenOf } from './control-fixture.ts';
import { FanoutNode } from './fanout-node.ts';

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
  const press = { device: 'plant1.line2.press5', kind: 'press', labels: { line: '2', hall: 'B' } };
  const created = await control.request(engineer, 'POST', '/v1/registry/devices', press);
  assert.equal(created.status, 201, JSON.stringify(created.body));
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
  const unversioned = await control.request(engineer, 'PUT', '/v1/rules/hot', body);
  assert.deepEqual(
    [unversioned.status, unversioned.body.error.message],
    [409, 'rule hot: version: expected 1 in the query, got none'],
  );
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

test('a rule that matches no device is refused with its place, unless it is forced', async () => {
  const put = (id: string, change: object, query = '') =>
    control.request(engineer, 'PUT', `/v1/rules/${id}${query}`, { ...body, ...change });
  const unmatched = await put('typo', { devices: ['plant1.line2.>', 'plant1.lime3.>'] });
  assert.deepEqual([unmatched.status, unmatched.body.error.code], [400, 'invalid_rule']);
  assert.match(
    unmatched.body.error.message,
    /devices\.1: expected a pattern of a device in the registry, got "plant1\.lime3\.>"\nforce=true stores a rule ahead/,
  );
  assert.doesNotMatch(unmatched.body.error.message, /devices\.0/);
  const where = { kind: 'press', labels: { line: '3' } };
  const labeled = await put('typo', { where });
  assert.match(labeled.body.error.message, /where: expected the kind and labels of a device.*"line":"3"/);
  assert.equal((await put('typo', { where: { ...where, labels: { line: '2' } } })).status, 200);
  assert.equal((await put('ahead', { devices: ['plant1.line9.>'], where }, '?force=true')).status, 200);
  const device = '/v1/rules?device=plant1.line2.press5';
  const ids = (await control.request(anna, 'GET', device)).body.rules.map(({ id }: { id: string }) => id);
  assert.ok(ids.includes('typo') && !ids.includes('ahead'), ids.join());
});

test('a device that has just reported is in the registry when a rule refers to it', async (t) => {
  const node = new FanoutNode('f1', await fixture.bus('f1'), 3);
  t.after(() => node.stop());
  node.set('plant1.line5.press1', { temperature: 20 });
  await node.start();
  const path = '/v1/rules/just?version=';
  const put = (version: number) =>
    control.request(engineer, 'PUT', `${path}${version}`, { ...body, devices: ['plant1.line5.>'] });
  // Control has to receive an announcement of the node first.
  await eventually(async () => assert.equal((await put(0)).status, 200));
});

test('a rule with a tag that its devices do not report, or with values of other types, is refused unless it is forced', async (t) => {
  const node = new FanoutNode('f2', await fixture.bus('f2'), 3);
  t.after(() => node.stop());
  node.set('plant1.line6.press1', { stroke_rate: 20, running: true, state: 'idle' });
  await node.start();
  const path = '/v1/registry/devices/plant1.line6.press1';
  const put = async (condition: object, query = '', more: object = {}, id = 'tags') => {
    const rule = { devices: ['plant1.line6.>'], condition, ...more };
    const { status, body: answer } = await control.request(engineer, 'PUT', `/v1/rules/${id}${query}`, rule);
    return status === 200 ? 'stored' : `${status} ${answer.error.code} ${answer.error.message}`;
  };
  const holds = (expression: string) => ({ kind: 'expression', expression });
  const refusal = new RegExp(
    String.raw`^400 invalid_rule rule:\ncondition\.expression: expression, line 1, column 1: ` +
      String.raw`expected a tag of the device, got "stroke_rte"; did you mean stroke_rate\?\n.*force=true stores`,
    's',
  );
  // Control has to receive an announcement of the node first; without values a tag is not checked.
  await eventually(async () => assert.match(await put(holds('stroke_rte > 3'), '', {}, 'before'), refusal));
  assert.match(await put(holds('stroke_rte > 3')), refusal);
  assert.match(
    await put(holds('stroke_rate > running')),
    /column 15: expected a number on the right of >, got a boolean/,
  );
  const limits = { kind: 'limits', tag: 'strokerate', limits: { H: { value: 80 } } };
  assert.match(
    await put(limits),
    /condition\.tag: expected a tag that a matched device reports, got "strokerate"; did you mean stroke_rate\?/,
  );
  const inhibition = { states: [{ tag: 'stat', in: ['idle'] }] };
  assert.match(await put(holds('running'), '', { inhibition }), /inhibition\.states\.0\.tag: expected a tag/);
  assert.equal(await put(holds('stroke_rte > 3'), '?force=true'), 'stored');
  assert.equal(await put(holds('running && stroke_rate > 3'), '?version=1'), 'stored');
  // People have written that the device will report it.
  await control.request(engineer, 'PATCH', path, { tags: { oil_level: { type: 'number' } } });
  assert.equal(await put(holds('oil_level < 3'), '?version=2'), 'stored');
});

test('kind and labels of devices are in their topic, and go with the path, in the order of their changes', async () => {
  const path = '/v1/registry/devices/plant1.line2.press5';
  const send = async (method: string, rest: string, change: object) => {
    const { status, body: answer } = await control.request(engineer, method, path + rest, change);
    assert.equal(status, 200, JSON.stringify(answer));
  };
  await send('PATCH', '', { name: 'Press 7' });
  await send('PATCH', '', { labels: { hall: null } });
  await send('POST', '/decommission', {});
  await send('POST', '/recommission', {});
  await send('POST', '/rename', { to: 'plant1.line2.press6' });
  const found = await eventually(async () => {
    const records = await fixture.values('tailrace.devices');
    assert.equal(records.length, 6);
    return records;
  });
  const [all, less] = [{ hall: 'B', line: '2' }, { line: '2' }].map((labels) => ({ kind: 'press', labels }));
  assert.deepEqual(
    found.map(({ key, value }) => [key.split('.').at(-1), value.length === 0 ? 'none' : JSON.parse(textOf(value))]),
    [
      ['press5', all],
      ['press5', less],
      ['press5', 'none'],
      ['press5', less],
      ['press5', 'none'],
      ['press6', less],
    ],
  );
});

test('the OpenAPI document has the fields of a rule', async () => {
  const document = (await control.request('', 'GET', '/v1/openapi.json')).body;
  const { schema } = document.paths['/v1/rules/{id}'].put.requestBody.content['application/json'];
  const { id, version, author, ...fields } = ruleSchema.shape;
  assert.deepEqual(Object.keys(schema.properties), Object.keys(fields));
  assert.deepEqual(schema.required, ['devices', 'condition']);
  assert.match(JSON.stringify(schema.properties.condition), /"enum":\["limits"\].*"hysteresis"/);
});

test('an import with labels does not delay other records; of a lost topic all is written but what waits', async () => {
  const lines = Array.from({ length: 3_000 }, (_, index) => `plant1.import.m${index},meter,${index % 10}`);
  const csv = ['path,kind,label.line', ...lines].join('\n');
  const headers = { authorization: `Bearer ${engineer}`, 'content-type': 'text/csv' };
  const answer = await fetch(`${control.url}/v1/registry/import`, { method: 'POST', headers, body: csv });
  assert.equal(answer.status, 200);
  const rule = { ...body, devices: ['plant1.import.>'], where: { labels: { line: '7' } } };
  assert.equal((await control.request(engineer, 'PUT', '/v1/rules/imported', rule)).status, 200);
  const all = await eventually(
    async () => {
      const paths = new Set((await fixture.values('tailrace.devices')).map(({ key }) => key));
      paths.delete('plant1.line2.press5');
      assert.equal(paths.size, 3_001);
      return paths;
    },
    { deadlineMs: 20_000 },
  );
  await eventually(async () => {
    const { rows } = await fixture.database.query(`SELECT 1 FROM outbox WHERE topic = 'devices'`);
    assert.deepEqual(rows, []);
  });
  // A record that waits holds back that of its own device alone.
  const written = await fixture.database.transaction(async (transaction) => {
    await transaction.query(
      `INSERT INTO outbox (topic, key, value, at_ms) VALUES ('devices', 'plant1.import.m0', '', 0), ('devices', 'x', '', 0)`,
    );
    return await appendAllRecords(transaction, 'devices', Date.now());
  });
  assert.equal(written, all.size - 1);
});

const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

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

test('of a topic of rules that was lost, the present rules are written again, once', async () => {
  const { body: known } = await control.request(anna, 'GET', '/v1/rules');
  const expected = known.rules.map(({ id, version }: { id: string; version: number }) => `${id} ${version}`).sort();
  assert.ok(expected.length > 1);
  const written = async () => {
    const values = await fixture.values('again.rules');
    return values.map(({ key, value }) => `${key} ${ruleFromBytes(value).version}`);
  };
  await control.stop();
  // Of two processes that start at once, or after a stop, the second one leaves alone what waits.
  const [waiting] = expected;
  await fixture.database.query(
    `INSERT INTO outbox (topic, key, value, at_ms)
     SELECT 'rules', id, convert_to(body, 'UTF8'), 0 FROM rules WHERE id = $1`,
    [waiting.split(' ')[0]],
  );
  // To a process with another prefix, its topics are new.
  const settings = { topicPrefix: 'again' };
  const next = await fixture.start('c2', { settings });
  await eventually(async () => assert.deepEqual((await written()).sort(), expected));
  await next.stop();
  const last = await fixture.start('c3', { settings });
  assert.equal((await last.request(engineer, 'PUT', '/v1/rules/last', body)).status, 200);
  await eventually(async () => assert.ok((await written()).includes('last 1')));
  assert.equal((await written()).length, expected.length + 1);
});
