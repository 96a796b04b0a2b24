import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cluster, type ClusterClient, type ClusterNode, limits } from '../../test/cluster.ts';
import { devices, settle, withCluster } from '../../test/cluster-load.ts';
import { epoch } from '../../test/fanout-options.ts';

/** Appends a report of each of these devices every second. */
async function report(cluster: Cluster, seconds: number, reporting: readonly string[] = devices): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    for (const device of reporting) await cluster.append(device, second);
    await cluster.clock.advance(1_000);
  }
}

/** The notifications of a client in order, such as `stale plant.line0.m0`. */
function notifications(client: ClusterClient): string[] {
  return client.notifications.map((message) => {
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

test('a device that stops reporting is stale for the clients of all nodes, and online with its next report', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    await report(cluster, 20);
    const clients = watchers(nodes);
    const [idle, ...reporting] = devices as [string, ...string[]];
    const lastMs = cluster.clock.now() - 1_000;
    await report(cluster, 12, reporting);
    for (const client of clients) assert.deepEqual(client.notifications, [{ stale: { device: idle, since: lastMs } }]);
    await report(cluster, 60, reporting);
    for (const client of clients) assert.deepEqual(notifications(client).slice(1), [`offline ${idle}`]);
    const late = watchers(nodes);
    for (const client of late)
      assert.deepEqual(notifications(client), [`offline ${idle}`], 'a new client is notified at once');
    await report(cluster, 2);
    for (const client of clients) assert.deepEqual(notifications(client).slice(2), [`online ${idle}`]);
    for (const client of late) assert.deepEqual(notifications(client).slice(1), [`online ${idle}`]);
  });
});

test('a device whose session has closed is offline for the clients of all nodes, and online with its next report', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const [gone, moved, ...others] = devices as [string, string, ...string[]];
    for (const device of [gone, moved]) await cluster.appendEvent(device, { sessionStarted: { session: 1 } });
    await report(cluster, 20);
    const clients = watchers(nodes);
    const closed = { session: 1, atMs: cluster.clock.now(), graceMs: 3_000, epoch };
    for (const device of [gone, moved]) await cluster.appendEvent(device, { sessionClosed: closed });
    await report(cluster, 2, others);
    // The newer session is read before its device would be offline.
    await cluster.appendEvent(moved, { sessionStarted: { session: 2 } });
    await report(cluster, 3, others);
    for (const client of clients) {
      const { offline } = client.notifications.find((each) => 'offline' in each) as { offline: { device: string } };
      assert.equal(offline.device, gone);
      assert.ok(!notifications(client).includes(`offline ${moved}`));
    }
    await report(cluster, 2);
    for (const client of clients) assert.equal(notifications(client).at(-1)?.split(' ')[0], 'online');
  });
});

test('a device of rare reports is not offline while its session is open, and is once its ingest node was killed', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const [rare, ...others] = devices as [string, ...string[]];
    await cluster.appendEvent(rare, { sessionStarted: { session: 1, process: 'p', atMs: cluster.clock.now() } });
    await report(cluster, 20);
    const clients = watchers(nodes);
    for (let pass = 0; pass < 6; pass++) {
      await report(cluster, 20, others);
      const ingestAlive = { process: 'p', atMs: cluster.clock.now() };
      // To the partition of the device.
      await cluster.appendEvent(rare, { ingestAlive });
    }
    for (const client of clients) assert.deepEqual(notifications(client), [`stale ${rare}`]);
    await report(cluster, 62, others);
    for (const client of clients) assert.deepEqual(notifications(client), [`stale ${rare}`, `offline ${rare}`]);
  });
});

