import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { recordFrom } from '@tailrace/eventlog/control-record';
import { issueToken } from '@tailrace/platform/token';
import { eventually } from '@tailrace/testkit/eventually';
import { refusalLimits } from '../src/audit/refusal-limit.ts';
import {
  type ControlFixture,
  createControlFixture,
  ok,
  type RunningControl,
  refused,
  tokenOf,
  tokenSecret,
} from './control-fixture.ts';

/* What belongs to other people and tenants: who can see it, change it, or gain their rights by it. */

let fixture: ControlFixture;
let control: RunningControl;

before(async () => {
  fixture = await createControlFixture();
  // No server answers there.
  control = await fixture.start('c1', {
    settings: { mailUrl: 'smtp://127.0.0.1:9', mailFrom: 'tailrace@plant.example' },
  });
});
after(() => fixture.stop());

const roles = ['engineer', 'supervisor'];

/** Returns the requests of an engineer who may see and command these devices. */
async function engineerOf(subject: string, pattern: string, tenant?: string) {
  const token = await engineerToken(subject, pattern, pattern, tenant);
  return (method: string, path: string, body?: unknown) => control.request(token, method, path, body);
}

async function engineerToken(subject: string, seen: string, commanded: string, tenant?: string): Promise<string> {
  const rights = { command: [commanded], subscribe: [seen], publish: [], roles, expiresInMs: 600_000 };
  return await issueToken({ secret: tokenSecret, subject, ...rights, ...(tenant && { tenant }) });
}

const hot = (pattern: string) => ({
  devices: [pattern],
  condition: { kind: 'limits', tag: 'temp', limits: { H: { value: 80 } } },
});

test('a group is stored, changed, listed and deleted', async () => {
  const erik = await engineerOf('erik', 'plant1.>');
  const fields = { name: 'Presses', patterns: ['plant1.>'], kind: 'press', labels: { line: '3' } };
  const group = { id: 'presses', note: '', ...fields };
  assert.deepEqual(await ok(erik('PUT', '/v1/registry/groups/presses', fields)), { ...group, version: 1 });
  assert.equal((await ok(erik('PUT', '/v1/registry/groups/presses', fields))).version, 2);
  assert.deepEqual(await ok(erik('GET', '/v1/registry/groups/presses')), { ...group, version: 2 });
  assert.deepEqual(await ok(erik('GET', '/v1/registry/groups')), { groups: [{ ...group, version: 2 }] });
  await ok(erik('DELETE', '/v1/registry/groups/presses'));
  await refused(erik('GET', '/v1/registry/groups/presses'), 404, /group: expected an existing one/);
});

test('a device with the longest path has its own resource', async () => {
  const erik = await engineerOf('erik', 'plant1.>');
  const device = `plant1.${'x'.repeat(64)}.${'y'.repeat(64)}.${'z'.repeat(63)}`;
  assert.equal(device.length, 200);
  await ok(erik('POST', '/v1/registry/devices', { device }));
  assert.equal((await ok(erik('GET', `/v1/registry/devices/${device}`))).device, device);
  await ok(erik('PATCH', `/v1/registry/devices/${device}`, { name: 'Long' }));
});

test('a rule is not replaced by another tenant, which sees nothing of it', async () => {
  const eva = await engineerOf('eva', 'plant2.>', 'plant2');
  const erik = await engineerOf('erik', 'plant1.>', 'plant1');
  await ok(eva('PUT', '/v1/rules/taken?force=true', hot('plant2.secret7')));
  const requests = [erik('PUT', '/v1/rules/taken?force=true', hot('plant1.press7'))];
  for (const answer of requests) {
    const { status, body } = await answer;
    assert.equal(status, 409);
    assert.equal(body.error.message, 'rule: expected an ID that is free, got "taken"');
  }
  await refused(erik('DELETE', '/v1/rules/taken?version=1'), 404, /expected the ID of one, got "taken"/);
});

test('of a rule ID that another tenant has used before, the versions of that tenant are not shown', async () => {
  const eva = await engineerOf('eva', 'plant2.>', 'plant2');
  const erik = await engineerOf('erik', 'plant1.>', 'plant1');
  await ok(eva('PUT', '/v1/rules/hot?force=true', { ...hot('plant2.furnace'), note: 'recipe 7' }));
  await ok(eva('DELETE', '/v1/rules/hot?version=1'));
  await ok(erik('PUT', '/v1/rules/hot?force=true', hot('plant1.press7')));
  const { versions } = await ok(erik('GET', '/v1/rules/hot/versions'));
  assert.deepEqual(
    versions.map(({ version, author }: { version: number; author: string }) => [version, author]),
    [[3, 'erik']],
  );
});

