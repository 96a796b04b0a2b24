import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cluster, type ClusterClient, type ClusterNode, limits } from '../../test/cluster.ts';
import { devices, settle, withCluster } from '../../test/cluster-load.ts';

/** Reports of these devices every second, for so many seconds. */
async function talk(cluster: Cluster, seconds: number, talking: readonly string[] = devices): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    for (const device of talking) await cluster.append(device, second);
    await cluster.clock.advance(1_000);
  }
}

/** `stale plant.line0.m0`, in order. */
function told(client: ClusterClient): string[] {
  return client.told.map((message) => {
    const [kind, fields] = Object.entries(message)[0] as [string, { device?: string }];
    return fields.device === undefined ? kind : `${kind} ${fields.device}`;
  });
}

function watchers(nodes: readonly ClusterNode[]): ClusterClient[] {
  return nodes.map((node) => node.client('plant.>'));
}

/** The devices of the partitions that a node owns. */
function devicesOn(node: ClusterNode): string[] {
  return devices.filter((device) =>
    node.ownership.partitions.some(({ role, devices: known }) => role === 'owned' && known.has(device)),
  );
}

test('a device that falls silent is stale for the clients of every node alike, and online again with its next report', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    await talk(cluster, 20);
    const clients = watchers(nodes);
    const [silent, ...talking] = devices as [string, ...string[]];
    const lastMs = cluster.clock.now() - 1_000;
    await talk(cluster, 12, talking);
    for (const client of clients) assert.deepEqual(client.told, [{ stale: { device: silent, since: lastMs } }]);
    await talk(cluster, 60, talking);
    for (const client of clients) assert.deepEqual(told(client).slice(1), [`offline ${silent}`]);
    const late = watchers(nodes);
    for (const client of late) assert.deepEqual(told(client), [`offline ${silent}`], 'a new client is told at once');
    await talk(cluster, 2);
    for (const client of clients) assert.deepEqual(told(client).slice(2), [`online ${silent}`]);
    for (const client of late) assert.deepEqual(told(client).slice(1), [`online ${silent}`]);
  });
});

test('stale, offline and online reach every node although frames are lost, doubled and out of order', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    await withCluster(
      ['a', 'b', 'c'],
      async (cluster, nodes) => {
        await talk(cluster, 20);
        const clients = watchers(nodes);
        await cluster.clock.advance(2_000);
        cluster.setFaults({
          delayMs: { min: 0, max: 30 },
          loss: 0.3,
          duplication: 0.1,
          reordering: { probability: 0.1, byMs: 800 },
        });
        const talking = devices.slice(4);
        await talk(cluster, 30, talking);
        cluster.setFaults({});
        await talk(cluster, 10, talking);
        for (const client of clients) {
          const news = told(client).filter((each) => each.startsWith('stale'));
          assert.deepEqual(
            news.sort(),
            devices
              .slice(0, 4)
              .map((device) => `stale ${device}`)
              .sort(),
            `seed ${seed}`,
          );
        }
        await talk(cluster, 10);
        for (const client of clients) {
          const news = told(client).filter((each) => each.startsWith('online'));
          assert.equal(new Set(news).size, 4, `seed ${seed}`);
          assert.equal(news.length, 4, `seed ${seed}: ${news}`);
        }
      },
      seed,
    );
  }
});

test('that devices are silent reaches every node although the frames that say so are lost, and no other comes', async () => {
  await withCluster(
    ['a', 'b', 'c'],
    async (cluster, nodes) => {
      await talk(cluster, 20);
      const clients = watchers(nodes);
      await cluster.clock.advance(3_000);
      cluster.setFaults({ loss: 0.5 });
      await cluster.clock.advance(6_000);
      cluster.setFaults({});
      await cluster.clock.advance(3_000);
      for (const client of clients) {
        assert.deepEqual(told(client).filter((each) => each.startsWith('stale')).length, devices.length);
      }
    },
    4,
  );
});