test('a device that is offline is online for the clients of all nodes by a session that starts, without a report', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const [gone, ...others] = devices as [string, ...string[]];
    const started = (session: number) =>
      cluster.appendEvent(gone, { sessionStarted: { session, process: 'p', atMs: cluster.clock.now() } });
    await started(1);
    await report(cluster, 20);
    const clients = watchers(nodes);
    await cluster.appendEvent(gone, { sessionClosed: { session: 1, atMs: cluster.clock.now(), graceMs: 0, epoch } });
    await report(cluster, 3, others);
    for (const client of clients) assert.deepEqual(notifications(client), [`offline ${gone}`]);
    await started(2);
    await report(cluster, 2, others);
    for (const client of clients) assert.deepEqual(notifications(client).slice(1), [`online ${gone}`]);
    for (const client of watchers(nodes)) assert.deepEqual(notifications(client), [], 'a new client is sent nothing');
    // Without a report it is stale after its report interval, counted from the start of the session.
    await report(cluster, 12, others);
    for (const client of clients) assert.deepEqual(notifications(client).slice(2), [`stale ${gone}`]);
    await cluster.appendEvent(gone, { sessionClosed: { session: 2, atMs: cluster.clock.now(), graceMs: 0, epoch } });
    await report(cluster, 2, others);
    for (const client of clients) assert.deepEqual(notifications(client).slice(3), [`offline ${gone}`]);
    await report(cluster, 2);
    for (const client of clients) assert.deepEqual(notifications(client).slice(4), [`online ${gone}`]);
  });
});

test('a new owner of a partition sets devices offline whose sessions have closed meanwhile', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    await report(cluster, 20);
    const [staying, leaving] = nodes as [ClusterNode, ClusterNode];
    const gone = devicesOn(leaving)[0]!;
    const others = devices.filter((device) => device !== gone);
    const client = staying.client('plant.>');
    leaving.crash();
    const closed = { session: 1, atMs: cluster.clock.now(), graceMs: 1_000, epoch };
    await cluster.appendEvent(gone, { sessionClosed: closed });
    await report(cluster, 15, others);
    assert.ok(notifications(client).includes(`offline ${gone}`), notifications(client).join(', '));
  });
});

test('stale, offline and online reach every node although frames are lost, duplicated and reordered', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    await withCluster(
      ['a', 'b', 'c'],
      async (cluster, nodes) => {
        await report(cluster, 20);
        const clients = watchers(nodes);
        await cluster.clock.advance(2_000);
        cluster.setNetworkFaults({
          delayMs: { min: 0, max: 30 },
          loss: 0.3,
          duplication: 0.1,
          reordering: { probability: 0.1, byMs: 800 },
        });
        const reporting = devices.slice(4);
        await report(cluster, 30, reporting);
        cluster.setNetworkFaults({});
        await report(cluster, 10, reporting);
        for (const client of clients) {
          const stale = notifications(client).filter((each) => each.startsWith('stale'));
          assert.deepEqual(
            stale.sort(),
            devices
              .slice(0, 4)
              .map((device) => `stale ${device}`)
              .sort(),
            `seed ${seed}`,
          );
        }
        await report(cluster, 10);
        for (const client of clients) {
          const online = notifications(client).filter((each) => each.startsWith('online'));
          assert.equal(new Set(online).size, 4, `seed ${seed}`);
          assert.equal(online.length, 4, `seed ${seed}: ${online}`);
        }
      },
      seed,
    );
  }
});

test('stale reaches every node although the frames with it are lost, and no reports follow', async () => {
  await withCluster(
    ['a', 'b', 'c'],
    async (cluster, nodes) => {
      await report(cluster, 20);
      const clients = watchers(nodes);
      await cluster.clock.advance(3_000);
      cluster.setNetworkFaults({ loss: 0.5 });
      await cluster.clock.advance(6_000);
      cluster.setNetworkFaults({});
      await cluster.clock.advance(3_000);
      for (const client of clients) {
        assert.deepEqual(notifications(client).filter((each) => each.startsWith('stale')).length, devices.length);
      }
    },
    4,
  );
});