test('a scene is changed only by who may command its devices: a schedule of another person runs it', async () => {
  const anna = await engineerOf('anna', 'plant1.>');
  const narrow = await engineerOf('nils', 'plant1.lamp');
  const step = (target: object) => ({ do: 'command', command: 'off', ...target });
  const scene = (...steps: object[]) => ({ name: 'Night', steps });
  await ok(anna('PUT', '/v1/scenes/night', scene(step({ device: 'plant1.lamp' }))));
  await ok(anna('POST', '/v1/registry/devices', { device: 'plant1.furnace' }));
  await ok(anna('PUT', '/v1/registry/groups/all', { name: 'All', patterns: ['plant1.>'] }));
  const schedule = { name: 'Night', scene: 'night', cron: '0 22 * * *', timeZone: 'UTC' };
  await ok(anna('PUT', '/v1/schedules/night', schedule));
  await ok(narrow('PUT', '/v1/scenes/night', scene(step({ device: 'plant1.lamp' }))));
  for (const target of [{ device: 'plant1.furnace' }, { device: 'plant1.>' }, { group: 'all' }]) {
    const nested = { do: 'parallel', steps: [step({ device: 'plant1.lamp' }), step(target)] };
    await refused(narrow('PUT', '/v1/scenes/night', scene(nested)), 403, /expected a token that may command plant1\./);
  }
  // A scene that it runs has the rights of that person, too.
  await ok(anna('PUT', '/v1/scenes/melt', scene(step({ device: 'plant1.furnace' }))));
  const calling = scene({ do: 'scene', scene: 'melt' });
  await refused(narrow('PUT', '/v1/scenes/night', calling), 403, /expected a token that may command plant1\.furnace/);
  await ok(anna('PUT', '/v1/scenes/night', calling));
});

test('a token for a gateway is issued and rotated only by who may command the devices behind it', async () => {
  const anna = await engineerOf('anna', 'plant1.>');
  const narrow = await engineerOf('nils', 'plant1.gw');
  const path = '/v1/registry/devices/plant1.gw/credentials';
  await ok(anna('POST', '/v1/registry/devices', { device: 'plant1.gw' }));
  await refused(narrow('POST', path, { gateway: true }), 403, /expected a token that may command plant1\.gw\.>/);
  assert.deepEqual((await ok(narrow('POST', path, {}))).publish, ['plant1.gw']);
  const { id, publish } = await ok(anna('POST', path, { gateway: true }));
  assert.deepEqual(publish, ['plant1.gw', 'plant1.gw.>']);
  await refused(narrow('POST', `${path}/${id}/rotate`, {}), 403, /expected a token that may command plant1\.gw\.>/);
});

test('a device with ten tokens can rotate each of them, and gets no eleventh', async () => {
  const anna = await engineerOf('anna', 'plant1.>');
  const path = '/v1/registry/devices/plant1.full/credentials';
  await ok(anna('POST', '/v1/registry/devices', { device: 'plant1.full' }));
  const ids: string[] = [];
  for (let n = 0; n < 10; n++) ids.push((await ok(anna('POST', path, {}))).id);
  const limit = /expected at most 10, got one more/;
  await refused(anna('POST', path, {}), 422, limit);
  for (const [n, id] of ids.entries()) ids[n] = (await ok(anna('POST', `${path}/${id}/rotate`, {}))).id;
  await refused(anna('POST', path, {}), 422, limit);
  // Those that were replaced are valid for an hour.
  await refused(anna('POST', `${path}/${ids[0]}/rotate`, {}), 422, /replaced: expected at most 10/);
  await ok(anna('POST', `${path}/${ids[0]}/rotate`, { overlapMs: 0 }));
});

test('a plan with the group of another tenant does not name its devices', async () => {
  const eva = await engineerOf('eva', 'plant2.>', 'plant2');
  const erik = await engineerOf('erik', 'plant1.>', 'plant1');
  await ok(eva('POST', '/v1/registry/devices', { device: 'plant2.secret7' }));
  await ok(eva('PUT', '/v1/registry/groups/furnaces', { name: 'Furnaces', patterns: ['plant2.>'] }));
  await ok(erik('PUT', '/v1/scenes/spy', { name: 'x', steps: [{ do: 'command', command: 'x', group: 'furnaces' }] }));
  const { body } = await erik('POST', '/v1/scenes/spy/plan', {});
  assert.doesNotMatch(JSON.stringify(body), /secret7/);
});