test('a client that was behind, or paused, is told which devices are silent and which came back meanwhile', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    await talk(cluster, 20);
    const [node] = nodes as [ClusterNode];
    const [first, second, ...others] = devices as [string, string, ...string[]];
    const client = node.client('plant.>');
    await talk(cluster, 10, [second, ...others]);
    assert.deepEqual(told(client), [`stale ${first}`]);
    node.hub.pause(client.subscription!);
    await talk(cluster, 10, [first, ...others]);
    assert.equal(client.told.length, 1);
    node.hub.resume(client.subscription!);
    await talk(cluster, 1, [first, ...others]);
    assert.deepEqual(told(client).slice(1), [`stale ${second}`, `online ${first}`]);
  });
});

test('a client that was behind, or paused, while its interruption ended is told so', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    await talk(cluster, 20);
    const [, deaf] = nodes as [ClusterNode, ClusterNode];
    const clients = [deaf.client('plant.>'), deaf.client('plant.>')] as const;
    await cluster.clock.advance(1_000);
    cluster.cut('b');
    await talk(cluster, 5);
    for (const client of clients) assert.deepEqual(told(client), ['interrupted']);
    const [behind, paused] = clients;
    deaf.hub.pause(paused.subscription!);
    const room = Promise.withResolvers<void>();
    behind.room = () => room.promise;
    deaf.hub.fallBehind(behind.subscription!);
    cluster.heal('b');
    await talk(cluster, 20);
    assert.equal(deaf.ownership.presence.interruptions.size, 0);
    behind.room = () => undefined;
    room.resolve();
    deaf.hub.resume(paused.subscription!);
    await talk(cluster, 1);
    for (const client of clients) assert.deepEqual(told(client), ['interrupted', 'restored']);
  });
});

test('when an owner dies no device is called stale, and what was silent before stays so without being told again', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    await talk(cluster, 20);
    const dying = nodes[1]!;
    const silent = devicesOn(dying)[0]!;
    const talking = devices.filter((device) => device !== silent);
    const staying = [nodes[0]!, nodes[2]!];
    const clients = watchers(staying);
    await talk(cluster, 15, talking);
    for (const client of clients) assert.deepEqual(told(client), [`stale ${silent}`]);
    dying.crash();
    await talk(cluster, 30, talking);
    for (const client of clients) {
      const devicesTold = told(client).filter((each) => each.includes(' '));
      assert.deepEqual(devicesTold, [`stale ${silent}`]);
      const interruptions = told(client).filter((each) => !each.includes(' '));
      assert.ok(interruptions.length % 2 === 0, `${interruptions}`);
    }
    await talk(cluster, 60, talking);
    const fresh = watchers(staying);
    for (const client of [...clients, ...fresh]) assert.equal(told(client).at(-1), `offline ${silent}`);
    await talk(cluster, 2);
    for (const client of clients) assert.equal(told(client).at(-1), `online ${silent}`);
  });
});

test('clients of a node that cannot hear the owners are told so, and not that devices are stale', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    await talk(cluster, 20);
    const [, deaf] = nodes as [ClusterNode, ClusterNode];
    const client = deaf.client('plant.>');
    const away = deaf.ownership.partitions.filter(({ role }) => role === 'elsewhere').map(({ number }) => number);
    assert.ok(away.length > 0);
    await cluster.clock.advance(1_000);
    const cutAt = cluster.clock.now();
    cluster.cut('b');
    await talk(cluster, 1);
    assert.deepEqual(told(client), [], 'a short silence is not told');
    await talk(cluster, 3);
    assert.equal(client.told.length, 1);
    const message = client.told[0]!;
    assert.ok('interrupted' in message);
    const { view, since, partitions } = message.interrupted;
    assert.deepEqual([view, partitions], [client.subscription!.view.number, away]);
    assert.ok(since >= cutAt - 1_000 && since <= cutAt + 1_000, `${since - cutAt}`);
    await talk(cluster, 4);
    cluster.heal('b');
    await talk(cluster, 20);
    const kinds = told(client);
    assert.deepEqual([kinds[0], kinds.at(-1)], ['interrupted', 'restored']);
    assert.deepEqual(
      kinds.filter((each) => each.includes(' ')),
      [],
    );
    assert.equal(deaf.ownership.presence.interruptions.size, 0);
  });
});

