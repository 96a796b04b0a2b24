import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Database } from '@tailrace/database/database';
import { eventually } from '@tailrace/testkit/eventually';
import { newWebhookSecret, signatureOf } from '../src/notifications/webhook.ts';
import { createStore, Receiver, startNotifications } from './notification-fixture.ts';

/** Notifications on a real store, with real servers as receivers of webhooks. */
let database: Database;
before(async () => {
  database = await createStore();
});
after(() => database?.close());

const secret = newWebhookSecret();
const hook = (url: string) => ({ kind: 'webhook', url, secrets: [secret] });

test('transitions reach a webhook in order, once, and signed; a transition that comes again is none', async (t) => {
  const receiver = await Receiver.start(t);
  const {
    target,
    route,
    take,
    states,
    metric,
    database: store,
    notifications,
  } = await startNotifications(t, { database });
  await target('hook', hook(receiver.url));
  await route('all', { targets: ['hook'] });
  const notices = await take({}, { cause: 'limit_changed', limit: 'HH' }, { cause: 'returned', state: 'normal' });
  await receiver.received(3);
  await store.transaction((transaction) => notifications.take(transaction, notices));
  await take({ device: 'plant1.last' });
  await receiver.received(4);
  assert.deepEqual(receiver.ids, ['transition1', 'transition2', 'transition3', 'transition4']);
  for (const { headers, body } of receiver.requests) {
    const id = String(headers['webhook-id']);
    const expected = signatureOf(secret, id, Number(headers['webhook-timestamp']), body);
    assert.equal(headers['webhook-signature'], `v1,${expected}`);
    assert.equal((JSON.parse(body) as { data: { id: string } }).data.id, id);
  }
  await eventually(async () => assert.deepEqual(await states('hook'), ['sent', 'sent', 'sent', 'sent']));
  assert.equal(await metric('tailrace_control_notifications_total{kind="webhook",outcome="sent"}'), 4);
});

test('a target that does not answer delays no other one', async (t) => {
  const [slow, fast] = [await Receiver.start(t), await Receiver.start(t)];
  slow.answer = () => {};
  const { target, route, take, states } = await startNotifications(t, { database });
  for (const [id, { url }] of [
    ['a-slow', slow],
    ['b-fast', fast],
  ] as const)
    await target(id, hook(url));
  await route('all', { targets: ['a-slow', 'b-fast'] });
  for (let n = 0; n < 5; n++) await take({}, {});
  await fast.received(10);
  assert.equal(slow.requests.length, 1, 'the first one is in progress');
  assert.deepEqual([...new Set(await states('a-slow'))], ['waiting']);
});

test('a failed attempt is repeated with the same ID before what follows, and after its wait', async (t) => {
  const receiver = await Receiver.start(t);
  let failures = 2;
  receiver.answer = (response) => response.writeHead(failures-- > 0 ? 503 : 204).end('busy');
  const { target, route, take, clock, states, metric } = await startNotifications(t, { database });
  await target('hook', hook(receiver.url));
  await route('all', { targets: ['hook'] });
  await take({}, {});
  const isRetried = (count: number) =>
    eventually(async () => {
      assert.equal(await metric('tailrace_control_notifications_total{kind="webhook",outcome="retried"}'), count);
    });
  await isRetried(1);
  await clock.advance(4_500);
  assert.equal(receiver.requests.length, 1);
  await eventually(async () => {
    await clock.advance(500);
    assert.equal(receiver.requests.length, 2);
  });
  await isRetried(2);
  await eventually(async () => {
    await clock.advance(5_000);
    assert.equal(receiver.requests.length, 4);
  });
  assert.deepEqual(receiver.ids, ['transition1', 'transition1', 'transition1', 'transition2']);
  await eventually(async () => assert.deepEqual(await states('hook'), ['sent', 'sent']));
});

test('a content that is refused is given up after three attempts, and does not hold up the next one', async (t) => {
  const receiver = await Receiver.start(t);
  receiver.answer = (response, { headers }) =>
    response.writeHead(headers['webhook-id'] === 'transition1' ? 400 : 204).end('x'.repeat(100_000));
  const { target, route, take, clock, states } = await startNotifications(t, { database });
  await target('hook', hook(receiver.url));
  await route('all', { targets: ['hook'] });
  await take({}, {});
  await eventually(async () => {
    await clock.advance(5_000);
    assert.deepEqual(await states('hook'), ['dead', 'sent']);
  });
  assert.deepEqual(receiver.ids, ['transition1', 'transition1', 'transition1', 'transition2']);
  const { rows } = await database.query<{ error: string }>("SELECT error FROM notifications WHERE state = 'dead'");
  assert.match(rows[0]!.error, /^expected status 2xx, got 400: x+$/);
  assert.ok(rows[0]!.error.length <= 500);
});

test('a target that is gone gets nothing more', async (t) => {
  const receiver = await Receiver.start(t);
  receiver.answer = (response) => response.writeHead(410).end();
  const { target, route, take, states } = await startNotifications(t, { database });
  await target('hook', hook(receiver.url));
  await route('all', { targets: ['hook'] });
  await take({}, {}, {});
  await eventually(async () => assert.deepEqual(await states('hook'), ['dead', 'dead', 'dead']));
  const { rows } = await database.query<{ gone: string }>('SELECT gone FROM notification_targets');
  assert.match(rows[0]!.gone, /got 410/);
  await database.query('UPDATE notification_targets SET worker_until_ms = 0');
  assert.equal(receiver.requests.length, 1);
});