test('alarms of a tenant go to no target of another one, also if it has the ID of one that was deleted', async () => {
  const eva = await engineerOf('eva', 'plant2.>', 'plant2');
  const erik = await engineerOf('erik', 'plant1.>', 'plant1');
  const target = { kind: 'email', to: ['spy@plant.example'] };
  await ok(eva('PUT', '/v1/notification-targets/night', { target }));
  await ok(eva('PUT', '/v1/notification-routes/r2', { patterns: ['plant2.>'], targets: ['night'] }));
  const rowsOf = async (device: string) => {
    const notice = { id: `t-${device}`, alarm: 'a', rule: 'r', device, number: 1, state: 'unacknowledged' };
    const { notifications } = control.control;
    const { database } = fixture;
    await database.transaction((transaction) =>
      notifications.take(transaction, [{ ...notice, cause: 'raised', time: Date.now() }]),
    );
    return (await database.query('SELECT 1 FROM notifications WHERE transition = $1', [notice.id])).rowCount;
  };
  const route = { patterns: ['plant1.>'], targets: ['night'] };
  await refused(erik('PUT', '/v1/notification-routes/r1', route), 400, /targets\.0: expected the ID of a notification/);
  assert.equal(await rowsOf('plant2.furnace1'), 1);
  await ok(eva('DELETE', '/v1/notification-targets/night'));
  await ok(erik('PUT', '/v1/notification-targets/night', { target }));
  await ok(erik('PUT', '/v1/notification-routes/r1', route));
  assert.equal(await rowsOf('plant2.furnace2'), 0);
  assert.equal(await rowsOf('plant1.press2'), 1);
});

test('a trigger of a rule of devices that its author may not see is refused as one of no rule', async () => {
  const eva = await engineerOf('eva', 'plant2.>', 'plant2');
  const erik = await engineerOf('erik', 'plant1.>', 'plant1');
  await ok(eva('PUT', '/v1/rules/furnace-hot?force=true', hot('plant2.>')));
  await ok(erik('PUT', '/v1/scenes/rest', { name: 'x', steps: [{ do: 'wait', ms: 1 }] }));
  const trigger = { name: 'x', scene: 'rest', devices: ['plant1.>'], rules: ['furnace-hot'] };
  await refused(
    erik('PUT', '/v1/triggers/rest', trigger),
    400,
    /rules\.0: expected the ID of a rule, got "furnace-hot"/,
  );
});

test('targets and dead letters are for engineers, and dead letters only for who may see the device', async () => {
  const anna = await engineerOf('anna', '>');
  const narrow = await engineerOf('nils', 'plant1.lamp');
  const target = { kind: 'email', to: ['shift@plant.example'] };
  await ok(anna('PUT', '/v1/notification-targets/shift', { target }));
  await fixture.database.query(
    `INSERT INTO notifications (target, transition, alarm_key, notice, created_ms, due_ms, is_held, state, finished_ms)
     SELECT 'shift', device, device, jsonb_build_object('device', device), 0, 0, false, 'dead', 0
       FROM unnest($1::text[]) AS device`,
    [['plant1.lamp', 'plant1.furnace']],
  );
  const devicesOf = async (person: typeof anna) =>
    (await ok(person('GET', '/v1/notification-dead-letters'))).deadLetters.map(
      ({ notice }: { notice: { device: string } }) => notice.device,
    );
  assert.deepEqual((await devicesOf(anna)).sort(), ['plant1.furnace', 'plant1.lamp']);
  assert.deepEqual(await devicesOf(narrow), ['plant1.lamp']);
  // They would go to the changed target when they are sent again.
  await refused(narrow('PUT', '/v1/notification-targets/shift', { target }), 403, /may see plant1\.furnace/);
  const otto = await tokenOf('otto');
  for (const path of ['notification-targets', 'notification-routes', 'notification-dead-letters'])
    await refused(control.request(otto, 'GET', `/v1/${path}`), 403, /expected a token with the role "engineer"/);
});

