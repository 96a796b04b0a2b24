import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createListeningNode, nothingSent } from '../../test/listening-node.ts';
import { offline, stale } from './presences.ts';

const secondly = { everyMs: 1_000, devices: ['p.a', 'p.b'] };

test('a device that stops reporting is stale, then offline, and online again with its next report', async () => {
  const node = createListeningNode();
  node.watch('p.>');
  await node.pass(20_000, secondly);
  const lastMs = node.clock.now();
  assert.deepEqual(node.takeNotifications(), []);
  await node.pass(4_500, { everyMs: 1_000, devices: ['p.b'] });
  assert.deepEqual(node.takeNotifications(), [], 'no device is stale before the minimum');
  await node.pass(3_000, { everyMs: 1_000, devices: ['p.b'] });
  assert.deepEqual(node.takeNotifications(), ['stale p.a']);
  assert.deepEqual(node.notifications[0]!.message, { stale: { device: 'p.a', since: lastMs } });
  await node.pass(60_000, { everyMs: 1_000, devices: ['p.b'] });
  assert.deepEqual(node.takeNotifications(), ['offline p.a']);
  assert.deepEqual(node.notifications[1]!.message, { offline: { device: 'p.a', since: lastMs } });
  await node.pass(600_000, { everyMs: 1_000, devices: ['p.b'] });
  assert.deepEqual(node.takeNotifications(), [], 'it is sent once');
  node.report('p.a');
  assert.deepEqual(node.takeNotifications(), ['online p.a']);
  await node.pass(15_000, { everyMs: 1_000, devices: ['p.b'] });
  assert.deepEqual(node.takeNotifications(), ['stale p.a'], 'and again if it stops reporting again');
});

test('a device with an open session is stale without reports and not offline, until the session is gone', async () => {
  const node = createListeningNode();
  node.watch('p.>');
  await node.pass(20_000, secondly);
  let isConnected = true;
  const session = { number: 1, startedMs: 0 };
  node.presence.freshness.sessionOf = ({ path }) => (path === 'p.a' && isConnected ? session : undefined);
  await node.pass(600_000);
  assert.deepEqual(node.takeNotifications().sort(), ['offline p.b', 'stale p.a', 'stale p.b']);
  isConnected = false;
  await node.pass(63_000);
  assert.deepEqual(node.takeNotifications(), ['offline p.a']);
});

test('a device is checked by its own report interval', async () => {
  const node = createListeningNode();
  node.watch('p.>');
  for (let minute = 0; minute < 20; minute++) await node.pass(60_000, { everyMs: 60_000, devices: ['p.slow'] });
  assert.deepEqual(node.takeNotifications(), []);
  await node.pass(140_000);
  assert.deepEqual(node.takeNotifications(), []);
  await node.pass(60_000);
  assert.deepEqual(node.takeNotifications(), ['stale p.slow']);
});

test('a device with two reports is not checked', async () => {
  const node = createListeningNode();
  node.watch('p.>');
  node.report('p.a');
  await node.pass(2_000);
  node.report('p.a');
  await node.pass(3_600_000);
  assert.deepEqual(node.takeNotifications(), []);
});

test('while the log is unavailable no device is stale, and afterwards devices have time to report', async () => {
  const node = createListeningNode();
  node.watch('p.>');
  await node.pass(20_000, secondly);
  node.isLogUnavailable = true;
  await node.pass(120_000);
  assert.deepEqual(
    node.takeNotifications().filter((each) => each.startsWith('stale')),
    [],
  );
  node.isLogUnavailable = false;
  await node.pass(4_000);
  await node.pass(20_000, secondly);
  assert.deepEqual(
    node.takeNotifications().filter((each) => each.startsWith('stale')),
    [],
  );
  await node.pass(8_000);
  assert.equal(node.takeNotifications().filter((each) => each.startsWith('stale')).length, 2);
});

test('while the node lags behind the log no device is stale', async () => {
  const node = createListeningNode();
  node.watch('p.>');
  await node.pass(20_000, secondly);
  node.report('p.c', { unread: true });
  await node.pass(120_000);
  assert.deepEqual(
    node.takeNotifications().filter((each) => each.startsWith('stale')),
    [],
  );
});

test('reports that ingest received long ago, and that are read only now, do not make a device stale', async () => {
  const node = createListeningNode();
  node.watch('p.>');
  await node.pass(20_000, secondly);
  // The clock of ingest is a minute behind.
  for (let i = 0; i < 60; i++) {
    await node.pass(1_000);
    for (const device of secondly.devices) node.report(device, { receivedMs: node.clock.now() - 60_000 });
  }
  assert.deepEqual(node.takeNotifications(), []);
});

