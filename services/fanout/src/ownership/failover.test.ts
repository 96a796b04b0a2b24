import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partitionOf } from '@tailrace/protocol/partition';
import { type Cluster, type ClusterClient, type ClusterNode, limits, sessionMs } from '../../test/cluster.ts';
import { assertWhole, devices, load, settle, withCluster } from '../../test/cluster-load.ts';

const names = ['a', 'b', 'c'];

function served(node: ClusterNode, isStandby: boolean): number[] {
  return node.ownership.partitions
    .filter((partition) => partition.role === 'owned' && partition.isStandby === isStandby)
    .map(({ number }) => number);
}

/** A node that owns something, and the others. */
function pick(nodes: readonly ClusterNode[]): [victim: ClusterNode, others: ClusterNode[]] {
  const victim = nodes.find((node) => served(node, false).length > 0)!;
  return [victim, nodes.filter((node) => node !== victim)];
}

function watchAll(nodes: readonly ClusterNode[]): { client: ClusterClient; channel: readonly string[] }[] {
  return nodes.flatMap((node) => [
    ...devices.map((device) => ({ client: node.client(device), channel: [device] })),
    { client: node.client('plant.>'), channel: devices },
  ]);
}

/** Every partition has one owner, and no standby any more. */
function assertSettled(cluster: Cluster, nodes: readonly ClusterNode[]): void {
  const owned = nodes.flatMap((node) => served(node, false)).sort((x, y) => x - y);
  assert.deepEqual(
    owned,
    Array.from({ length: cluster.partitions }, (_, i) => i),
  );
  for (const node of nodes) assert.equal(node.ownership.failover.size, 0, `${node.name} is still a standby`);
}

/** Lets time pass until it holds, in steps of 50 ms. Answers how much. */
async function passes(cluster: Cluster, holds: () => boolean): Promise<number> {
  for (let ms = 0; ms <= 30_000; ms += 50) {
    if (holds()) return ms;
    await cluster.clock.advance(50);
  }
  return assert.fail('it never comes true');
}

test('the partitions of a killed node are served again within 2.5 s, long before the group notices', async () => {
  await withCluster(names, async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 2, 10);
    const [victim, others] = pick(nodes);
    const lost = served(victim, false);
    const clients = watchAll(others);
    await load(cluster, appended, 3, 20);
    victim.crash();
    for (const device of devices) {
      const value = appended.get(device)!.at(-1)! + 1;
      await cluster.append(device, value);
      appended.set(device, [...appended.get(device)!, value]);
    }
    const pauseMs = await passes(cluster, () =>
      clients.every(({ client, channel }) =>
        channel.every((device) => {
          const shown = [...client.snapshot, ...client.live].filter((seen) => seen.device === device);
          return shown.at(-1)?.value === appended.get(device)!.at(-1);
        }),
      ),
    );
    assert.ok(pauseMs <= 2_500 && pauseMs < sessionMs, `${pauseMs} ms`);
    assert.deepEqual(others.flatMap((node) => served(node, true)).sort(), lost);
    // The group assigns the partitions to their standby owners: nothing is read again.
    const read = () => others.reduce((sum, node) => sum + node.ownership.counts.partition.reports, 0);
    const before = read();
    await cluster.clock.advance(sessionMs);
    assertSettled(cluster, others);
    assert.equal(read(), before);
    await load(cluster, appended, 10, 100);
    for (const { client, channel } of clients) assertWhole(client, channel, appended);
  });
});

test('clients on a node that was paused for 20 s, and those of the others, are shown everything once and in order', async () => {
  await withCluster(names, async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 2, 10);
    const [victim, others] = pick(nodes);
    const clients = watchAll(nodes);
    await load(cluster, appended, 3, 20);
    victim.pause();
    await load(cluster, appended, 200, 100);
    const old = served(victim, false);
    assert.ok(old.length > 0, 'it still believes that it is owner');
    assertSettled(cluster, others);
    victim.resume();
    // What it announces first is of the old generation.
    for (const node of others) {
      for (const partition of old) assert.notEqual(node.ownership.ring.owner(partition)?.node, victim.name);
    }
    await load(cluster, appended, 100, 50);
    await settle(cluster);
    await load(cluster, appended, 1, 50);
    assertSettled(cluster, nodes);
    for (const { client, channel } of clients) assertWhole(client, channel, appended);
  });
});

test('a node that resumes before the group notices its pause owns its partitions again', async () => {
  await withCluster(names, async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 2, 10);
    const [victim, others] = pick(nodes);
    const owned = served(victim, false);
    const clients = watchAll(nodes);
    victim.pause();
    await load(cluster, appended, 30, 100);
    assert.deepEqual(others.flatMap((node) => served(node, true)).sort(), owned);
    victim.resume();
    await load(cluster, appended, 20, 100);
    assertSettled(cluster, nodes);
    assert.deepEqual(served(victim, false), owned);
    for (const { client, channel } of clients) assertWhole(client, channel, appended);
  });
});

