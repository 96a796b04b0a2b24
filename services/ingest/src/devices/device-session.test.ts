import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ControlTopic } from '@tailrace/eventlog/control-topic';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { nextTurn, press, startDevices, statusOf, type TestDevice } from '../../test/device-fixture.ts';

test('a device is greeted, authenticates, and learns its limits', async (t) => {
  const { connect, token, clock } = await startDevices(t);
  const device = connect();
  const hello = await device.next('hello');
  const challenge = hello.payload.challenge!;
  assert.match(challenge, /^[\w-]{22}$/);
  const time = clock.now();
  assert.deepEqual(hello, {
    ...{ type: 'hello', timestamp: time },
    payload: { version: 1, node: 'ingest-0', time, challenge, authWithinMs: 10_000 },
  });
  device.send({ ver: 1, type: 'auth', payload: { device: press, token, challenge, instance: 'b7f3' } });
  const { payload } = await device.next('welcome');
  const { expiresAt, ...welcome } = payload;
  assert.deepEqual(welcome, {
    ...{ session: time + 1, device: press, heartbeatMs: 30_000, ackWithinMs: 5_000, window: 64, windowBytes: 524_288 },
    ...{ messageBytesMax: 262_144, batchMax: 500, messagesPerSecond: 100, eventsPerSecond: 20, idWindowMs: 120_000 },
  });
  assert.equal(expiresAt, time + 3_600_000);
});

test('what a device sends before its welcome waits for it', async (t) => {
  const { connect, token, confirmAll } = await startDevices(t);
  const device = connect();
  const { payload } = await device.next('hello');
  const auth = { type: 'auth', payload: { device: press, token, challenge: payload.challenge } };
  device.send(auth, statusOf('a1'), statusOf('a2'));
  await device.next('welcome');
  assert.equal(await confirmAll(), 2);
  assert.deepEqual(device.acks(), ['a1 accepted', 'a2 accepted']);
});

test('a device that is not authenticated is closed with a code that names why', async (t) => {
  const { connect, token, tokenFor, clock } = await startDevices(t);
  const closeOf = async (message: (challenge: string) => object | string) => {
    const device = connect();
    const { payload } = await device.next('hello');
    const sent = message(payload.challenge!);
    device.socket.send(typeof sent === 'string' ? sent : JSON.stringify(sent));
    const code = await device.closed();
    return `${code} ${device.take('error')[0]?.payload.code}`;
  };
  const auth = (payload: object) => (challenge: string) => ({
    type: 'auth',
    payload: { device: press, token, challenge, ...payload },
  });
  assert.equal(await closeOf(() => statusOf('a1')), '4400 invalid_message');
  assert.equal(await closeOf(() => 'no JSON'), '4400 invalid_message');
  assert.equal(await closeOf(auth({ device: 'a..b' })), '4400 invalid_path');
  assert.equal(await closeOf(auth({ challenge: undefined })), '4400 invalid_message');
  assert.equal(await closeOf(auth({ token: 'x.y.z' })), '4401 unauthorized');
  assert.equal(await closeOf(auth({ challenge: 'another' })), '4401 unauthorized');
  const old = { challenge: undefined, nonce: '12345678', time: clock.now() - 60_001 };
  assert.equal(await closeOf(auth(old)), '4401 unauthorized');
  const narrow = await tokenFor(['plant1.line3.>']);
  assert.equal(await closeOf(auth({ token: narrow })), '4403 forbidden');
});

test('a recorded auth is refused, by its nonce and by its challenge', async (t) => {
  const { connect, token, clock, metric } = await startDevices(t);
  const send = async (auth: object) => {
    const device = connect();
    const { payload } = await device.next('hello');
    device.send({ type: 'auth', payload: { device: press, token, ...auth } });
    return { device, challenge: payload.challenge as string };
  };
  const recorded = { time: clock.now(), nonce: 'b7f3b7f3' };
  await (await send(recorded)).device.next('welcome');
  assert.equal(await (await send(recorded)).device.closed(), 4401);
  const { device, challenge } = await send({ time: clock.now(), nonce: 'another one' });
  await device.next('welcome');
  assert.equal(await (await send({ challenge })).device.closed(), 4401);
  assert.equal(await metric('tailrace_ingest_verifications_total{kind="jwt",outcome="replayed"}'), 2);
});

test('a device without auth is disconnected after ten seconds', async (t) => {
  const { connect, clock, metric } = await startDevices(t);
  const device = connect();
  await clock.advance(9_900);
  assert.equal(device.close, undefined);
  await clock.advance(1_100);
  assert.equal(await device.closed(), 4408);
  await nextTurn();
  assert.equal(await metric('tailrace_ingest_device_closes_total{code="4408"}'), 1);
  assert.equal(await metric('tailrace_ingest_unauthenticated_devices'), 0);
});

