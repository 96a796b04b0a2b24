import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock, type FakeClock } from '@tailrace/testkit/fake-clock';
import { nextTurn, press, startDevices, statusOf, type TestDevice } from '../../test/device-fixture.ts';

/** Two ingest nodes with a log and a transport each, on one network. */
async function startNodes(t: TestContext) {
  const clock = createFakeClock({ nowMs: 1_764_446_400_000 });
  const network = createMemoryNetwork({ clock, random: () => 0.5 });
  const start = (node: string) =>
    startDevices(t, { clock, node, bus: network.createBus({ node, logger: silentLogger }) });
  const [a, b] = [await start('ingest-0'), await start('ingest-1')];
  await nextTurn();
  await clock.advance(10);
  return { clock, network, a, b };
}

/**
 * Resolves with the reason of the close. The verification of a token takes real time: the clock moves on slowly, and
 * less than a hand-over may take.
 */
async function closeOf(device: TestDevice, clock: FakeClock): Promise<string> {
  for (let turn = 1; turn <= 10_000 && device.close === undefined; turn++) {
    await nextTurn();
    if (turn % 20 !== 0) continue;
    await clock.advance(1);
    await sleep(1);
  }
  return device.close?.reason ?? 'open';
}

test('a device that moves to another node gets its answers there, and the log has each message once', async (t) => {
  const { clock, a, b } = await startNodes(t);
  const first = await a.login();
  first.status('a1');
  await a.confirmAll();
  assert.deepEqual(first.acks(), ['a1 accepted']);
  first.status('a2', { qos: 2 });
  await nextTurn();
  await clock.advance(10);
  const second = b.connect();
  const { payload } = await second.next('hello');
  const auth = { type: 'auth', payload: { device: press, token: b.token, challenge: payload.challenge } };
  second.send(auth, statusOf('a1'), statusOf('a2', { qos: 2 }), statusOf('a3'));
  assert.equal(await closeOf(first, clock), 'replaced by a session from 127.0.0.1 on ingest-1');
  // The older session is closed; the newer one waits for the log to settle its message.
  assert.deepEqual(second.take('welcome'), []);
  await a.confirmAll();
  await clock.advance(20);
  await second.next('welcome');
  assert.deepEqual(second.acks(), ['a1 duplicate', 'a2 duplicate']);
  assert.equal(await b.confirmAll(), 1);
  assert.deepEqual(second.acks(), ['a3 accepted']);
  assert.equal(await a.metric('tailrace_ingest_takeovers_total{where="cluster",fight="yes"}'), 1);
  assert.equal(await a.metric('tailrace_ingest_live_devices'), 0);
});

test('a device whose former node waits for the log is refused meanwhile, and then has nothing in the log twice', async (t) => {
  const { clock, a, b } = await startNodes(t);
  const first = await a.login();
  first.status('a1');
  await nextTurn();
  await clock.advance(10);
  const second = b.connect();
  const { payload } = await second.next('hello');
  second.send({ type: 'auth', payload: { device: press, token: b.token, challenge: payload.challenge } });
  assert.match(await closeOf(first, clock), /^replaced/);
  await clock.advance(1_000);
  await second.next('welcome');
  second.status('a1');
  second.status('a2');
  await nextTurn();
  await clock.advance(4_000);
  assert.deepEqual([second.acks(), b.held.length], [[], 0]);
  await clock.advance(1_500);
  assert.deepEqual(second.acks(), ['a1 unavailable', 'a2 unavailable']);
  second.status('a1');
  await nextTurn();
  assert.deepEqual([second.acks(), b.held.length], [['a1 unavailable'], 0]);
  await a.confirmAll();
  await clock.advance(1_000);
  second.status('a1');
  second.status('a2');
  assert.equal(await b.confirmAll(), 1);
  assert.deepEqual(second.acks(), ['a1 duplicate', 'a2 accepted']);
});

test('a device that was abandoned by its newer session counts as lost', async (t) => {
  const { clock, a, b } = await startNodes(t);
  // Of a message that the log never settles, so that the hand-over waits.
  const device = await a.login();
  device.status('a1');
  await nextTurn();
  await clock.advance(10);
  const second = b.connect();
  const { payload } = await second.next('hello');
  second.send({ type: 'auth', payload: { device: press, token: b.token, challenge: payload.challenge } });
  assert.match(await closeOf(device, clock), /^replaced/);
  second.socket.abort();
  await a.confirmAll();
  await clock.advance(9_000);
  assert.equal(await a.metric('tailrace_ingest_session_events_total{event="lost"}'), 0);
  await clock.advance(3_000);
  assert.equal(await a.metric('tailrace_ingest_session_events_total{event="lost"}'), 1);
});

test('a node serves its devices while it has no connection to the bus, and closes the older session afterwards', async (t) => {
  const { clock, network, a, b } = await startNodes(t);
  const first = await a.login();
  await clock.advance(10);
  network.partition('ingest-0');
  const second = await b.login({ instance: 'boot 2' });
  for (const [device, node] of [
    [first, a],
    [second, b],
  ] as const) {
    device.status('m1');
    // The other node is lost: what the log has of the device is looked up.
    await clock.advance(600);
    await node.confirmAll();
    assert.deepEqual(device.acks(), ['m1 accepted']);
  }
  network.heal('ingest-0');
  for (let second = 0; second < 10; second++) {
    await clock.advance(1_000);
    await nextTurn();
  }
  assert.equal(first.close?.code, 4409);
  assert.equal(second.close, undefined);
});
