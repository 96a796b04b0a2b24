import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { eventually } from '@tailrace/testkit/eventually';
import { type ControlFixture, createControlFixture, type RunningControl, tokenOf } from './control-fixture.ts';
import { IngestNode } from './ingest-node.ts';

/*
 * What holds for all routes of the OpenAPI document. A new route needs a valid request here.
 */
const { AlarmCause, AlarmState, Event } = tailrace.v1;

let fixture: ControlFixture;
let control: RunningControl;
let engineer: string;
let supervisor: string;

before(async () => {
  fixture = await createControlFixture();
  const markedCommands = JSON.stringify([{ pattern: 'plant1.>', names: ['stop'] }]);
  control = await fixture.start('c1', { settings: { markedCommands } });
  const ingest = new IngestNode('ingest-0', await fixture.bus('ingest-0'));
  await ingest.start();
  ingest.connect(press);
  engineer = await tokenOf('erik', { roles: ['engineer', 'auditor', 'supervisor'] });
  supervisor = await tokenOf('sara', { roles: ['supervisor'] });
});

after(() => fixture?.stop());

const press = 'plant1.line1.press1';
const other = 'plant1.line1.press2';

interface Operation {
  readonly method: string;
  /** As in the document. */
  readonly path: string;
  readonly responses: Readonly<Record<string, unknown>>;
  readonly hasBody: boolean;
}

async function operations(): Promise<readonly Operation[]> {
  const { body } = await control.request('', 'GET', '/v1/openapi.json');
  const paths = body.paths as Record<string, Record<string, { responses: object; requestBody?: object }>>;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { responses, requestBody }]) => ({
      ...{ method: method.toUpperCase(), path, responses: responses as Operation['responses'] },
      hasBody: requestBody !== undefined,
    })),
  );
}

/** Sends a valid request, and resolves with its answer, which must be a documented one without an error. */
type Send = (
  operation: string,
  values?: Readonly<Record<string, string>>,
  body?: unknown,
  query?: string,
  token?: string,
  // biome-ignore lint/suspicious/noExplicitAny: of any operation
) => Promise<any>;

const sceneBody = {
  name: 'Stop',
  steps: [{ do: 'command', device: press, command: 'set', params: { speed: 0 }, compensation: { command: 'start' } }],
};

async function registryRequests(send: Send): Promise<void> {
  const device = { device: press };
  await send('POST /v1/registry/devices', {}, { device: press, labels: { line: '1' }, tags: { speed: { max: 9 } } });
  await send('POST /v1/registry/devices', {}, { device: other });
  await send('GET /v1/registry/devices');
  await send('GET /v1/registry/devices/{device}', device);
  await send('PATCH /v1/registry/devices/{device}', device, { kind: 'press' });
  await send('POST /v1/registry/devices/{device}/rename', { device: other }, { to: 'plant1.line1.press3' });
  await send('POST /v1/registry/devices/{device}/decommission', { device: 'plant1.line1.press3' });
  await send('POST /v1/registry/devices/{device}/recommission', { device: 'plant1.line1.press3' });
  await send('POST /v1/registry/import', {}, 'path,name\nplant1.line1.press4,Press 4\n', '?dryRun=true');
  const id = { id: 'presses' };
  await send('PUT /v1/registry/groups/{id}', id, { name: 'Presses', patterns: ['plant1.>'], kind: 'press' });
  await send('GET /v1/registry/groups');
  await send('GET /v1/registry/groups/{id}', id);
  await send('DELETE /v1/registry/groups/{id}', id);
  const issued = await send('POST /v1/registry/devices/{device}/credentials', device, { label: 'first' });
  await send('GET /v1/registry/devices/{device}/credentials', device);
  const token = { ...device, id: issued.id as string };
  await send('POST /v1/registry/devices/{device}/credentials/{id}/rotate', token, { overlapMs: 60_000 });
  await send('DELETE /v1/registry/devices/{device}/credentials/{id}', token);
}