test('routes, and targets they lead to, are changed and deleted only by who may see the devices', async () => {
  const anna = await engineerOf('anna', 'plant1.>', 'plant1');
  const narrow = await engineerOf('nils', 'plant1.lamp', 'plant1');
  const target = { kind: 'email', to: ['shift@plant.example'] };
  const [narrower, wider] = ['plant1.lamp', 'plant1.>'].map((pattern) => ({ patterns: [pattern], targets: ['all'] }));
  await ok(anna('PUT', '/v1/notification-targets/all', { target }));
  await ok(anna('PUT', '/v1/notification-routes/all', wider));
  await ok(anna('DELETE', '/v1/notification-targets/all'));
  const forbidden = /expected a token that may see plant1\.>/;
  // It would get the alarms of the route.
  await refused(narrow('PUT', '/v1/notification-targets/all', { target }), 403, forbidden);
  await ok(anna('PUT', '/v1/notification-targets/all', { target }));
  await refused(narrow('PUT', '/v1/notification-targets/all', { target }), 403, forbidden);
  await refused(narrow('DELETE', '/v1/notification-targets/all'), 403, forbidden);
  await refused(narrow('PUT', '/v1/notification-routes/all', narrower), 403, forbidden);
  await refused(narrow('DELETE', '/v1/notification-routes/all'), 403, forbidden);
  await ok(anna('PUT', '/v1/notification-routes/all', narrower));
  await ok(narrow('PUT', '/v1/notification-targets/all', { target }));
  await ok(narrow('DELETE', '/v1/notification-routes/all'));
  await ok(narrow('DELETE', '/v1/notification-targets/all'));
});

test('a group is stored, and a device put into one, only by who may command the devices', async () => {
  const anna = await engineerOf('anna', 'plant1.>');
  const token = await engineerToken('nils', 'plant1.>', 'plant1.lamp');
  const narrow = (method: string, path: string, body?: unknown) => control.request(token, method, path, body);
  const group = { name: 'Line 3', patterns: ['plant1.>'], labels: { line: '3' } };
  await refused(narrow('PUT', '/v1/registry/groups/line3', group), 403, /expected a token that may command plant1\.>/);
  await ok(narrow('PUT', '/v1/registry/groups/lamps', { name: 'Lamps', patterns: ['plant1.lamp'] }));
  await ok(anna('PUT', '/v1/registry/groups/line3', group));
  const forbidden = /expected a token that may command plant1\.oven/;
  const labels = { line: '3' };
  await refused(narrow('POST', '/v1/registry/devices', { device: 'plant1.oven1', labels }), 403, forbidden);
  await ok(narrow('POST', '/v1/registry/devices', { device: 'plant1.oven1', labels: { line: '2' } }));
  await refused(narrow('PATCH', '/v1/registry/devices/plant1.oven1', { labels }), 403, forbidden);
  const csv = await fetch(`${control.url}/v1/registry/import?dryRun=true`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'text/csv' },
    body: 'path,label.line\nplant1.oven2,2\nplant1.oven3,3\nplant1.lamp,3\n',
  });
  const { errors } = (await csv.json()) as { readonly errors: readonly { line: number; message: string }[] };
  assert.deepEqual(
    errors.map(({ line }) => line),
    [3],
  );
  assert.match(errors[0]!.message, /expected a device that the token may command/);
  await ok(narrow('PATCH', '/v1/registry/devices/plant1.oven1', { note: 'of 2019' }));
  await ok(anna('PATCH', '/v1/registry/devices/plant1.oven1', { labels }));
  await ok(narrow('PATCH', '/v1/registry/devices/plant1.oven1', { note: 'of 2020' }));
  await ok(anna('POST', '/v1/registry/devices/plant1.oven1/decommission'));
  await refused(narrow('POST', '/v1/registry/devices/plant1.oven1/recommission'), 403, forbidden);
});

test('each refused change is in the audit, once', async () => {
  const otto = await tokenOf('otto');
  const anna = await engineerOf('anna', 'plant1.>');
  const scene = { name: 'x', steps: [{ do: 'wait', ms: 1 }] };
  await ok(anna('PUT', '/v1/scenes/pause', scene));
  await refused(anna('PUT', '/v1/scenes/pause', { ...scene, version: 7 }), 409, /expected the version 7, got 1/);
  const changes = [
    ['PUT', '/v1/scenes/pause', scene],
    ['DELETE', '/v1/scenes/pause', undefined],
    ['PUT', '/v1/registry/groups/g', { name: 'G', patterns: ['plant1.>'] }],
    ['POST', '/v1/registry/devices/plant1.lamp/decommission', undefined],
    ['DELETE', '/v1/notification-targets/shift', undefined],
    ['PUT', '/v1/rules/hot?force=true', hot('plant1.lamp')],
  ] as const;
  for (const [method, path, body] of changes) await refused(control.request(otto, method, path, body), 403, /role/);
  const auditor = await tokenOf('audit', { roles: ['auditor'] });
  const targetsOf = async (subject: string) =>
    (await ok(control.request(auditor, 'GET', `/v1/audit?result=refused&subject=${subject}`))).entries
      .map(({ action, target }: { action: string; target: string }) => `${action} ${target}`)
      .sort();
  assert.deepEqual(await targetsOf('otto'), [
    'request.refused notification-targets/shift',
    'request.refused registry/devices/plant1.lamp/decommission',
    'request.refused registry/groups/g',
    'request.refused scenes/pause',
    'request.refused scenes/pause',
    'rule.refused rule/hot',
  ]);
  assert.deepEqual(await targetsOf('anna'), ['request.refused scenes/pause']);
});

