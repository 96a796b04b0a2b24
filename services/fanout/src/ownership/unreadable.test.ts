import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partitionOf } from '@tailrace/protocol/partition';
import { settle, withCluster } from '../../test/cluster-load.ts';

const device = 'plant.line1.press7';

test('unreadable records are named once to every subscribed client, on any node, and the records after them are delivered', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const clients = nodes.flatMap((node) => [node.client(device), node.client('plant.>')]);
    const elsewhere = nodes.map((node) => node.client('other.>'));
    await settle(cluster);
    await cluster.append(device, 1);
    const { partition, seq } = await cluster.appendUnreadable(device);
    await cluster.appendUnreadable(device);
    await cluster.append(device, 2);
    await settle(cluster);
    const named = [seq, seq + 1].map((from) => ({
      ...{ partition, device: '', from, to: from, count: 0, reason: 'unreadable' },
    }));
    for (const client of clients) {
      assert.deepEqual(client.skipped, named);
      assert.deepEqual(
        client.live.map(({ value }) => value),
        [1, 2],
      );
      assert.deepEqual(client.errors, []);
    }
    for (const client of elsewhere) assert.deepEqual(client.skipped, named, 'a subtree cannot know whose it was');
    const owner = nodes.find(({ ownership }) => ownership.partitions[partition]!.role === 'owned')!;
    assert.equal(owner.ownership.rejected.unreadableRanges, 2);
    assert.equal(owner.ownership.counts.relay.gaps, 0, 'no node has to ask for it');
  });
});

test('a client that was away, and a node that could not receive the owner’s frames, are notified as well', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const partition = partitionOf(device, cluster.partitions);
    const owner = nodes.find(({ ownership }) => ownership.partitions[partition]!.role === 'owned')!;
    const other = nodes.find((node) => node !== owner)!;
    const [near, far, away] = [owner.client(device), other.client(device), owner.client(device)];
    await settle(cluster);
    await cluster.append(device, 1);
    await cluster.clock.advance(1_000);
    const token = away.disconnect();
    cluster.isolate(other.name);
    await cluster.append(device, 2);
    const { seq } = await cluster.appendUnreadable(device);
    await cluster.append(device, 3);
    await cluster.clock.advance(1_000);
    cluster.heal(other.name);
    await settle(cluster);
    for (const client of [near, far]) {
      assert.deepEqual(
        client.skipped.map(({ from, to, reason }) => [from, to, reason]),
        [[seq, seq, 'unreadable']],
      );
      assert.deepEqual(
        client.live.map(({ value }) => value),
        [1, 2, 3],
      );
    }
    for (const node of nodes) {
      const back = node.client(device, true, token);
      await settle(cluster);
      assert.deepEqual(back.start?.missing, [{ partition, from: seq, to: seq, reason: 'unreadable' }], node.name);
      assert.deepEqual(
        back.live.map(({ value }) => value),
        [2, 3],
      );
    }
  });
});

test('a partition is taken over across what cannot be read', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    await cluster.append(device, 1);
    await cluster.appendUnreadable(device);
    await cluster.append(device, 2);
    await settle(cluster);
    const stopped = Promise.all(nodes.map((node) => node.stop()));
    await settle(cluster);
    await stopped;
    const next = await cluster.node('c');
    await settle(cluster);
    const client = next.client(device);
    await cluster.append(device, 3);
    await settle(cluster);
    assert.deepEqual(
      client.snapshot.map(({ value }) => value),
      [2],
    );
    assert.deepEqual(
      client.live.map(({ value }) => value),
      [3],
    );
  });
});
