import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partitionOf } from '@tailrace/protocol/partition';
import { createCluster } from '../../test/cluster.ts';
import { createListeningNode, nothingSent } from '../../test/listening-node.ts';

test('clients are sent interrupted once, with the partitions and the time, and restored when all are back', async () => {
  const node = createListeningNode({ partitions: 3 });
  const channel = node.watch('p.>');
  await node.pass(5_000);
  const readMs = node.clock.monotonic();
  const since = node.clock.now();
  node.deliveredThroughMs = (partition) => (partition === 1 ? readMs : node.clock.monotonic());
  await node.pass(1_500);
  assert.deepEqual(node.takeNotifications(), [], 'an ordinary handover');
  await node.pass(20_000);
  const view = channel.views.get('json')!.number;
  assert.deepEqual(
    node.notifications.map(({ message }) => message),
    [{ interrupted: { view, since, partitions: [1] } }],
  );
  assert.equal(node.presence.interruptions.size, 1);
  node.deliveredThroughMs = undefined;
  await node.pass(1_000);
  assert.deepEqual(node.notifications[1]!.message, { restored: { view } });
  assert.equal(node.presence.interruptions.size, 0);
});

/** A node whose second of three partitions is not read after `readMs`, and whose client was notified. */
async function withOneInterrupted() {
  const node = createListeningNode({ partitions: 3 });
  node.watch('p.>');
  await node.pass(5_000);
  const readMs = node.clock.monotonic();
  node.deliveredThroughMs = (partition) => (partition === 1 ? readMs : node.clock.monotonic());
  await node.pass(5_000);
  return { node, readMs };
}

test('when further partitions are interrupted, interrupted is sent again with all of them', async () => {
  const { node, readMs } = await withOneInterrupted();
  node.deliveredThroughMs = (partition) => (partition >= 1 ? readMs : node.clock.monotonic());
  await node.pass(5_000);
  const partitions = node.notifications.map(
    ({ message }) => 'interrupted' in message && message.interrupted.partitions,
  );
  assert.deepEqual(partitions, [[1], [1, 2]]);
});

test('when another partition is interrupted as one is restored, interrupted is sent again with the present ones', async () => {
  const { node, readMs } = await withOneInterrupted();
  node.deliveredThroughMs = (partition) => (partition === 2 ? readMs : node.clock.monotonic());
  await node.pass(5_000);
  const partitions = node.notifications.map(
    ({ message }) => 'interrupted' in message && message.interrupted.partitions,
  );
  assert.deepEqual(partitions, [[1], [2]]);
});

test('a client that subscribes during an interruption is notified at once, and one of other partitions is not', async () => {
  const node = createListeningNode({ partitions: 3 });
  const channel = node.watch('p.>');
  await node.pass(5_000);
  node.deliveredThroughMs = (partition) => (partition === channel.partitions[2] ? 0 : node.clock.monotonic());
  await node.pass(5_000);
  const view = channel.views.get('json')!;
  const frames = node.presence
    .frames(channel, view, nothingSent)
    .map((frame) => Object.keys(JSON.parse(String(frame)))[0]);
  assert.deepEqual(frames, ['interrupted']);
  const elsewhere = ['p.a', 'p.b', 'p.c', 'p.d', 'p.e'].find((device) => partitionOf(device, 3) !== 2)!;
  assert.deepEqual(node.presence.frames(node.channels.open(elsewhere), view, nothingSent), []);
});

test('a client of a channel that was not checked yet is notified when it joins, not by the next check', async () => {
  const node = createListeningNode({ partitions: 3 });
  node.watch('p.>');
  await node.pass(5_000);
  const readMs = node.clock.monotonic();
  node.deliveredThroughMs = () => readMs;
  await node.pass(5_000);
  const channel = node.watch('p.late');
  const view = channel.views.get('json')!;
  const frames = node.presence
    .frames(channel, view, nothingSent)
    .map((frame) => Object.keys(JSON.parse(String(frame)))[0]);
  assert.deepEqual(frames, ['interrupted']);
});