test('a new owner checks by the report interval that the previous one measured, after a grace period', async () => {
  const node = createListeningNode({ owned: false });
  const [partition] = node.partitions;
  node.watch('p.>');
  const nowMs = node.clock.now();
  const week = 7 * 86_400_000;
  partition!.restore('p.quick', [], { intervalMs: 1_000, lastMs: nowMs - 2_000 });
  partition!.restore('p.slow', [], { intervalMs: week, lastMs: nowMs - week });
  partition!.restore('p.dead', [], { intervalMs: 3_600_000, lastMs: nowMs - 5 * week });
  partition!.gain(1, 0, 0);
  await node.pass(5_000);
  assert.deepEqual(node.takeNotifications(), []);
  await node.pass(5_000);
  assert.deepEqual(node.takeNotifications(), ['stale p.quick']);
  await node.pass(52_000);
  assert.deepEqual(node.takeNotifications(), ['offline p.dead']);
  await node.pass(3_600_000);
  assert.deepEqual(node.takeNotifications(), ['offline p.quick']);
});

test('a new owner does not repeat what clients here were sent for the previous owner', async () => {
  const node = createListeningNode({ owned: false });
  const [partition] = node.partitions;
  node.watch('p.>');
  const lastMs = node.clock.now() - 10_000;
  const device = partition!.device('p.quick');
  partition!.setIdle(device, { state: stale, sinceMs: lastMs, seq: device.lastSeq });
  assert.deepEqual(node.takeNotifications(), ['stale p.quick']);
  partition!.restore('p.quick', [], { intervalMs: 1_000, lastMs });
  partition!.gain(1, 0, 0);
  await node.pass(20_000);
  assert.deepEqual(node.takeNotifications(), []);
});

test('a presence that arrives late, twice or after the next report changes nothing', () => {
  const node = createListeningNode();
  node.watch('p.>');
  node.report('p.a');
  const device = node.partitions[0]!.device('p.a');
  const { presences } = node.presence;
  assert.ok(presences.setIdle(device, { state: offline, sinceMs: 1, seq: 0 }));
  assert.ok(!presences.setIdle(device, { state: stale, sinceMs: 1, seq: 0 }));
  assert.ok(!presences.setIdle(device, { state: offline, sinceMs: 1, seq: 0 }));
  node.report('p.a');
  assert.ok(!presences.setIdle(device, { state: offline, sinceMs: 1, seq: 0 }));
  assert.deepEqual(node.takeNotifications(), ['offline p.a', 'online p.a']);
});

test('a state of an earlier session that arrives late changes nothing for a device that is online by a session', () => {
  const node = createListeningNode();
  node.watch('p.>');
  node.report('p.a');
  const [partition] = node.partitions;
  const device = partition!.device('p.a');
  const gone = { state: offline, sinceMs: 1, seq: device.lastSeq, session: 1 } as const;
  partition!.setOnline(device, { seq: device.lastSeq, session: 1 });
  partition!.setIdle(device, gone);
  partition!.setOnline(device, { seq: device.lastSeq, session: 1 });
  partition!.setOnline(device, { seq: device.lastSeq, session: 2 });
  partition!.setOnline(device, { seq: device.lastSeq, session: 2 });
  partition!.setIdle(device, gone);
  assert.deepEqual(node.takeNotifications(), ['offline p.a', 'online p.a']);
  assert.deepEqual([...partition!.connectedDevices('p.>')].length, 1);
  partition!.setIdle(device, { ...gone, session: 2 });
  node.report('p.a');
  assert.deepEqual(node.takeNotifications(), ['offline p.a', 'online p.a']);
  assert.deepEqual([...partition!.connectedDevices('p.>')], []);
});

test('a new client is sent the stale devices of its channel, and no others', async () => {
  const node = createListeningNode();
  await node.pass(20_000, { everyMs: 1_000, devices: ['p.a', 'q.a'] });
  await node.pass(10_000);
  const channel = node.watch('p.>');
  const view = channel.views.get('json')!;
  const frames = node.presence
    .frames(channel, view, nothingSent)
    .map((frame) => Object.keys(JSON.parse(String(frame)))[0]);
  assert.deepEqual(frames, ['stale']);
});

test('a hundred thousand devices are checked when they are due, and not in between', async () => {
  const node = createListeningNode();
  const partition = node.partitions[0]!;
  const { devices } = partition;
  const nowMs = node.clock.now();
  for (let i = 0; i < 100_000; i++) partition.restore(`p.d${i}`, [], { intervalMs: 3_600_000, lastMs: nowMs });
  node.presence.freshness.watch(devices.values());
  let checks = 0;
  const get = devices.get.bind(devices);
  Object.assign(devices, {
    get(path: string) {
      checks++;
      return get(path);
    },
  });
  await node.pass(120_000);
  // Once after `watch`, and then once a minute.
  assert.ok(checks >= 100_000 && checks <= 300_000, `${checks} checks`);
});
