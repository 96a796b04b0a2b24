import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partitionOf } from '@tailrace/protocol/partition';
import { type ClusterClient, type ClusterNode, limits } from '../../test/cluster.ts';
import { settle, withCluster } from '../../test/cluster-load.ts';

const device = 'plant.line0.m0';
const partitions = 4;
/** Of the same partition. */
const others = Array.from({ length: 200 }, (_, i) => `plant.other.m${i}`).filter(
  (path) => partitionOf(path, partitions) === partitionOf(device, partitions),
);

function values(client: ClusterClient): number[] {
  return [...client.snapshot, ...client.live].filter((seen) => seen.device === device).map(({ value }) => value);
}

function ownerAmong(nodes: readonly ClusterNode[]): ClusterNode {
  return nodes.find(({ ownership }) => ownership.partitions[partitionOf(device, partitions)]!.role === 'owned')!;
}

test('an ID is known 21,000 reports later, live and on every node, and after the window it is new', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const clients = nodes.map((node) => node.client(device, false));
    await cluster.clock.advance(1_000);
    await cluster.append(device, 1, 'same');
    for (let i = 0; i < 21_000; i++) await cluster.append(others[i % others.length]!, i, `${i}`);
    await cluster.clock.advance(60_000);
    await cluster.append(device, 1, 'same');
    await cluster.append(device, 2, 'next');
    await cluster.clock.advance(1_000);
    for (const client of clients) assert.deepEqual(values(client), [1, 2]);
    await cluster.clock.advance(1.3 * limits.idWindowMs);
    await cluster.append(device, 3, 'same');
    await cluster.clock.advance(1_000);
    for (const client of clients) assert.deepEqual(values(client), [1, 2, 3]);
  });
});

test('a new owner knows the IDs of the window, however many other reports lie between', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const owner = ownerAmong(nodes);
    const other = nodes.find((node) => node !== owner)!;
    const client = other.client(device, false);
    await cluster.clock.advance(1_000);
    await cluster.append(device, 1, 'same');
    // More than a new owner reads back for its window.
    for (let i = 0; i < 5 * limits.recoveryRecordsMax; i++) await cluster.append(others[i % others.length]!, i);
    await cluster.clock.advance(1_000);
    owner.crash();
    await cluster.clock.advance(20_000);
    assert.equal(ownerAmong([other]), other);
    await cluster.append(device, 1, 'same');
    await cluster.append(device, 2);
    await settle(cluster);
    assert.deepEqual(values(client), [1, 2]);
  });
});

test('a client that reconnects, to any node, does not receive a report again that its sender repeated meanwhile', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const clients = nodes.map((node) => ({ node, client: node.client(device, false) }));
    await cluster.clock.advance(1_000);
    await cluster.append(device, 1, 'same');
    await cluster.clock.advance(1_000);
    const tokens = clients.map(({ client }) => client.disconnect());
    for (let i = 0; i < 1_500; i++) await cluster.append(others[i % others.length]!, i);
    // Beyond the window of the owner, so that both read the log.
    await cluster.clock.advance(limits.windowMs + 10_000);
    await cluster.append(device, 1, 'same');
    await cluster.append(device, 2);
    await cluster.clock.advance(1_000);
    for (const [i, { node }] of clients.entries()) {
      const back = node.client(device, false, tokens[i]);
      await cluster.clock.advance(1_000);
      assert.deepEqual(values(back), [2], node.name);
    }
    const lookbacks = nodes.map(({ ownership }) => ownership.ranges.counts.lookbacks);
    assert.deepEqual(lookbacks, [0, 0], 'the owner knows, and the other asks it');
  });
});