test('a node that is isolated from the bus alone serves its own clients all the time; the others have a standby owner meanwhile', async () => {
  await withCluster(names, async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 2, 10);
    const [victim, others] = pick(nodes);
    const [partition] = served(victim, false);
    const clients = watchAll(nodes);
    await load(cluster, appended, 3, 20);
    cluster.isolate(victim.name);
    await load(cluster, appended, 100, 100);
    // Longer than until it is absent: two serve its partitions, and it is the standby of no other.
    assert.equal(others.filter((node) => served(node, true).includes(partition!)).length, 1);
    assert.ok(served(victim, false).includes(partition!));
    assert.equal(victim.ownership.failover.size, 0);
    const mine = devices.filter((device) => partitionOf(device, cluster.partitions) === partition);
    for (const { client, channel } of clients) {
      for (const device of mine) if (channel.includes(device)) assertWhole(client, [device], appended);
    }
    cluster.heal(victim.name);
    await settle(cluster);
    await load(cluster, appended, 1, 100);
    assertSettled(cluster, nodes);
    for (const { client, channel } of clients) assertWhole(client, channel, appended);
  });
});

test('when all nodes lose the bus none is the standby of another, neither then nor after it has returned', async () => {
  await withCluster(names, async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 2, 10);
    const clients = watchAll(nodes);
    for (const name of names) cluster.isolate(name);
    await load(cluster, appended, 100, 100);
    // Not all at the same moment, as after a restart of the server.
    for (const name of names) {
      cluster.heal(name);
      await cluster.clock.advance(700);
    }
    await settle(cluster);
    await load(cluster, appended, 1, 100);
    assert.equal(
      nodes.reduce((sum, { ownership }) => sum + ownership.failover.counts.takenOver, 0),
      0,
    );
    assertSettled(cluster, nodes);
    for (const { client, channel } of clients) assertWhole(client, channel, appended);
  });
});

test('where the standby owner is suspect as well another node is the standby', async () => {
  await withCluster([...names, 'd'], async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 2, 10);
    const [victim, others] = pick(nodes);
    const lost = served(victim, false);
    const clients = watchAll(others);
    victim.crash();
    await cluster.clock.advance(2_500);
    const second = others.find((node) => served(node, true).includes(lost[0]!))!;
    second.pause();
    await load(cluster, appended, 25, 100);
    const third = others.find((node) => node !== second && served(node, true).includes(lost[0]!));
    assert.ok(third !== undefined, 'no node serves it');
    second.resume();
    await load(cluster, appended, 100, 100);
    await settle(cluster);
    await load(cluster, appended, 1, 100);
    assertSettled(cluster, others);
    for (const { client, channel } of clients) assertWhole(client, channel, appended);
  });
});

test('a node killed and started again under its name takes nothing from the clients of the others', async () => {
  await withCluster(names, async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 2, 10);
    const [victim, others] = pick(nodes);
    const clients = watchAll(others);
    victim.crash();
    await cluster.clock.advance(400);
    const again = await cluster.node(victim.name);
    await load(cluster, appended, 100, 100);
    assertSettled(cluster, [...others, again]);
    for (const { client, channel } of clients) assertWhole(client, channel, appended);
  });
});

test('a node that stops serves its partitions until others do: no client of theirs waits', async () => {
  await withCluster(names, async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 2, 10);
    const [leaving, others] = pick(nodes);
    const handed = served(leaving, false);
    const clients = watchAll(others);
    await load(cluster, appended, 5, 20);
    const concerned = clients.filter(
      ({ channel }) => channel.length === 1 && handed.includes(partitionOf(channel[0]!, cluster.partitions)),
    );
    assert.ok(concerned.length > 0);
    // Taking over takes its time, as with a broker.
    cluster.slowReads(500);
    let left = false;
    const stopped = leaving.stop().then(() => {
      left = true;
    });
    let longestMs = 0;
    for (let times = 0; times < 100; times++) {
      await load(cluster, appended, 1, 0);
      const current = () =>
        concerned.every(({ client, channel }) =>
          channel.every((device) =>
            client.live.some((seen) => seen.device === device && seen.value === appended.get(device)!.at(-1)),
          ),
        );
      longestMs = Math.max(longestMs, await passes(cluster, current));
      await cluster.clock.advance(20);
    }
    assert.ok(left, 'it has stopped before its deadline');
    assert.ok(longestMs <= 50, `${longestMs} ms`);
    await stopped;
    assertSettled(cluster, others);
    for (const { client, channel } of clients) assertWhole(client, channel, appended);
  });
});

test('the last node stops at once: there is no other to hand over to', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    const startMs = cluster.clock.monotonic();
    let left = false;
    const stopped = node!.stop().then(() => {
      left = true;
    });
    await passes(cluster, () => left);
    await stopped;
    assert.ok(cluster.clock.monotonic() - startMs < limits.handoverMs);
  });
});