async function commandRequests(send: Send): Promise<void> {
  const command = (fields: object = {}) => ({
    id: randomUUID(),
    device: press,
    name: 'set',
    params: { a: 1 },
    ...fields,
  });
  const lease = await send('POST /v1/leases', {}, { scope: press });
  await send('GET /v1/leases');
  await send('POST /v1/leases', {}, { scope: press, action: 'release', token: lease.token });
  const accepted = await send('POST /v1/commands', {}, command());
  await send('GET /v1/commands');
  await send('GET /v1/commands/{id}', { id: accepted.id });
  const [first, second] = [
    await send('POST /v1/commands', {}, command({ name: 'stop' })),
    await send('POST /v1/commands', {}, command({ name: 'stop' })),
  ];
  await send('POST /v1/commands/{id}/cancel', { id: first.id });
  await send('POST /v1/commands/{id}/confirm', { id: second.id }, undefined, '', supervisor);
  const fleet = { id: 'fleet', devices: [press, 'plant1.line1.press3'], name: 'stop' };
  await send('POST /v1/fleet-commands', {}, { ...fleet, dryRun: true });
  const { id } = await send('POST /v1/fleet-commands', {}, fleet);
  await send('GET /v1/fleet-commands');
  await send('GET /v1/fleet-commands/{id}', { id });
  await send('GET /v1/fleet-commands/{id}/devices', { id });
  await send('POST /v1/fleet-commands/{id}/confirm', { id }, undefined, '', supervisor);
  await send('POST /v1/fleet-commands/{id}/pause', { id });
  await send('POST /v1/fleet-commands/{id}/resume', { id });
  await send('POST /v1/fleet-commands/{id}/cancel', { id });
  // The stream is closed when the fleet command is final.
  await send('GET /v1/fleet-commands/{id}/progress', { id });
}

async function sceneRequests(send: Send): Promise<void> {
  const id = { id: 'stop' };
  await send('PUT /v1/scenes/{id}', id, sceneBody);
  await send('GET /v1/scenes');
  await send('GET /v1/scenes/{id}', id);
  await send('POST /v1/scenes/{id}/plan', id);
  const run = { id: (await send('POST /v1/scenes/{id}/run', id)).id as string };
  await send('GET /v1/scene-runs');
  await eventually(async () => assert.ok((await send('GET /v1/scene-runs/{id}', run)).final));
  const { run: undo } = await send('POST /v1/scene-runs/{id}/undo', run);
  await eventually(async () => assert.ok((await send('GET /v1/scene-runs/{id}', { id: undo.id })).final));
  await send('PUT /v1/scenes/{id}', id, { ...sceneBody, confirmation: 'second_person' });
  const [first, second] = [
    await send('POST /v1/scenes/{id}/run', id, {}),
    await send('POST /v1/scenes/{id}/run', id, {}),
  ];
  await send('POST /v1/scene-runs/{id}/confirm', { id: first.id }, undefined, '', supervisor);
  await send('POST /v1/scene-runs/{id}/cancel', { id: second.id });
  const cron = { cron: '30 6 * * *', timeZone: 'Europe/Berlin' };
  await send('POST /v1/schedules/next', {}, cron);
  await send('PUT /v1/schedules/{id}', id, { name: 'Stop', scene: 'stop', ...cron });
  await send('GET /v1/schedules');
  await send('GET /v1/schedules/{id}', id);
  await send('POST /v1/schedules/{id}/pause', id);
  await send('POST /v1/schedules/{id}/resume', id);
  await send('DELETE /v1/schedules/{id}', id);
  await send('PUT /v1/triggers/{id}', id, { name: 'Stop', scene: 'stop', devices: ['plant1.>'] });
  await send('GET /v1/triggers');
  await send('GET /v1/triggers/{id}', id);
  await send('DELETE /v1/triggers/{id}', id);
  await send('DELETE /v1/scenes/{id}', id);
}

async function alarmRequests(send: Send): Promise<void> {
  const id = { id: 'hot' };
  const rule = { devices: [press], condition: { kind: 'limits', tag: 'temp', limits: { H: { value: 80 } } } };
  await send('PUT /v1/rules/{id}', id, rule, '?version=0');
  await send('GET /v1/rules');
  await send('GET /v1/rules/{id}', id);
  await send('GET /v1/rules/{id}/versions', id);
  const action = { kind: 'acknowledge', device: press, rule: 'hot' };
  const { action: accepted } = await send('POST /v1/alarm-actions', {}, action);
  await appendTransition(accepted);
  await send('GET /v1/alarms');
  await send('GET /v1/alarms/history');
  await send('GET /v1/alarms/kpi');
  await eventually(async () => {
    assert.equal((await send('GET /v1/alarm-actions/{id}', { id: accepted })).state, 'done');
  });
  await send('DELETE /v1/rules/{id}', id, undefined, '?version=1');
  await send('GET /v1/audit');
  await send('GET /v1/audit/export');
  await send('GET /v1/audit/verify');
}

