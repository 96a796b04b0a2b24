import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import type { AlarmNotice } from '../src/notifications/alarm-notice.ts';
import { type ControlFixture, createControlFixture, type RunningControl, tokenOf } from './control-fixture.ts';
import { Receiver } from './notification-fixture.ts';

/** Targets and routes over the API of control. */
let fixture: ControlFixture;
let control: RunningControl;
let engineer: string;
let operator: string;

before(async () => {
  fixture = await createControlFixture();
  control = await fixture.start('c1', { settings: { notificationNetworks: ['127.0.0.1'] } });
  engineer = await tokenOf('eva', { roles: ['engineer', 'auditor'] });
  operator = await tokenOf('otto');
});
after(() => fixture.stop());

const notice = (id: string): AlarmNotice => ({
  ...{ id, alarm: 'a1', rule: 'r1', device: 'plant1.press7', number: 1, state: 'unacknowledged', cause: 'raised' },
  time: Date.now(),
});

async function take(...notices: readonly AlarmNotice[]): Promise<void> {
  const { notifications } = control.control;
  await fixture.database.transaction((transaction) => notifications.take(transaction, notices));
  notifications.wake();
}

test('an engineer adds a target and a route, of which the audit has all but the secret, and alarms reach the target', async (t) => {
  const receiver = await Receiver.start(t);
  const { body: generated } = await control.request(engineer, 'POST', '/v1/notification-targets/secret');
  const { secret } = generated as { secret: string };
  const target = { kind: 'webhook', url: receiver.url, secrets: [secret] };
  const put = (token: string, path: string, body: object) => control.request(token, 'PUT', path, body);
  assert.equal((await put(operator, '/v1/notification-targets/hook', { target })).status, 403);
  const created = await put(engineer, '/v1/notification-targets/hook', { target, version: 0 });
  assert.equal(created.status, 200, JSON.stringify(created.body));
  assert.deepEqual([created.body.version, created.body.secrets], [1, ['whsec_…']]);
  assert.equal((await put(engineer, '/v1/notification-targets/hook', { target, version: 0 })).status, 409);
  const foreign = { patterns: ['plant2.>'], targets: ['hook'] };
  assert.equal((await put(engineer, '/v1/notification-routes/all', foreign)).status, 403);
  const route = await put(engineer, '/v1/notification-routes/all', { patterns: ['plant1.>'], targets: ['hook'] });
  assert.deepEqual([route.status, route.body.priorityMax], [200, 5]);
  await take(notice('t1'));
  await receiver.received(1);
  assert.deepEqual(receiver.ids, ['t1']);
  const { body: audit } = await control.request(engineer, 'GET', '/v1/audit?limit=100');
  const text = JSON.stringify(audit);
  assert.match(text, /notification_target\.created.*|notification_route\.created/);
  assert.ok(!text.includes(secret));
  const { body: listed } = await control.request(engineer, 'GET', '/v1/notification-targets');
  assert.ok(!JSON.stringify(listed).includes(secret));
  const other = await tokenOf('zoe', { roles: ['engineer'], tenant: 'plant1' });
  assert.deepEqual((await control.request(other, 'GET', '/v1/notification-targets')).body, { targets: [] });
  assert.equal((await control.request(other, 'DELETE', '/v1/notification-targets/hook')).status, 404);
});

test('a target shows what waits for it, what was sent, and why its last attempt has failed', async (t) => {
  const receiver = await Receiver.start(t);
  const { body: generated } = await control.request(engineer, 'POST', '/v1/notification-targets/secret');
  const target = { kind: 'webhook', url: receiver.url, secrets: [generated.secret] };
  const path = '/v1/notification-targets/watched';
  await control.request(engineer, 'PUT', path, { target });
  const route = { patterns: ['plant1.>'], targets: ['watched'] };
  assert.equal((await control.request(engineer, 'PUT', '/v1/notification-routes/watched', route)).status, 200);
  assert.deepEqual((await control.request(engineer, 'GET', '/v1/notification-routes/watched')).body.targets, [
    'watched',
  ]);
  const shown = async (expected: (body: Readonly<Record<string, unknown>>) => void) =>
    await eventually(async () => expected((await control.request(engineer, 'GET', path)).body));
  await take(notice('w1'));
  await shown(({ waiting, dead, lastSent, lastError }) => {
    assert.deepEqual([waiting, dead, typeof lastSent, lastError], [0, 0, 'number', undefined]);
  });
  receiver.answer = (response) => response.writeHead(500).end('out of paper');
  await take({ ...notice('w2'), number: 2 });
  await shown(({ waiting, lastError, nextAttempt, secrets }) => {
    assert.deepEqual([waiting, typeof nextAttempt, secrets], [1, 'number', ['whsec_…']]);
    assert.match(String(lastError), /got 500: out of paper/);
  });
  assert.equal((await control.request(engineer, 'GET', '/v1/notification-targets/nosuch')).status, 404);
  await control.request(engineer, 'DELETE', '/v1/notification-routes/watched');
  await control.request(engineer, 'DELETE', path);
});

