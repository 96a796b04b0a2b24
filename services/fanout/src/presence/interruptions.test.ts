import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partitionOf } from '@tailrace/protocol/partition';
import { createListeningNode } from '../../test/listening-node.ts';

test('clients are told once that partitions are silent, with which and since when, and that all are heard again', async () => {
  const node = createListeningNode({ partitions: 3 });
  const channel = node.watch('p.>');
  await node.pass(5_000);
  const heardMs = node.clock.monotonic();
  const since = node.clock.now();
  node.deliveredThroughMs = (partition) => (partition === 1 ? heardMs : node.clock.monotonic());
  await node.pass(1_500);
  assert.deepEqual(node.news(), [], 'an ordinary handover');
  await node.pass(20_000);
  const view = channel.views.get('json')!.number;
  assert.deepEqual(
    node.told.map(({ message }) => message),
    [{ interrupted: { view, since, partitions: [1] } }],
  );
  assert.equal(node.silences.interruptions.size, 1);
  node.deliveredThroughMs = undefined;
  await node.pass(1_000);
  assert.deepEqual(node.told[1]!.message, { restored: { view } });
  assert.equal(node.silences.interruptions.size, 0);
});

/** A node of which the second of three partitions is silent since `heardMs`, and whose client knows. */
async function withOneSilent() {
  const node = createListeningNode({ partitions: 3 });
  node.watch('p.>');
  await node.pass(5_000);
  const heardMs = node.clock.monotonic();
  node.deliveredThroughMs = (partition) => (partition === 1 ? heardMs : node.clock.monotonic());
  await node.pass(5_000);
  return { node, heardMs };
}

test('when more partitions fall silent it is told again, with all of them', async () => {
  const { node, heardMs } = await withOneSilent();
  node.deliveredThroughMs = (partition) => (partition >= 1 ? heardMs : node.clock.monotonic());
  await node.pass(5_000);
  const partitions = node.told.map(({ message }) => 'interrupted' in message && message.interrupted.partitions);
  assert.deepEqual(partitions, [[1], [1, 2]]);
});

test('when another partition falls silent as one comes back it is told again, with those that are silent', async () => {
  const { node, heardMs } = await withOneSilent();
  node.deliveredThroughMs = (partition) => (partition === 2 ? heardMs : node.clock.monotonic());
  await node.pass(5_000);
  const partitions = node.told.map(({ message }) => 'interrupted' in message && message.interrupted.partitions);
  assert.deepEqual(partitions, [[1], [2]]);
});

test('a client that comes during an interruption is told at once, and one of other partitions never', async () => {
  const node = createListeningNode({ partitions: 3 });
  const channel = node.watch('p.>');
  await node.pass(5_000);
  node.deliveredThroughMs = (partition) => (partition === channel.partitions[2] ? 0 : node.clock.monotonic());
  await node.pass(5_000);
  const view = channel.views.get('json')!;
  const frames = node.silences.frames(channel, view).map((frame) => Object.keys(JSON.parse(String(frame)))[0]);
  assert.deepEqual(frames, ['interrupted']);
  const elsewhere = ['p.a', 'p.b', 'p.c', 'p.d', 'p.e'].find((device) => partitionOf(device, 3) !== 2)!;
  assert.deepEqual(node.silences.frames(node.channels.open(elsewhere), view), []);
});

test('a partition that this node has lost the log for is silent, too', async () => {
  const node = createListeningNode();
  node.watch('p.>');
  await node.pass(5_000);
  node.logFault = true;
  await node.pass(5_000);
  node.logFault = false;
  await node.pass(2_000);
  assert.deepEqual(node.news(), ['interrupted', 'restored']);
});