/** As alarms answers an action. */
async function appendTransition(action: string): Promise<void> {
  const alarmTransition = {
    ...{ id: 't1', alarm: 'a1', rule: 'hot', device: press, number: 1, time: Date.now(), action },
    ...{ state: AlarmState.ALARM_STATE_ACKNOWLEDGED, cause: AlarmCause.ALARM_CAUSE_ACKNOWLEDGED },
  };
  const value = Event.encode({ alarmTransition }).finish();
  await fixture.eventLog.append('tailrace.events', [{ key: press, value }]);
}

async function notificationRequests(send: Send): Promise<void> {
  const { secret } = await send('POST /v1/notification-targets/secret');
  const id = { id: 'hook' };
  const target = { kind: 'webhook', url: 'http://10.0.0.7/hook', secrets: [secret] };
  await send('PUT /v1/notification-targets/{id}', id, { target });
  await send('GET /v1/notification-targets');
  await send('GET /v1/notification-targets/{id}', id);
  await send('POST /v1/notification-targets/{id}/retry', id);
  await send('PUT /v1/notification-routes/{id}', id, { patterns: ['plant1.>'], targets: ['hook'] });
  await send('GET /v1/notification-routes');
  await send('GET /v1/notification-routes/{id}', id);
  await send('GET /v1/notification-dead-letters');
  await send('DELETE /v1/notification-routes/{id}', id);
  await send('DELETE /v1/notification-targets/{id}', id);
}

test('each route answers a valid request as the document has it, and refuses it with a query parameter without effect', async () => {
  const all = new Map((await operations()).map((each) => [`${each.method} ${each.path}`, each]));
  const sent = new Set<string>();
  const send: Send = async (operation, values = {}, body = undefined, query = '', token = engineer) => {
    const { method, path, responses } = all.get(operation) ?? assert.fail(`${operation} is not in the document`);
    const place = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name]!)) + query;
    if (!sent.has(operation))
      for (const [added, pattern] of unknownQueries(operation)) {
        const { status, body: answer } = await sendTo(token, method, `${place}${query ? '&' : '?'}${added}`, body);
        assert.equal(status, 400, `${operation}?${added}: ${status} ${JSON.stringify(answer)}`);
        assert.match(answer.error.message, pattern, operation);
      }
    const { status, body: answer } = await sendTo(token, method, place, body);
    assert.ok(status < 300, `${operation} ${place}: ${status} ${JSON.stringify(answer)}`);
    assert.ok(`${status}` in responses, `${operation}: ${status} is in the document`);
    sent.add(operation);
    return answer;
  };
  await registryRequests(send);
  await commandRequests(send);
  await sceneRequests(send);
  await alarmRequests(send);
  await notificationRequests(send);
  // Needs a log of telemetry: test/dry-run.itest.ts.
  sent.add('POST /v1/rules/dry-run');
  assert.deepEqual([...all.keys()].sort(), [...sent].sort());
});

/** Query parameters that a route does not have, each with the message. */
function unknownQueries(operation: string): readonly (readonly [string, RegExp])[] {
  const shade = ['shade=red', /query: expected .*, got "shade"/] as const;
  const version = ['version=1', /query: expected no version here, but in the body, got "version"/] as const;
  return operation.startsWith('PUT') && !operation.includes('/rules/') ? [shade, version] : [shade];
}

async function sendTo(token: string, method: string, path: string, body: unknown) {
  if (typeof body !== 'string') return await control.request(token, method, path, body);
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'text/csv' };
  const answer = await fetch(control.url + path, { method, headers, body });
  return { status: answer.status, body: JSON.parse(await answer.text()) };
}