test('a token that is refused again and again does not fill the audit', async () => {
  const mallory = await tokenOf('mallory');
  const refuse = () => control.request(mallory, 'DELETE', '/v1/notification-targets/shift');
  const { burst } = refusalLimits;
  for (let n = 0; n < burst + 100; n += 50) {
    const answers = await Promise.all(Array.from({ length: 50 }, refuse));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([403]));
  }
  const { rows } = await fixture.database.query<{ n: number }>(
    `SELECT count(*) AS n FROM audit_entries WHERE subject = 'mallory'`,
  );
  // Some more than at once: the requests take a while.
  assert.ok(rows[0]!.n >= burst && rows[0]!.n < burst + 100, `got ${rows[0]!.n} entries`);
  const omitted = Number(/^tailrace_control_omitted_refusals_total\S* (\d+)/m.exec(await control.metrics.text())?.[1]);
  assert.equal(rows[0]!.n + omitted, burst + 100);
});

test('schedules and triggers of a revoked token are paused, until a person with a valid one stores them', async () => {
  const rights = { command: ['plant1.>'], subscribe: ['plant1.>'], publish: [], roles, expiresInMs: 600_000 };
  const tokenOfMax = (tokenId: string) => issueToken({ secret: tokenSecret, subject: 'max', tokenId, ...rights });
  const [leaked, valid] = await Promise.all([tokenOfMax('leaked'), tokenOfMax('valid')]);
  const scene = { name: 'x', steps: [{ do: 'wait', ms: 1 }] };
  const schedule = { name: 'x', scene: 'tick', cron: '0 22 * * *', timeZone: 'UTC' };
  const trigger = { name: 'x', scene: 'tick', devices: ['plant1.>'] };
  await ok(control.request(leaked, 'PUT', '/v1/scenes/tick', scene));
  await ok(control.request(leaked, 'PUT', '/v1/schedules/leaked', schedule));
  await ok(control.request(leaked, 'PUT', '/v1/triggers/leaked', trigger));
  await ok(control.request(valid, 'PUT', '/v1/schedules/valid', schedule));
  const { key, value } = recordFrom({ revocation: { tokenId: 'leaked', expiresAt: Date.now() + 600_000 } });
  await fixture.eventLog.append('tailrace.control', [{ key, value }]);
  const read = (path: string) => ok(control.request(valid, 'GET', path));
  for (const path of ['/v1/schedules/leaked', '/v1/triggers/leaked'])
    await eventually(async () => {
      const { paused, pauseReason } = await read(path);
      assert.equal(paused, true);
      assert.match(pauseReason, /The token of max, .* was revoked/);
    });
  assert.equal((await read('/v1/schedules/valid')).paused, false);
  assert.deepEqual((await read('/v1/schedules/leaked')).next, []);
  const resumed = control.request(valid, 'POST', '/v1/schedules/leaked/resume');
  await refused(resumed, 409, /expected one with a valid token/);
  const auditor = await tokenOf('audit', { roles: ['auditor'] });
  const { entries } = await ok(control.request(auditor, 'GET', '/v1/audit?subject=control'));
  assert.deepEqual(entries.map(({ action, target }: { action: string; target: string }) => [action, target]).sort(), [
    ['schedule.paused', 'schedule/leaked'],
    ['trigger.paused', 'trigger/leaked'],
  ]);
  const stored = await ok(control.request(valid, 'PUT', '/v1/schedules/leaked', schedule));
  assert.deepEqual([stored.paused, stored.pauseReason], [false, undefined]);
});

test('a body of many lists within each other is refused, as a cursor of another form is', async () => {
  const anna = await tokenOf('anna', { roles: ['engineer', 'auditor'] });
  const headers = { authorization: `Bearer ${anna}`, 'content-type': 'application/json' };
  const steps = `${'{"do":"parallel","steps":['.repeat(14_000)}{"do":"wait","ms":1}${']}'.repeat(14_000)}`;
  const body = `{"name":"x","steps":[${steps}]}`;
  const answer = await fetch(`${control.url}/v1/scenes/deep`, { method: 'PUT', headers, body });
  assert.equal(answer.status, 400);
  assert.match(await answer.text(), /body: expected values at most 64 deep/);
  for (const before of ['____', 'zzzzzzzzzzzzzzzzzzzz', 'A'])
    await refused(control.request(anna, 'GET', `/v1/audit?before=${before}`), 400, /before: expected `next`/);
});
