import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClusterClient, type ClusterNode, randomFrom } from '../../test/cluster.ts';
import { assertNothingLeft, assertWhole, devices, leave, load, settle, withCluster } from '../../test/cluster-load.ts';

test('a node alone shows a device its last value, then every report once', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 2, 10);
    const client = node!.client(devices[0]!);
    assert.deepEqual(
      client.snapshot.map((seen) => seen.value),
      [2],
    );
    await load(cluster, appended, 3, 10);
    assert.deepEqual(
      client.live.map((seen) => seen.value),
      [3, 4, 5],
    );
  });
});

test('three nodes share the partitions, and every node delivers all reports of every device, whichever node owns it', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const owned = nodes.map(
      (node) => node.ownership.partitions.filter((partition) => partition.role === 'owned').length,
    );
    assert.equal(
      owned.reduce((sum, count) => sum + count, 0),
      cluster.partitions,
    );
    assert.ok(
      owned.every((count) => count > 0),
      `owned: ${owned}`,
    );
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 2, 10);
    const clients = nodes.flatMap((node) =>
      devices.map((device) => ({ client: node.client(device), channel: [device] })),
    );
    const subtrees = nodes.map((node) => ({ client: node.client('plant.>'), channel: devices }));
    await load(cluster, appended, 20, 10);
    await settle(cluster);
    for (const { client, channel } of [...clients, ...subtrees]) assertWhole(client, channel, appended);
    // The snapshot, not the beginning of the log: two reports came before.
    for (const { client } of clients) assert.equal(client.snapshot.length, 1);
  });
});

test('relay frames that are lost, doubled and out of order leave no gap and no duplicate', async () => {
  for (let seed = 1; seed <= 8; seed++) {
    await withCluster(
      ['a', 'b', 'c'],
      async (cluster, nodes) => {
        const appended = new Map<string, number[]>();
        await load(cluster, appended, 1, 10);
        cluster.setNetworkFaults({
          delayMs: { min: 0, max: 30 },
          loss: 0.1,
          duplication: 0.1,
          reordering: { probability: 0.1, byMs: 50 },
        });
        const clients = nodes.flatMap((node) => [
          ...devices.map((device) => ({ client: node.client(device), channel: [device] })),
          { client: node.client('plant.>'), channel: devices },
        ]);
        await load(cluster, appended, 40, 50);
        cluster.setNetworkFaults({});
        await load(cluster, appended, 1, 50);
        await settle(cluster);
        const breaks = nodes.reduce((sum, node) => sum + node.ownership.counts.relay.gaps, 0);
        assert.ok(breaks > 0, 'no frame was lost: the test tests nothing');
        for (const { client, channel } of clients) assertWhole(client, channel, appended);
      },
      seed,
    );
  }
});

test('clients of the other nodes receive every report while a node joins, leaves and joins again', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 1, 10);
    const clients = nodes.flatMap((node) => [
      ...devices.map((device) => ({ client: node.client(device), channel: [device] })),
      { client: node.client('plant.>'), channel: devices },
    ]);
    await load(cluster, appended, 5, 50);
    for (let times = 0; times < 3; times++) {
      const third = await cluster.node('c');
      await load(cluster, appended, 20, 100);
      const stopped = third.stop();
      await load(cluster, appended, 20, 100);
      await stopped;
    }
    await load(cluster, appended, 5, 1_000);
    await settle(cluster);
    for (const { client, channel } of clients) assertWhole(client, channel, appended);
  });
});

test('a node that was isolated from the bus sends its clients their backlog once it is back', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 1, 10);
    const clients = nodes.map((node) => ({ client: node.client('>'), channel: devices }));
    await load(cluster, appended, 5, 50);
    cluster.isolate('b');
    await load(cluster, appended, 100, 100);
    cluster.heal('b');
    await load(cluster, appended, 5, 1_000);
    await settle(cluster);
    for (const { client, channel } of clients) assertWhole(client, channel, appended);
  });
});

test('a report written twice under one ID is shown once', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const clients = nodes.map((node) => node.client('plant.>'));
    await cluster.clock.advance(1_000);
    for (let i = 0; i < 20; i++) {
      await cluster.append(devices[i % 12]!, i, `id-${i}`);
      if (i % 3 === 0) await cluster.append(devices[i % 12]!, i, `id-${i}`);
      await cluster.clock.advance(20);
    }
    await settle(cluster);
    for (const client of clients) {
      const values = client.live.map((seen) => seen.value).sort((a, b) => a - b);
      assert.deepEqual(
        values,
        Array.from({ length: 20 }, (_, i) => i),
      );
    }
  });
});

test('channels without clients are released at the owner, too', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const random = randomFrom(7);
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 1, 10);
    const clients: { node: ClusterNode; client: ClusterClient }[] = [];
    for (let i = 0; i < 200; i++) {
      const node = nodes[random() < 0.5 ? 0 : 1]!;
      if (random() < 0.6)
        clients.push({
          node,
          client: node.client(random() < 0.2 ? 'plant.line1.>' : devices[Math.floor(random() * 12)]!),
        });
      else if (clients.length > 0) {
        const [{ node: home, client }] = clients.splice(Math.floor(random() * clients.length), 1) as [
          (typeof clients)[0],
        ];
        leave(home, client);
      }
      await cluster.clock.advance(random() < 0.5 ? 0 : 20);
    }
    for (const { node, client } of clients) leave(node, client);
    await settle(cluster);
    assertNothingLeft(nodes);
  });
});