test('what a person has requested under an ID of their own is found under it, by them alone', async () => {
  const own = await tokenOf('olga', { roles: ['engineer'] });
  const ok = async (token: string, method: string, path: string, body?: unknown) => {
    const answer = await control.request(token, method, path, body);
    assert.ok(answer.status < 300, JSON.stringify(answer.body));
    return answer.body;
  };
  const command = await ok(own, 'POST', '/v1/commands', { id: 'o-15', device: 'plant1.away', name: 'set' });
  const fleet = await ok(own, 'POST', '/v1/fleet-commands', { id: 'f2', devices: ['plant1.away'], name: 'stop' });
  await ok(own, 'PUT', '/v1/scenes/own', { ...sceneBody, confirmation: 'second_person' });
  const run = await ok(own, 'POST', '/v1/scenes/own/run', { id: 's/1' });
  assert.deepEqual([command.key, fleet.key, run.key], ['o-15', 'f2', 's/1']);
  assert.equal((await ok(own, 'GET', '/v1/commands/o-15')).id, command.id);
  assert.equal((await ok(own, 'POST', '/v1/commands/o-15/cancel')).state, 'canceled');
  assert.equal((await ok(own, 'GET', '/v1/fleet-commands/f2/devices')).devices.length, 1);
  assert.equal((await ok(own, 'POST', '/v1/fleet-commands/f2/cancel')).id, fleet.id);
  assert.equal((await ok(own, 'GET', '/v1/scene-runs/s%2F1')).id, run.id);
  assert.equal((await ok(own, 'POST', '/v1/scene-runs/s%2F1/cancel')).state, 'canceled');
  for (const path of ['/v1/commands/o-15', '/v1/fleet-commands/f2', '/v1/scene-runs/s%2F1'])
    assert.equal((await control.request(engineer, 'GET', path)).status, 404, path);
});

test('a command for a device that is not in the registry is accepted, and its answer has that', async () => {
  const registered = async (device: string, more: object = {}) => {
    const body = { id: randomUUID(), device, name: 'set', ...more };
    const answer = await control.request(engineer, 'POST', '/v1/commands', body);
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    return answer.body.registered;
  };
  assert.equal(await registered(press), true);
  assert.equal(await registered(press, { dryRun: true }), true);
  assert.equal(await registered('plant1.line1.presss1'), false);
  assert.equal(await registered('plant1.line1.presss1', { dryRun: true }), false);
  const repeated = { id: 'typo-1', deadline: Date.now() + 60_000 };
  for (const more of [repeated, repeated, { ...repeated, dryRun: true }])
    assert.equal(await registered('plant1.line1.presss2', more), false);
});

test('each route with a body refuses a field that it does not have', async () => {
  for (const { method, path, hasBody } of await operations()) {
    if (!hasBody || path === '/v1/rules/{id}') continue;
    const ids: Readonly<Record<string, string>> = {
      device: press,
      id: path.includes('/rotate') ? 'a'.repeat(16) : 'x',
    };
    const place = path.replace(/\{(\w+)\}/g, (_, name: string) => ids[name]!);
    const { status, body } = await control.request(engineer, method, place, { nosuch: 1 });
    assert.equal(status, 400, `${method} ${path}: ${JSON.stringify(body)}`);
    assert.match(body.error.message, /body: expected .*, got "nosuch"/, `${method} ${path}`);
  }
});

test('a body of another type, no JSON, and a path that does not exist are refused with what was expected', async () => {
  const headers = { authorization: `Bearer ${engineer}` };
  const send = async (path: string, type: string, body: string) => {
    const init = { method: 'POST', headers: { ...headers, 'content-type': type }, body };
    const answer = await fetch(control.url + path, init);
    return [answer.status, ((await answer.json()) as { error: { message: string } }).error.message];
  };
  const form = 'application/x-www-form-urlencoded';
  assert.deepEqual(await send('/v1/registry/import', form, 'path\na'), [
    ...[415, `expected Content-Type: text/csv, got ${form}`],
  ]);
  assert.deepEqual(await send('/v1/commands', form, '{}'), [
    ...[415, `expected Content-Type: application/json, got ${form}`],
  ]);
  assert.deepEqual(await send('/v1/commands', 'application/json', '{bad'), [400, 'body: expected JSON, got "{bad"']);
  const { body } = await control.request(engineer, 'GET', '/v1/nosuch');
  assert.equal(
    body.error.message,
    'expected a method and path that exist, as GET /v1/openapi.json has them, got "GET /v1/nosuch"',
  );
  const { body: audit } = await control.request(engineer, 'GET', '/v1/audit?from=2026-11-30T17:00:00Z');
  assert.equal(audit.error.message, 'from: expected milliseconds since 1970, got "2026-11-30T17:00:00Z"');
});