test('the partitions of a node that cannot read the log are interrupted', async () => {
  const node = createListeningNode();
  node.watch('p.>');
  await node.pass(5_000);
  node.isLogUnavailable = true;
  await node.pass(5_000);
  node.isLogUnavailable = false;
  await node.pass(2_000);
  assert.deepEqual(node.takeNotifications(), ['interrupted', 'restored']);
});

test('a client of a partition that this node has just taken over is not notified of an interruption that never was', async () => {
  const cluster = await createCluster({ partitions: 4 });
  const { clock } = cluster;
  const first = await cluster.node('a');
  await clock.advance(5_000);
  const second = await cluster.node('b');
  await clock.advance(60_000);
  const [moved] = second.ownership.partitions.filter(({ role }) => role === 'owned');
  const { number } = moved!;
  const device = Array.from({ length: 100 }, (_, n) => `plant.d${n}`).find((path) => partitionOf(path, 4) === number)!;
  await cluster.append(device, 1);
  await clock.advance(10_000);
  const isOwned = () => first.ownership.partitions[number]!.role === 'owned';
  assert.ok(!isOwned());
  const stopped = second.stop();
  for (let ms = 0; ms < 20_000 && !isOwned(); ms += 10) await clock.advance(10);
  assert.ok(isOwned());
  const client = first.client(device);
  await clock.advance(5_000);
  await stopped;
  assert.equal(client.snapshot.length, 1);
  assert.deepEqual(client.notifications, []);
  await cluster.close();
});

test('nor is a client of another node, which the new owner serves by relay', async () => {
  const cluster = await createCluster({ partitions: 8 });
  const { clock } = cluster;
  const nodes = await Promise.all(['a', 'b', 'c'].map((name) => cluster.node(name)));
  await clock.advance(10_000);
  const stopping = nodes.find(({ ownership }) => ownership.partitions.some(({ role }) => role === 'owned'))!;
  const others = nodes.filter((node) => node !== stopping);
  const { number } = stopping.ownership.partitions.find(({ role }) => role === 'owned')!;
  const device = Array.from({ length: 100 }, (_, n) => `plant.d${n}`).find((path) => partitionOf(path, 8) === number)!;
  await cluster.append(device, 1);
  const earlier = others.map((node) => node.client(device));
  await clock.advance(5_000);
  for (const client of earlier) client.disconnect();
  await clock.advance(60_000);
  const stopped = stopping.stop();
  const owner = () => others.find(({ ownership }) => ownership.partitions[number]!.role === 'owned');
  for (let ms = 0; ms < 20_000 && owner() === undefined; ms += 10) await clock.advance(10);
  const client = others.find((node) => node !== owner())!.client(device);
  await clock.advance(5_000);
  await stopped;
  assert.equal(client.snapshot.length, 1);
  assert.deepEqual(client.notifications, []);
  await cluster.close();
});

test('a client whose owner replies late is not notified of an interruption, if frames came meanwhile', async () => {
  const cluster = await createCluster({ partitions: 4 });
  const { clock } = cluster;
  const nodes = await Promise.all(['a', 'b'].map((name) => cluster.node(name)));
  await clock.advance(10_000);
  const [first, second] = nodes;
  const { number } = second!.ownership.partitions.find(({ role }) => role === 'owned')!;
  const device = Array.from({ length: 100 }, (_, n) => `plant.d${n}`).find((path) => partitionOf(path, 4) === number)!;
  await cluster.append(device, 1);
  const { bus } = first!;
  const request = bus.request.bind(bus);
  bus.request = async (...args) => {
    const reply = await request(...args);
    await clock.sleep(4_000);
    return reply;
  };
  const client = first!.client(device);
  await clock.advance(10_000);
  assert.equal(client.snapshot.length, 1);
  assert.deepEqual(client.notifications, []);
  await cluster.close();
});
