import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partitionOf } from '@tailrace/protocol/partition';
import { settle, withCluster } from '../../test/cluster-load.ts';
import { createLocalNode } from '../../test/local-node.ts';
import { StalledPartitions, stalledMs } from './stalled-partitions.ts';

const deviceIn = (partition: number, partitions: number) =>
  Array.from({ length: 200 }, (_, n) => `p.d${n}`).find((path) => partitionOf(path, partitions) === partition)!;

test('a partition whose broker is away at the start holds up no other, nor the readiness of the node for long, and is served when it is back', async () => {
  await withCluster([], async (cluster) => {
    const away = 2;
    const devices = Array.from({ length: cluster.partitions }, (_, partition) =>
      deviceIn(partition, cluster.partitions),
    );
    for (const device of devices) await cluster.append(device, 1);
    cluster.setAway(away, true);
    const nodes = [await cluster.node('a'), await cluster.node('b')];
    await cluster.clock.advance(2_000);
    const owned = () =>
      nodes
        .flatMap(({ ownership }) => ownership.partitions.filter(({ role }) => role === 'owned'))
        .map(({ number }) => number)
        .sort();
    assert.deepEqual(owned(), [0, 1, 3], 'within two seconds');
    const clients = devices.map((device, n) => nodes[n % 2]!.client(device));
    await settle(cluster);
    for (const [partition, { snapshot }] of clients.entries()) {
      assert.deepEqual(
        snapshot.map(({ value }) => value),
        partition === away ? [] : [1],
      );
    }
    await cluster.clock.advance(stalledMs);
    for (const { ownership } of nodes) assert.equal(ownership.notReady(), undefined);
    const standing = nodes.flatMap(({ ownership }) => ownership.stalled.at(cluster.clock.monotonic()));
    assert.deepEqual(
      standing.map(({ number }) => number),
      [away],
    );
    cluster.setAway(away, false);
    await settle(cluster);
    assert.deepEqual(owned(), [0, 1, 2, 3]);
    for (const { ownership } of nodes) assert.deepEqual(ownership.stalled.at(cluster.clock.monotonic()), []);
    const client = nodes[0]!.client(devices[away]!);
    await settle(cluster);
    await cluster.append(devices[away]!, 2);
    await settle(cluster);
    assert.deepEqual(
      [client.snapshot, client.live].map((seen) => seen.map(({ value }) => value)),
      [[1], [2]],
    );
  });
});

test('a node is stalled when the log has more records in each of its partitions and it reads none; not while one advances, nor while the log cannot be reached', () => {
  const { partitions } = createLocalNode({ partitions: 2 });
  const [one, other] = [partitions[0]!, partitions[1]!];
  const stalled = new StalledPartitions(partitions, () => false);
  const at = (nowMs: number) => {
    stalled.check(nowMs);
    return [stalled.at(nowMs).length, stalled.isStalled(nowMs)];
  };
  for (const { progress } of partitions) progress.onLogEnd(0, 0, 0);
  for (const { progress, next } of partitions) progress.reach(next);
  assert.deepEqual(at(1_000), [0, false]);
  // The log cannot be asked: whether there is more is not known.
  assert.deepEqual(at(31_000), [0, false]);
  assert.deepEqual(at(62_000), [2, false]);
  one.progress.onLogEnd(62_000, 0, 5);
  other.progress.onLogEnd(62_000, 0, 7);
  assert.deepEqual(at(62_500), [2, true]);
  other.next = 3;
  assert.deepEqual(at(63_000), [1, false]);
  other.next = 7;
  other.progress.reach(7);
  other.progress.onLogEnd(90_000, 0, 7);
  other.progress.reach(7);
  assert.deepEqual(at(93_500), [1, false], 'of the other everything is read');
});
