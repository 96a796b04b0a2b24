import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Cluster,
  type ClusterClient,
  type ClusterNode,
  createCluster,
  limits,
  randomFrom,
} from '../test/cluster.ts';

const settleMs = 30_000;

async function withCluster(
  names: readonly string[],
  run: (cluster: Cluster, nodes: ClusterNode[]) => Promise<void>,
  seed = 1,
): Promise<void> {
  const cluster = await createCluster({ seed });
  const nodes: ClusterNode[] = [];
  for (const name of names) nodes.push(await cluster.node(name));
  await settle(cluster);
  try {
    await run(cluster, nodes);
  } finally {
    await cluster.close();
  }
}

async function settle(cluster: Cluster): Promise<void> {
  await cluster.clock.advance(settleMs);
}

/** I2 and I3 for one client: everything appended from its start on, once, in the order of each device. */
function assertWhole(
  client: ClusterClient,
  devices: readonly string[],
  appended: ReadonlyMap<string, readonly number[]>,
): void {
  assert.deepEqual(client.errors, []);
  for (const device of devices) {
    const shown = [...client.snapshot, ...client.live].filter((seen) => seen.device === device);
    for (let i = 1; i < shown.length; i++)
      assert.ok(shown[i]!.seq > shown[i - 1]!.seq, `${device}: seq ${shown[i]!.seq} after ${shown[i - 1]!.seq}`);
    const all = appended.get(device) ?? [];
    const first = shown[0]?.value;
    assert.deepEqual(
      shown.map((seen) => seen.value),
      first === undefined ? [] : all.slice(all.indexOf(first)),
      `${device} is not shown whole`,
    );
    assert.equal(shown.at(-1)?.value, all.at(-1), `${device}: the last report is not shown`);
  }
}

const devices = Array.from({ length: 12 }, (_, i) => `plant.line${i % 3}.m${i}`);

/** Appends reports of the devices in turn, `times` each, with time passing between. */
async function load(cluster: Cluster, appended: Map<string, number[]>, times: number, stepMs: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    for (const device of devices) {
      const value = (appended.get(device)?.at(-1) ?? 0) + 1;
      await cluster.append(device, value);
      appended.set(device, [...(appended.get(device) ?? []), value]);
    }
    await cluster.clock.advance(stepMs);
  }
}

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

test('three nodes share the partitions, and every node shows every device whole, wherever it lives', async () => {
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
        cluster.setFaults({
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
        cluster.setFaults({});
        await load(cluster, appended, 1, 50);
        await settle(cluster);
        const breaks = nodes.reduce((sum, node) => sum + node.ownership.counts.mirror.breaks, 0);
        assert.ok(breaks > 0, 'no chain broke: the test tests nothing');
        for (const { client, channel } of clients) assertWhole(client, channel, appended);
      },
      seed,
    );
  }
});

test('clients of the nodes that stay see everything while another node joins, leaves and comes back', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 1, 10);
    const clients = nodes.flatMap((node) => [
      ...devices.map((device) => ({ client: node.client(device), channel: [device] })),
      { client: node.client('plant.>'), channel: devices },
    ]);
    await load(cluster, appended, 5, 50);
    for (let round = 0; round < 3; round++) {
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

test('a node cut off from the bus shows its clients what they missed once it is back', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 1, 10);
    const clients = nodes.map((node) => ({ client: node.client('>'), channel: devices }));
    await load(cluster, appended, 5, 50);
    cluster.cut('b');
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

test('channels that nobody watches any more are let go at the owner, too', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const random = randomFrom(7);
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 1, 10);
    let clients: { node: ClusterNode; client: ClusterClient }[] = [];
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
        client.subscription!.view.sockets -= client.start === undefined ? 0 : 1;
        home.hub.unsubscribe(client.subscription!);
      }
      await cluster.clock.advance(random() < 0.5 ? 0 : 20);
    }
    for (const { node, client } of clients) {
      client.subscription!.view.sockets--;
      node.hub.unsubscribe(client.subscription!);
    }
    clients = [];
    await settle(cluster);
    for (const node of nodes) {
      assert.equal(node.channels.size, 0);
      for (const partition of node.ownership.partitions) {
        assert.ok(
          partition.feed.interests.empty,
          `${node.name} still serves interest in partition ${partition.number}`,
        );
        if (partition.role === 'elsewhere')
          assert.equal(partition.devices.size, 0, `${node.name} keeps devices of partition ${partition.number}`);
      }
    }
  });
});

test('clients that come and go while relay frames are lost take nothing from those that stay', async () => {
  for (let seed = 1; seed <= 8; seed++) {
    await withCluster(
      ['a', 'b'],
      async (cluster, nodes) => {
        const random = randomFrom(seed);
        const appended = new Map<string, number[]>();
        await load(cluster, appended, 1, 10);
        const stay = nodes.flatMap((node) =>
          devices.map((device) => ({ client: node.client(device), channel: [device] })),
        );
        await load(cluster, appended, 1, 10);
        cluster.setFaults({ loss: 0.1 });
        for (let i = 0; i < 60; i++) {
          const node = nodes[i % 2]!;
          // Channels that are new on the node, over devices that others watch already.
          const passing = node.client(random() < 0.5 ? 'plant.>' : `plant.line${Math.floor(random() * 3)}.>`);
          await load(cluster, appended, 1, random() < 0.5 ? 0 : 20);
          leave(node, passing);
        }
        cluster.setFaults({});
        await load(cluster, appended, 1, 50);
        await settle(cluster);
        for (const { client, channel } of stay) assertWhole(client, channel, appended);
      },
      seed,
    );
  }
});

test('a node that missed more than one answer may hold asks until it has all of it', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 1, 10);
    const clients = nodes.flatMap((node) => [
      { client: node.client('plant.>'), channel: devices },
      ...devices.map((device) => ({ client: node.client(device), channel: [device] })),
    ]);
    await load(cluster, appended, 1, 10);
    cluster.cut('b');
    await load(cluster, appended, 10 * limits.backlogRecordsMax, 0);
    cluster.heal('b');
    await load(cluster, appended, 1, 1_000);
    await settle(cluster);
    for (const { client, channel } of clients) assertWhole(client, channel, appended);
  });
});

test('a channel let go while its owner is being asked leaves nothing behind', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 1, 10);
    cluster.setFaults({ delayMs: { min: 20, max: 20 } });
    for (const node of nodes) {
      const client = node.client('plant.>');
      // The question is on its way, the answer is not.
      await cluster.clock.advance(30);
      assert.equal(client.start, undefined);
      leave(node, client);
    }
    await settle(cluster);
    for (const node of nodes) {
      for (const partition of node.ownership.partitions) {
        assert.ok(partition.feed.interests.empty, `${node.name} serves interest in partition ${partition.number}`);
        if (partition.role === 'elsewhere')
          assert.equal(partition.devices.size, 0, `${node.name} keeps devices of partition ${partition.number}`);
      }
    }
  });
});

/** As a session does it that ends. */
function leave(node: ClusterNode, client: ClusterClient): void {
  if (client.start !== undefined) client.subscription!.view.sockets--;
  node.hub.unsubscribe(client.subscription!);
}