test('the oldest connection without auth is closed for a new one at the limit of its address', async (t) => {
  const { connect, login } = await startDevices(t, { settings: { addressUnauthenticatedDevicesMax: 2 } });
  const live = await login();
  const [first, second, third] = [connect(), connect(), connect()];
  assert.equal(await first.closed(), 4408);
  await nextTurn();
  for (const device of [live, second, third]) assert.equal(device.close, undefined);
});

test('a connection above the limit of sessions is refused with Retry-After', async (t) => {
  const { login, refusal, connect } = await startDevices(t, { settings: { deviceSessionsMax: 1 } });
  const device = await login();
  const { status, headers } = refusal();
  assert.equal(status, 503);
  assert.ok(headers.some(([name]) => name === 'Retry-After'));
  device.socket.close();
  await device.closed();
  await nextTurn();
  connect();
});

test('a sender has a limited number of sessions', async (t) => {
  const { login, connect, token } = await startDevices(t, { settings: { deviceSessionsPerIdentityMax: 1 } });
  const first = await login();
  const device = connect();
  const { payload } = await device.next('hello');
  device.send({ type: 'auth', payload: { device: 'plant1.b', token, challenge: payload.challenge } });
  assert.equal(await device.closed(), 1013);
  assert.equal(device.take('error')[0]?.payload.code, 'limit_reached');
  first.socket.abort();
  await nextTurn();
  await login({ device: 'plant1.b' });
});

test('the newest session has the device: the one before is closed with 4409 and the address of the newer', async (t) => {
  const { login, connect, token, metric } = await startDevices(t);
  const first = await login();
  const second = connect();
  const { payload } = await second.next('hello');
  second.send({ type: 'auth', payload: { device: press, token, challenge: payload.challenge } });
  const welcome = await second.next('welcome');
  assert.equal(welcome.payload.replaced?.address, '127.0.0.1');
  assert.equal(await first.closed(), 4409);
  assert.equal(first.close?.reason, 'replaced by a session from 127.0.0.1 on ingest-0');
  assert.equal(first.take('error')[0]?.payload.code, 'conflict');
  await nextTurn();
  assert.equal(await metric('tailrace_ingest_live_devices'), 1);
  assert.equal(await metric('tailrace_ingest_takeovers_total{where="node",fight="yes"}'), 1);
  // Without an event of its own: the newer session supersedes it.
  assert.equal(await metric('tailrace_ingest_session_events_total{event="lost"}'), 0);
});

test('the fourth takeover in a minute waits, and the device is notified', async (t) => {
  const { login, connect, token, clock } = await startDevices(t);
  for (let count = 0; count < 4; count++) await login();
  const device = connect();
  const { payload } = await device.next('hello');
  device.send({ type: 'auth', payload: { device: press, token, challenge: payload.challenge } });
  const error = await device.next('error');
  assert.deepEqual(
    [error.payload.code, error.payload.retryable, error.payload.retryAfterMs],
    ['conflict', true, 1_000],
  );
  await clock.advance(1_000);
  await device.next('welcome');
});

test('a device is pinged after 30 s without anything received, and disconnected 10 s later', async (t) => {
  const { login, clock, metric } = await startDevices(t);
  const [answering, idle] = [await login(), await login({ device: 'plant1.idle' })];
  await clock.advance(29_000);
  // It does not answer the ping.
  idle.socket.stopReading();
  await clock.advance(12_000);
  assert.equal(answering.close, undefined);
  idle.socket.startReading();
  assert.equal(await idle.closed(), 4001);
  await nextTurn();
  assert.equal(await metric('tailrace_ingest_session_events_total{event="timeout"}'), 1);
  await clock.advance(60_000);
  assert.equal(answering.close, undefined);
});

test('the heartbeat does not close a session while its reading is paused', async (t) => {
  const { login, clock, metric } = await startDevices(t, { settings: { deviceWindowMax: 1 } });
  const device = await login();
  device.send(...Array.from({ length: 30 }, (_, index) => statusOf(`a${index}`)));
  await nextTurn();
  assert.equal(await metric('tailrace_ingest_paused_sessions{cause="window"}'), 1);
  device.socket.stopReading();
  // The log settles nothing: each message is refused, and leaves room for the next one after a pause.
  await clock.advance(50_000);
  device.socket.startReading();
  await nextTurn();
  assert.equal(device.close, undefined);
  assert.ok(device.acks().length > 10);
});