/** Owners that run, and read nothing: they announce, answer and send frames as ever. */
async function withoutLog(
  slowBusMs: number,
  check: (cluster: Cluster, clients: readonly ClusterClient[], nodes: readonly ClusterNode[]) => Promise<void>,
): Promise<void> {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    await talk(cluster, 20);
    const clients = watchers(nodes);
    await talk(cluster, 2);
    for (const node of nodes) node.cutLog();
    if (slowBusMs > 0) cluster.setFaults({ delayMs: { min: slowBusMs, max: slowBusMs } });
    await check(cluster, clients, nodes);
  });
}

/** All partitions, once the last of them was told. */
function assertInterrupted(client: ClusterClient, nodes: readonly ClusterNode[], stoppedMs: number): void {
  const last = client.told.at(-1);
  assert.ok(last !== undefined && 'interrupted' in last, told(client).join());
  assert.deepEqual(
    last.interrupted.partitions,
    nodes[0]!.ownership.partitions.map(({ number }) => number),
  );
  assert.ok(Math.abs(last.interrupted.since - stoppedMs) <= 1_000, `since ${last.interrupted.since - stoppedMs}`);
}

test('when nobody reads the log, clients are told so of all partitions within interruptedMs, whichever node serves them', async () => {
  await withoutLog(0, async (cluster, clients, nodes) => {
    const stoppedMs = cluster.clock.now();
    // One look at the end of the partitions more.
    await cluster.clock.advance(limits.interruptedMs + 500);
    for (const client of clients) assertInterrupted(client, nodes, stoppedMs);
    for (const node of nodes) node.healLog();
    await settle(cluster);
    for (const client of clients) assert.deepEqual(kindsOf(client), ['interrupted', 'restored']);
  });
});

test('frames that come late, from before or after the log was lost, do not say that it is read', async () => {
  await withoutLog(1_400, async (cluster, clients, nodes) => {
    const stoppedMs = cluster.clock.now();
    await cluster.clock.advance(limits.interruptedMs + 500);
    for (const client of clients) assertInterrupted(client, nodes, stoppedMs);
    await cluster.clock.advance(3_000);
    for (const client of clients) assert.deepEqual(kindsOf(client), ['interrupted']);
  });
});

test('a client that comes to a channel of its own while an owner does not read is told so', async () => {
  await withoutLog(0, async (cluster, _clients, nodes) => {
    await cluster.clock.advance(1_000);
    const late = nodes.map((node) => node.client('plant.line0.>'));
    await cluster.clock.advance(limits.interruptedMs + 500);
    for (const client of late) assert.deepEqual(kindsOf(client), ['interrupted']);
  });
});

/** Without the devices' silences; again for more partitions counts once. */
function kindsOf(client: ClusterClient): string[] {
  const kinds = told(client).filter((each) => !each.includes(' '));
  return kinds.filter((kind, i) => kind !== kinds[i - 1]);
}

test('a new owner knows the rhythm of a device that reports seldom', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    const device = devices[0]!;
    for (let hour = 0; hour < 5; hour++) {
      await cluster.append(device, hour);
      await cluster.clock.advance(3_600_000);
    }
    await node!.stop();
    const heir = await cluster.node('b');
    await settle(cluster);
    const client = heir.client('plant.>');
    await cluster.clock.advance(600_000);
    assert.deepEqual(told(client), []);
    const partition = heir.ownership.partitions.find(({ devices: known }) => known.has(device))!;
    assert.equal(partition.device(device).reportInterval?.intervalMs, 3_600_000);
    for (let hour = 0; hour < 24; hour++) await cluster.clock.advance(3_600_000);
    assert.deepEqual(told(client), [`stale ${device}`]);
  });
});
