import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partitionOf } from '@tailrace/protocol/partition';
import { positionsFromToken } from '@tailrace/protocol/position';
import type { Cluster, ClusterClient, ClusterNode } from '../../test/cluster.ts';
import { withCluster } from '../../test/cluster-load.ts';
import { ProgressMessages } from './progress-messages.ts';

const { periodMs, recordsMin } = ProgressMessages;
const quiet = 'plant.quiet';

/** Returns a device of another subtree in the partition of the quiet device. */
function neighborIn({ partitions }: Cluster): string {
  for (let i = 0; ; i++) {
    const device = `other.m${i}`;
    if (partitionOf(device, partitions) === partitionOf(quiet, partitions)) return device;
  }
}

/** Appends reports of the neighbor, and waits for two checks. */
async function reportNext(cluster: Cluster, count: number): Promise<void> {
  const neighbor = neighborIn(cluster);
  for (let i = 0; i < count; i++) await cluster.append(neighbor, i);
  await cluster.clock.advance(2 * periodMs);
}

function positionsOf({ notifications }: ClusterClient): string[] {
  return notifications.flatMap((message) => ('progress' in message ? [message.progress.position] : []));
}

test('a client of a quiet channel that reconnects has nothing missing, however many reports its neighbors sent', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    for (const channel of [quiet, 'plant.>']) {
      const clients = nodes.map((node) => node.client(channel));
      await cluster.append(quiet, 1);
      // More than `resumeRecordsMax` in all, and older than the window.
      for (let i = 0; i < 4; i++) await reportNext(cluster, 1_500);
      await cluster.clock.advance(60_000);
      for (const [i, node] of nodes.entries()) {
        const back = node.client(channel, true, clients[i]!.disconnect());
        await cluster.clock.advance(1_000);
        assert.deepEqual(back.errors, []);
        assert.deepEqual(back.start?.missing, undefined, `${channel} on ${node.name}`);
        await cluster.append(quiet, 2);
        await cluster.clock.advance(1_000);
        assert.deepEqual(
          back.live.map(({ value }) => value),
          [2],
        );
        back.disconnect();
      }
    }
  });
});

test('a position is sent once per number of reports, and to no channel whose own reports have it', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    const client = node!.client(quiet);
    const neighbor = node!.client(neighborIn(cluster));
    await reportNext(cluster, recordsMin - 1);
    assert.deepEqual(positionsOf(client), []);
    await reportNext(cluster, 1);
    assert.equal(positionsOf(client).length, 1);
    await reportNext(cluster, recordsMin);
    assert.equal(positionsOf(client).length, 2);
    assert.deepEqual(positionsOf(neighbor), []);
  });
});

test('a view with `maxRate` is not sent the position of a partition of which it holds reports, nor is one with `align`', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    const slow = clientWith(node!, { maxRate: 0.01 });
    const aligned = clientWith(node!, { align: 1_000 });
    await cluster.clock.advance(100);
    for (const value of [1, 2]) {
      await cluster.append(quiet, value);
      await cluster.clock.advance(100);
    }
    await reportNext(cluster, recordsMin);
    assert.deepEqual(
      slow.live.map(({ value }) => value),
      [1],
      'the second one is held',
    );
    assert.deepEqual([positionsOf(slow), positionsOf(aligned)], [[], []]);
  });
});

function clientWith(node: ClusterNode, options: Parameters<ClusterNode['client']>[3]): ClusterClient {
  return node.client('plant.>', true, undefined, options);
}

test('a channel that reports between two checks is not sent the position, however fast its partition grows', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    const client = node!.client(quiet);
    const neighbor = neighborIn(cluster);
    for (let second = 0; second < 16; second++) {
      await cluster.append(quiet, second);
      for (let i = 0; i < recordsMin + 100; i++) await cluster.append(neighbor, i);
      await cluster.clock.advance(1_000);
    }
    assert.deepEqual(positionsOf(client), []);
  });
});

test('a client of a quiet channel that stays for less than a period is sent the position when it has resumed', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    const neighbor = neighborIn(cluster);
    let token = node!.client(quiet).disconnect();
    for (let i = 0; i < 6; i++) {
      for (let j = 0; j < recordsMin; j++) await cluster.append(neighbor, j);
      await cluster.clock.advance(100);
      const client = node!.client(quiet, true, token);
      await cluster.clock.advance(100);
      assert.equal(positionsOf(client).length, 1);
      const reached = client.disconnect();
      assert.notEqual(reached, token);
      token = reached;
    }
  });
});

test('a view with `maxRate` that always holds reports of one partition is sent the positions of the others', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    const neighbor = neighborIn(cluster);
    const partition = partitionOf(quiet, cluster.partitions);
    const busy = ['plant.m0', 'plant.m1', 'plant.m2'].find(
      (path) => partitionOf(path, cluster.partitions) !== partition,
    )!;
    const client = clientWith(node!, { maxRate: 1 });
    await cluster.clock.advance(100);
    for (let value = 0; value < 100; value++) {
      await cluster.append(busy, value);
      for (let i = 0; i < 20; i++) await cluster.append(neighbor, i);
      await cluster.clock.advance(200);
      for (const token of positionsOf(client).slice(-1)) {
        const reached = positionsFromToken(token).last(partitionOf(busy, cluster.partitions)) ?? -1;
        const newest = client.live.at(-1)?.seq ?? -1;
        assert.ok(reached <= newest, 'no position of a held report');
      }
    }
    assert.ok(positionsOf(client).length > 0);
  });
});