test('bye is acknowledged by the answers to what was sent before, and closes with 1000', async (t) => {
  const { login, held, metric } = await startDevices(t);
  const device = await login();
  device.send(statusOf('a1'), { type: 'bye' }, statusOf('a2'));
  await nextTurn();
  assert.equal(held.length, 1);
  held[0]!.confirm();
  assert.equal(await device.closed(), 1000);
  assert.deepEqual(device.acks(), ['a1 accepted']);
  await nextTurn();
  assert.equal(await metric('tailrace_ingest_session_events_total{event="bye"}'), 1);
});

test('bye waits for messages that wait for room, and at most a second for the log', async (t) => {
  const { login, held, clock } = await startDevices(t, { settings: { deviceWindowMax: 1 } });
  const device = await login();
  device.send(statusOf('a1'), statusOf('a2'), { type: 'bye' });
  await nextTurn();
  held.shift()!.confirm();
  await nextTurn();
  assert.equal(held.length, 1, 'the second message');
  assert.equal(device.close, undefined);
  await clock.advance(1_000);
  assert.equal(await device.closed(), 1000);
  assert.deepEqual(device.acks(), ['a1 accepted']);
  // The log settles it after the connection has closed.
  held[0]!.confirm();
  await nextTurn();
});

test('the event of a closed session waits until the log has settled its messages', async (t) => {
  const { login, held, metric } = await startDevices(t);
  const device = await login();
  device.status('a1');
  await nextTurn();
  device.socket.abort();
  await nextTurn();
  assert.equal(await metric('tailrace_ingest_session_events_total{event="lost"}'), 0);
  held[0]!.confirm();
  await nextTurn();
  assert.equal(await metric('tailrace_ingest_session_events_total{event="lost"}'), 1);
});

test('a device can renew its token, and not change its device', async (t) => {
  const { login, tokenFor, clock } = await startDevices(t);
  const device = await login();
  const token = await tokenFor(['plant1.>'], { expiresInMs: 7_200_000 });
  device.send({ type: 'auth', payload: { device: press, token } });
  const { payload } = await device.next('welcome');
  assert.equal(payload.expiresAt, clock.now() + 7_200_000);
  device.send({ type: 'auth', payload: { device: 'plant1.other', token } });
  assert.equal(await device.closed(), 4400);
});

test('a device that renews its token again and again, and reads no answers, is disconnected', async (t) => {
  const { login, token } = await startDevices(t, { settings: { deviceSocketBytesMax: 4_096 } });
  const device = await login();
  device.socket.stopReading();
  for (let count = 0; count < 50; count++) device.send({ type: 'auth', payload: { device: press, token } });
  await nextTurn();
  device.socket.startReading();
  assert.equal(await device.closed(), 4002);
});

test('a device is warned a minute before its token expires, then closed with 4401', async (t) => {
  const { login, tokenFor, clock, metric } = await startDevices(t, { settings: { tokenClockToleranceMs: 0 } });
  const token = await tokenFor(['plant1.>'], { expiresInMs: 90_000 });
  const device = await login({ token });
  await clock.advance(29_000);
  assert.deepEqual(device.take('expiring'), []);
  await clock.advance(2_000);
  const [expiring, ...more] = device.take('expiring');
  assert.deepEqual([expiring!.payload.inMs! <= 60_000, more.length], [true, 0]);
  await clock.advance(61_000);
  assert.equal(await device.closed(), 4401);
  await nextTurn();
  assert.equal(await metric('tailrace_ingest_session_events_total{event="expired"}'), 1);
});

test('the session of a revoked token is closed with 4401', async (t) => {
  const { login, memory, clock, tokenFor } = await startDevices(t);
  const device = await login({ token: await tokenFor(['plant1.>'], { subject: 'stolen' }) });
  const other = await login({ device: 'plant1.b' });
  const metrics = createMetrics({ service: 'fanout', node: 'test', processMetrics: false });
  const control = new ControlTopic({
    ...{ eventLog: memory, topicPrefix: 'tailrace', clock, logger: silentLogger, metrics },
    onCredentials: () => {},
    onRevocations: () => {},
  });
  await control.start();
  t.after(() => control.stop());
  const revoked = control.revoke({ tokenId: 'stolen' });
  await clock.advance(3_000);
  await revoked;
  assert.equal(await device.closed(), 4401);
  assert.equal(other.close, undefined);
});