test('by default no request reaches this machine, and a redirect leads nowhere', async (t) => {
  const [receiver, other] = [await Receiver.start(t), await Receiver.start(t)];
  receiver.answer = (response) => response.writeHead(302, { location: other.url }).end();
  const open = await startNotifications(t, { database });
  await open.target('hook', hook(receiver.url));
  await open.route('all', { targets: ['hook'] });
  await open.take({});
  await eventually(async () => {
    assert.equal(await open.metric('tailrace_control_notifications_total{kind="webhook",outcome="retried"}'), 1);
  });
  assert.deepEqual([receiver.requests.length, other.requests.length], [1, 0]);
  await open.notifications.stop();
  const closed = await startNotifications(t, { database, networks: [] });
  const { port } = new URL(receiver.url);
  for (const name of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]'])
    await closed.target(name, hook(`http://${name}:${port}`));
  await closed.route('all', { targets: ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]'] });
  await closed.take({});
  await eventually(async () => {
    const { rows } = await database.query<{ error: string }>("SELECT error FROM notifications WHERE error <> ''");
    assert.equal(rows.length, 3);
    for (const { error } of rows) assert.match(error, /^address of the target: expected one outside of this machine/);
  });
  assert.equal(receiver.requests.length, 1);
});

test('quiet hours hold back until their end, and what has returned by then is never sent', async (t) => {
  const receiver = await Receiver.start(t);
  const { target, route, take, clock, states, metric } = await startNotifications(t, { database });
  await target('hook', hook(receiver.url));
  const quietHours = { timeZone: 'UTC', from: '11:00', to: '12:10' };
  await route('all', { targets: ['hook'], quietHours });
  await take({ device: 'plant1.brief' }, { device: 'plant1.long' }, { device: 'plant1.urgent', priority: 1 });
  await take({ device: 'plant1.brief', cause: 'limit_changed', limit: 'HH' });
  await take({ device: 'plant1.brief', cause: 'returned', state: 'normal' });
  await receiver.received(1);
  assert.deepEqual(receiver.ids, ['transition3']);
  const expected = ['dropped', 'waiting', 'sent', 'dropped', 'dropped'];
  await eventually(async () => assert.deepEqual(await states('hook'), expected));
  assert.equal(await metric('tailrace_control_dropped_notifications_total'), 3);
  // A target that has the raise is notified of the return, too.
  await take({ device: 'plant1.urgent', cause: 'limit_changed' }, { device: 'plant1.urgent', cause: 'returned' });
  assert.deepEqual((await states('hook')).slice(5), ['dropped', 'waiting']);
  await eventually(async () => {
    // Less than the claim of a target lasts.
    await clock.advance(15_000);
    assert.deepEqual(receiver.ids, ['transition3', 'transition2', 'transition7']);
  });
  assert.ok(clock.now() >= Date.parse('2026-01-15T12:10:00Z'));
});

test('several processes send each transition once, in order, and one takes over from another that has stopped', async (t) => {
  const receiver = await Receiver.start(t);
  const { target, route, take, clock, all, states } = await startNotifications(t, { database, processes: 3 });
  await target('hook', hook(receiver.url));
  await route('all', { targets: ['hook'] });
  for (let n = 0; n < 10; n++) {
    await take({}, {});
    for (const { notifications } of all) notifications.wake();
  }
  await receiver.received(20);
  const expected = Array.from({ length: 20 }, (_, index) => `transition${index + 1}`);
  assert.deepEqual(receiver.ids, expected);
  await eventually(async () => assert.ok((await states('hook')).every((state) => state === 'sent')));
  // A process that was killed has its claim until it expires.
  await eventually(async () => {
    const { rows } = await database.query<{ worker: string }>('SELECT worker FROM notification_targets');
    assert.equal(rows[0]!.worker, '');
  });
  await database.query(`UPDATE notification_targets SET worker = 'killed', worker_until_ms = $1`, [
    clock.now() + 60_000,
  ]);
  await take({});
  await clock.advance(30_000);
  assert.equal(receiver.requests.length, 20);
  await eventually(async () => {
    await clock.advance(5_000);
    assert.equal(receiver.requests.length, 21);
  });
});

test('a transition that is a day old is no notification', async (t) => {
  const receiver = await Receiver.start(t);
  const { target, route, take, clock, metric, states } = await startNotifications(t, { database });
  await target('hook', hook(receiver.url));
  await route('all', { targets: ['hook'] });
  await take({ time: clock.now() - 86_400_001 }, {});
  await receiver.received(1);
  assert.deepEqual(receiver.ids, ['transition2']);
  assert.deepEqual([(await states('hook')).length, await metric('tailrace_control_late_notifications_total')], [1, 1]);
});

test('beyond 10,000 that wait for a target the oldest are dead letters', async (t) => {
  const { target, route, clock, metric } = await startNotifications(t, { database });
  await target('away', { ...hook('http://127.0.0.1:9'), isEnabled: false });
  await route('all', { targets: ['away'] });
  await database.query(
    `INSERT INTO notifications (target, transition, alarm_key, notice, created_ms, due_ms, is_held)
     SELECT 'away', 't' || n, 'k', '{}', 0, $1, false FROM generate_series(1, 10050) AS n`,
    [clock.now()],
  );
  await eventually(async () => {
    await clock.advance(5_000);
    const { rows } = await database.query<{ n: number }>(
      "SELECT count(*) AS n FROM notifications WHERE state = 'dead'",
    );
    assert.equal(rows[0]!.n, 50);
  });
  await eventually(async () => {
    await clock.advance(5_000);
    assert.equal(await metric('tailrace_control_target_notifications'), 10_000);
  });
  // What was given up is kept for 30 days.
  clock.setWallClock(clock.now() + 31 * 86_400_000);
  await eventually(async () => {
    await clock.advance(30_000);
    const { rows } = await database.query<{ n: number }>(
      "SELECT count(*) AS n FROM notifications WHERE state = 'dead'",
    );
    assert.equal(rows[0]!.n, 0);
  });
});