test('what was given up is listed, and is sent again on request', async (t) => {
  const receiver = await Receiver.start(t);
  receiver.answer = (response) => response.writeHead(410).end('moved');
  const { body: generated } = await control.request(engineer, 'POST', '/v1/notification-targets/secret');
  const target = { kind: 'webhook', url: receiver.url, secrets: [generated.secret] };
  await control.request(engineer, 'PUT', '/v1/notification-targets/gone', { target });
  await control.request(engineer, 'PUT', '/v1/notification-routes/gone', { patterns: ['plant1.>'], targets: ['gone'] });
  await take(notice('t2'));
  const letters = async () =>
    (await control.request(engineer, 'GET', '/v1/notification-dead-letters?target=gone')).body.deadLetters;
  await eventually(async () => assert.equal((await letters()).length, 1));
  const [letter] = await letters();
  assert.deepEqual([letter.transition, letter.notice.device], ['t2', 'plant1.press7']);
  assert.match(letter.error, /got 410: moved$/);
  const { body: listed } = await control.request(engineer, 'GET', '/v1/notification-targets');
  assert.match(listed.targets.find((each: { id: string }) => each.id === 'gone').gone, /got 410/);
  receiver.answer = (response) => response.writeHead(200).end();
  await control.request(engineer, 'PUT', '/v1/notification-targets/gone', { target });
  const { body: retried } = await control.request(engineer, 'POST', '/v1/notification-targets/gone/retry');
  assert.deepEqual(retried, { notifications: 1 });
  await receiver.received(2);
  assert.deepEqual(await letters(), []);
  assert.equal((await control.request(engineer, 'DELETE', '/v1/notification-targets/gone')).status, 204);
});

test('settings that are none are refused with the field and what was expected', async () => {
  const refused = async (target: object, message: RegExp) => {
    const { status, body } = await control.request(engineer, 'PUT', '/v1/notification-targets/bad', { target });
    assert.equal(status, 400);
    assert.match(body.error.message, message);
  };
  const secrets = [`whsec_${Buffer.alloc(32).toString('base64')}`];
  await refused({ kind: 'webhook', url: 'ftp://a', secrets }, /url.*expected a URL with http or https/);
  await refused({ kind: 'webhook', url: 'http://user:pw@a', secrets }, /expected a URL/);
  await refused({ kind: 'webhook', url: 'http://a', secrets: ['x'] }, /expected whsec_/);
  await refused({ kind: 'email', to: ['a@b\r\nBcc: c@d'] }, /to.*expected an address/);
  await refused({ kind: 'sms', to: ['1'] }, /target\.kind: expected webhook, alertmanager or email, got "sms"/);
  await refused(
    { kind: 'email', to: ['a@b'] },
    /target\.kind: expected webhook or alertmanager, as mailUrl is not set/,
  );
  for (const host of ['127.0.0.2', '[::1]'])
    await refused(
      { kind: 'webhook', url: `http://${host}:9/hook`, secrets },
      /target\.url: expected an address outside of this machine, got .*; notificationNetworks allows it/,
    );
  const route = { patterns: ['plant1.>'], targets: ['ghost'] };
  const { status, body } = await control.request(engineer, 'PUT', '/v1/notification-routes/ghost', route);
  assert.deepEqual(
    [status, body.error.message],
    [400, 'targets.0: expected the ID of a notification target, got "ghost"'],
  );
});