test('a server that leaves announces it, still accepts messages, and closes sessions with 1012 one after the other', async (t) => {
  const { login, ingest, clock, confirmAll, metric, refusal } = await startDevices(t, { leaveMs: 4_000 });
  const devices: TestDevice[] = [];
  for (let count = 0; count < 4; count++) devices.push(await login({ device: `plant1.d${count}` }));
  const drained = ingest.drain();
  assert.equal(refusal().status, 503);
  await nextTurn();
  assert.deepEqual(
    devices.map((device) => device.take('draining')[0]?.payload.afterMs),
    [4_000, 4_000, 4_000, 4_000],
  );
  const last = devices.at(-1)!;
  last.status('a1');
  assert.equal(await confirmAll(), 1);
  assert.deepEqual(last.acks(), ['a1 accepted']);
  const open = () => devices.filter(({ close }) => close === undefined).length;
  assert.ok(open() >= 2, 'not all at once');
  await clock.advance(4_500);
  await drained;
  assert.deepEqual(
    devices.map(({ close }) => close?.code),
    [1012, 1012, 1012, 1012],
  );
  assert.equal(await metric('tailrace_ingest_session_events_total{event="drain"}'), 4);
});

test('invalid frames are answered, and ten in succession close the connection', async (t) => {
  const { login } = await startDevices(t);
  const device = await login();
  for (let count = 0; count < 9; count++) device.socket.send('[]');
  device.status('x'.repeat(65));
  device.send({ type: 'status', msgid: 'a1', extra: 1 });
  await nextTurn();
  assert.equal(device.take('error').length, 10);
  assert.deepEqual(device.acks(), ['a1 invalid_message']);
  for (let count = 0; count < 10; count++) device.socket.send('{"payload":{}}');
  assert.equal(await device.closed(), 4400);
});

test('binary, too large and too many frames close with their codes', async (t) => {
  const { login } = await startDevices(t, { settings: { deviceMessageBytesMax: 1_024 } });
  const binary = await login();
  binary.socket.send(Buffer.from('{}'));
  assert.equal(await binary.closed(), 4400);
  const large = await login();
  large.status('a1', { payload: { readings: [{ tag: 't', value: 'x'.repeat(1_024) }] } });
  assert.equal(await large.closed(), 4413);
  const pinging = await login();
  for (let count = 0; count < 11; count++) pinging.socket.ping();
  assert.equal(await pinging.closed(), 4429);
});

test('the events of a session have its reason, the grace time, and the position of the last report', async (t) => {
  const { login, confirmAll, events } = await startDevices(t);
  const device = await login();
  device.status('a1');
  await confirmAll();
  device.send({ type: 'bye' });
  assert.equal(await device.closed(), 1000);
  await nextTurn();
  assert.deepEqual(events(), [`started ${press}`, `closed ${press}: bye, 0 ms, 0`]);
  const lost = await login();
  lost.status('a2');
  await nextTurn();
  lost.socket.abort();
  await nextTurn();
  await nextTurn();
  assert.deepEqual(events(), [`started ${press}`], 'not before the log has settled its message');
  await confirmAll();
  await nextTurn();
  assert.deepEqual(events(), [`closed ${press}: lost, 5000 ms, 1`]);
  // A session that is replaced has no event: the higher number of the newer one supersedes it.
  const [older, newer] = [await login({ instance: 'b1' }), await login({ instance: 'b1' })];
  assert.equal(await older.closed(), 4409);
  newer.socket.abort();
  await nextTurn();
  await nextTurn();
  assert.deepEqual(events(), [`started ${press}`, `started ${press}`, `closed ${press}: lost, 5000 ms, 1`]);
});

test('sessions in quick succession count as events of their device: beyond its rate they are refused for now', async (t) => {
  const { connect, token, clock, login, events } = await startDevices(t, {
    settings: { deviceEventsPerSecond: 10, deviceEventsBurst: 5 },
  });
  const attempt = async () => {
    const device = connect();
    const { payload } = await device.next('hello');
    device.send({ type: 'auth', payload: { device: press, token, challenge: payload.challenge } });
    while (device.received.length === 0 && device.close === undefined) await nextTurn();
    const [answer] = device.received;
    device.send({ type: 'bye' });
    await device.closed();
    return answer!.payload.code ?? answer!.type;
  };
  const answers: string[] = [];
  for (let n = 0; n < 8; n++) answers.push(await attempt());
  assert.deepEqual(answers, [...Array(5).fill('welcome'), ...Array(3).fill('rate_limited')]);
  assert.equal(events().filter((event) => event.startsWith('started')).length, 5);
  // Another device of the same sender is not affected.
  await login({ device: 'plant1.other' });
  await clock.advance(100);
  assert.equal(await attempt(), 'welcome');
});
