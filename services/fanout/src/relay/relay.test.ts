import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClusterClient, limits, randomFrom } from '../../test/cluster.ts';
import { assertNothingLeft, assertWhole, devices, leave, load, settle, withCluster } from '../../test/clusterload.ts';

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
        await cluster.clock.advance(100);
        await load(cluster, appended, 1, 10);
        cluster.setFaults({ loss: 0.1 });
        for (let i = 0; i < 60; i++) {
          const node = nodes[i % 2]!;
          // Channels that are new on the node, over devices that others watch already.
          const passing = node.client(random() < 0.5 ? 'plant.>' : `plant.line${Math.floor(random() * 3)}.>`);
          await load(cluster, appended, 1, random() < 0.5 ? 0 : 20);
          // One more on a channel that is live: what it is shown first must be as new as what the others have, and no newer.
          const device = devices[Math.floor(random() * devices.length)]!;
          stay.push({ client: node.client(device), channel: [device] });
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

test('while no frame is lost nobody has to ask twice, whenever clients come', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 1, 10);
    cluster.setFaults({ delayMs: { min: 5, max: 30 } });
    const clients: { client: ClusterClient; channel: readonly string[] }[] = [];
    for (const device of devices) {
      for (const node of nodes) clients.push({ client: node.client(device), channel: [device] });
      await load(cluster, appended, 2, 3);
    }
    for (const node of nodes) clients.push({ client: node.client('plant.>'), channel: devices });
    await load(cluster, appended, 20, 3);
    await settle(cluster);
    for (const { client, channel } of clients) assertWhole(client, channel, appended);
    assert.equal(
      nodes.reduce((sum, node) => sum + node.ownership.counts.mirror.breaks, 0),
      0,
    );
  });
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
    assertNothingLeft(nodes);
  });
});