test('a client that was behind, or paused, is sent the devices that became stale or online meanwhile', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    await report(cluster, 20);
    const [node] = nodes as [ClusterNode];
    const [first, second, ...others] = devices as [string, string, ...string[]];
    const client = node.client('plant.>');
    await report(cluster, 10, [second, ...others]);
    assert.deepEqual(notifications(client), [`stale ${first}`]);
    node.hub.pause(client.subscription!);
    await report(cluster, 10, [first, ...others]);
    assert.equal(client.notifications.length, 1);
    node.hub.resume(client.subscription!);
    await report(cluster, 1, [first, ...others]);
    assert.deepEqual(notifications(client).slice(1), [`stale ${second}`, `online ${first}`]);
  });
});

test('a client that was behind, or paused, during the end of an interruption is sent restored', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    await report(cluster, 20);
    const [, isolated] = nodes as [ClusterNode, ClusterNode];
    const clients = [isolated.client('plant.>'), isolated.client('plant.>')] as const;
    await cluster.clock.advance(1_000);
    cluster.isolate('b');
    await report(cluster, 5);
    for (const client of clients) assert.deepEqual(notifications(client), ['interrupted']);
    const [behind, paused] = clients;
    isolated.hub.pause(paused.subscription!);
    const writable = Promise.withResolvers<void>();
    behind.whenWritable = () => writable.promise;
    isolated.hub.fallBehind(behind.subscription!);
    cluster.heal('b');
    await report(cluster, 20);
    assert.equal(isolated.ownership.presence.interruptions.size, 0);
    behind.whenWritable = () => undefined;
    writable.resolve();
    isolated.hub.resume(paused.subscription!);
    await report(cluster, 1);
    for (const client of clients) assert.deepEqual(notifications(client), ['interrupted', 'restored']);
  });
});

test('when an owner crashes no further device is stale, and one that was stays so without another message', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    await report(cluster, 20);
    const crashing = nodes[1]!;
    const idle = devicesOn(crashing)[0]!;
    const reporting = devices.filter((device) => device !== idle);
    const staying = [nodes[0]!, nodes[2]!];
    const clients = watchers(staying);
    await report(cluster, 15, reporting);
    for (const client of clients) assert.deepEqual(notifications(client), [`stale ${idle}`]);
    crashing.crash();
    await report(cluster, 30, reporting);
    for (const client of clients) {
      const presences = notifications(client).filter((each) => each.includes(' '));
      assert.deepEqual(presences, [`stale ${idle}`]);
      const interruptions = notifications(client).filter((each) => !each.includes(' '));
      assert.ok(interruptions.length % 2 === 0, `${interruptions}`);
    }
    await report(cluster, 60, reporting);
    const fresh = watchers(staying);
    for (const client of [...clients, ...fresh]) assert.equal(notifications(client).at(-1), `offline ${idle}`);
    await report(cluster, 2);
    for (const client of clients) assert.equal(notifications(client).at(-1), `online ${idle}`);
  });
});

test('clients of an isolated node are sent interrupted, and not stale', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    await report(cluster, 20);
    const [, isolated] = nodes as [ClusterNode, ClusterNode];
    const client = isolated.client('plant.>');
    const away = isolated.ownership.partitions.filter(({ role }) => role === 'elsewhere').map(({ number }) => number);
    assert.ok(away.length > 0);
    await cluster.clock.advance(1_000);
    const isolatedAt = cluster.clock.now();
    cluster.isolate('b');
    await report(cluster, 1);
    assert.deepEqual(notifications(client), [], 'a short interruption is not notified');
    await report(cluster, 3);
    assert.equal(client.notifications.length, 1);
    const message = client.notifications[0]!;
    assert.ok('interrupted' in message);
    const { view, since, partitions } = message.interrupted;
    assert.deepEqual([view, partitions], [client.subscription!.view.number, away]);
    assert.ok(since >= isolatedAt - 1_000 && since <= isolatedAt + 1_000, `${since - isolatedAt}`);
    await report(cluster, 4);
    cluster.heal('b');
    await report(cluster, 20);
    const kinds = notifications(client);
    assert.deepEqual([kinds[0], kinds.at(-1)], ['interrupted', 'restored']);
    assert.deepEqual(
      kinds.filter((each) => each.includes(' ')),
      [],
    );
    assert.equal(isolated.ownership.presence.interruptions.size, 0);
  });
});

/** Owners that cannot read the log, but announce, reply and send frames. */
async function withoutLog(
  slowBusMs: number,
  check: (cluster: Cluster, clients: readonly ClusterClient[], nodes: readonly ClusterNode[]) => Promise<void>,
): Promise<void> {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    await report(cluster, 20);
    const clients = watchers(nodes);
    await report(cluster, 2);
    for (const node of nodes) node.disconnectLog();
    if (slowBusMs > 0) cluster.setNetworkFaults({ delayMs: { min: slowBusMs, max: slowBusMs } });
    await check(cluster, clients, nodes);
  });
}

/** The last message is interrupted, with all partitions. */
function assertInterrupted(client: ClusterClient, nodes: readonly ClusterNode[], stoppedMs: number): void {
  const last = client.notifications.at(-1);
  assert.ok(last !== undefined && 'interrupted' in last, notifications(client).join());
  assert.deepEqual(
    last.interrupted.partitions,
    nodes[0]!.ownership.partitions.map(({ number }) => number),
  );
  assert.ok(Math.abs(last.interrupted.since - stoppedMs) <= 1_000, `since ${last.interrupted.since - stoppedMs}`);
}

test('when no node reads the log, all clients are sent interrupted for all partitions within interruptedMs', async () => {
  await withoutLog(0, async (cluster, clients, nodes) => {
    const stoppedMs = cluster.clock.now();
    // And one poll of the end of the partitions.
    await cluster.clock.advance(limits.interruptedMs + 500);
    for (const client of clients) assertInterrupted(client, nodes, stoppedMs);
    for (const node of nodes) node.reconnectLog();
    await settle(cluster);
    for (const client of clients) assert.deepEqual(kindsOf(client), ['interrupted', 'restored']);
  });
});

test('late frames, from before or after the log became unavailable, do not prove that it is read', async () => {
  await withoutLog(1_400, async (cluster, clients, nodes) => {
    const stoppedMs = cluster.clock.now();
    await cluster.clock.advance(limits.interruptedMs + 500);
    for (const client of clients) assertInterrupted(client, nodes, stoppedMs);
    await cluster.clock.advance(3_000);
    for (const client of clients) assert.deepEqual(kindsOf(client), ['interrupted']);
  });
});

test('a client that subscribes to a new channel while no owner reads the log is sent interrupted', async () => {
  await withoutLog(0, async (cluster, _clients, nodes) => {
    await cluster.clock.advance(1_000);
    const late = nodes.map((node) => node.client('plant.line0.>'));
    await cluster.clock.advance(limits.interruptedMs + 500);
    for (const client of late) assert.deepEqual(kindsOf(client), ['interrupted']);
  });
});

/** Notifications without those of devices; repetitions for further partitions count once. */
function kindsOf(client: ClusterClient): string[] {
  const kinds = notifications(client).filter((each) => !each.includes(' '));
  return kinds.filter((kind, i) => kind !== kinds[i - 1]);
}

test('a new owner knows the report interval of a device that reports seldom', async () => {
  const intervalMs = 600_000;
  await withCluster(['a'], async (cluster, [node]) => {
    const device = devices[0]!;
    let last = { partition: 0, seq: 0 };
    for (let n = 0; n < 5; n++) {
      last = await cluster.append(device, n);
      await cluster.clock.advance(intervalMs);
    }
    await node!.stop();
    // So the interval can only come from the checkpoint.
    await cluster.forget(last.partition, last.seq);
    const successor = await cluster.node('b');
    await settle(cluster);
    const client = successor.client('plant.>');
    await cluster.clock.advance(intervalMs / 6);
    assert.deepEqual(notifications(client), []);
    const partition = successor.ownership.partitions.find(({ devices: known }) => known.has(device))!;
    assert.equal(partition.device(device).reportInterval?.intervalMs, intervalMs);
    for (let n = 0; n < 24; n++) await cluster.clock.advance(intervalMs);
    assert.deepEqual(notifications(client), [`stale ${device}`]);
  });
});
