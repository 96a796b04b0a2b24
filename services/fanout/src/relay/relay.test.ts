import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partitionOf } from '@tailrace/protocol/partition';
import { replaceProperty } from '@tailrace/testkit/replace-property';
import { type Cluster, type ClusterClient, type ClusterNode, randomFrom } from '../../test/cluster.ts';
import { assertNothingLeft, assertWhole, devices, leave, load, settle, withCluster } from '../../test/cluster-load.ts';
import { InterestServer } from './interest-server.ts';

/** Few, so that a node that was away has to send several requests. */
const backlogRecordsMax = 40;

test('clients that come and go while relay frames are lost cause no loss for those that stay', async () => {
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
        cluster.setNetworkFaults({ loss: 0.1 });
        for (let i = 0; i < 60; i++) {
          const node = nodes[i % 2]!;
          // Channels that are new on the node, over devices that others watch already.
          const passing = node.client(random() < 0.5 ? 'plant.>' : `plant.line${Math.floor(random() * 3)}.>`);
          await load(cluster, appended, 1, random() < 0.5 ? 0 : 20);
          // One more on a live channel: its snapshot must be as new as what the others have, and no newer.
          const device = devices[Math.floor(random() * devices.length)]!;
          stay.push({ client: node.client(device), channel: [device] });
          leave(node, passing);
        }
        cluster.setNetworkFaults({});
        await load(cluster, appended, 1, 50);
        await settle(cluster);
        for (const { client, channel } of stay) assertWhole(client, channel, appended);
      },
      seed,
    );
  }
});

test('while no frame is lost no interest is requested twice, whenever clients subscribe', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 1, 10);
    cluster.setNetworkFaults({ delayMs: { min: 5, max: 30 } });
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
      nodes.reduce((sum, node) => sum + node.ownership.counts.relay.gaps, 0),
      0,
    );
  });
});

test('a node with a backlog larger than a reply sends requests until it has all of it', async (t) => {
  t.after(replaceProperty(InterestServer, 'backlogRecordsMax', backlogRecordsMax));
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 1, 10);
    const clients = nodes.flatMap((node) => [
      { client: node.client('plant.>'), channel: devices },
      ...devices.map((device) => ({ client: node.client(device), channel: [device] })),
    ]);
    await load(cluster, appended, 1, 10);
    cluster.isolate('b');
    await load(cluster, appended, 10 * backlogRecordsMax, 0);
    cluster.heal('b');
    await load(cluster, appended, 1, 1_000);
    await settle(cluster);
    for (const { client, channel } of clients) assertWhole(client, channel, appended);
  });
});

test('a channel that is closed while its request is pending leaves no state behind', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 1, 10);
    cluster.setNetworkFaults({ delayMs: { min: 20, max: 20 } });
    for (const node of nodes) {
      const client = node.client('plant.>');
      // The request is sent, the reply is not.
      await cluster.clock.advance(30);
      assert.equal(client.start, undefined);
      leave(node, client);
    }
    await settle(cluster);
    assertNothingLeft(nodes);
  });
});

/** A partition with several devices, its owner, and two nodes that follow it. */
function followed(cluster: Cluster, nodes: readonly ClusterNode[]) {
  const number = partitionOf(devices[0]!, cluster.partitions);
  const there = devices.filter((device) => partitionOf(device, cluster.partitions) === number);
  assert.ok(there.length > 1);
  const owner = nodes.find(({ ownership }) => ownership.partitions[number]!.role === 'owned')!;
  const [one, other] = nodes.filter((node) => node !== owner);
  return { number, there, owner, one: one!, other: other! };
}

test('a node whose lease has expired at the owner misses no report, though frames for others have no gap', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const { number, there, owner, one, other } = followed(cluster, nodes);
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 2, 10);
    const all = one.client('plant.>');
    other.client(there[0]!);
    await load(cluster, appended, 2, 10);
    for (let i = 0; i < 3; i++) {
      owner.ownership.partitions[number]!.feed.interests.drop(one.name);
      await load(cluster, appended, 3, 10);
    }
    await settle(cluster);
    assertWhole(all, devices, appended);
  });
});

test('when an owner falls behind the retention of the log, clients of all nodes are sent the missing range', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const { number, there, owner, one, other } = followed(cluster, nodes);
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 2, 10);
    const clients = [owner.client('plant.>'), owner.client(there[0]!), one.client('plant.>'), other.client(there[0]!)];
    await load(cluster, appended, 2, 10);
    owner.disconnectLog();
    const seqs: number[] = [];
    for (let value = 100; value < 110; value++) seqs.push((await cluster.append(there[0]!, value)).seq);
    await cluster.forget(number, seqs[7]!);
    await cluster.clock.advance(1_000);
    owner.reconnectLog();
    await cluster.clock.advance(5_000);
    for (const client of clients) {
      assert.deepEqual(client.errors, []);
      assert.deepEqual(
        client.skipped,
        [{ partition: number, device: '', from: seqs[0]!, to: seqs[6]!, count: 0, reason: 'retention' }],
        'exactly what is missing, once',
      );
      assert.deepEqual(
        client.live.map(({ value }) => value).filter((value) => value >= 100),
        [107, 108, 109],
      );
    }
  });
});

test('a channel whose last client is closed while a part of its backlog is applied is not requested again', async (t) => {
  t.after(replaceProperty(InterestServer, 'backlogRecordsMax', backlogRecordsMax));
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const { number, there, owner, one } = followed(cluster, nodes);
    const [stays, leaves] = [one.client(there[0]!), one.client(there[1]!)];
    await settle(cluster);
    cluster.isolate(one.name);
    await cluster.appendUnreadable(there[0]!);
    for (let value = 0; value < 3 * backlogRecordsMax; value++) await cluster.append(there[0]!, value);
    await cluster.clock.advance(100);
    // A client that is too slow is closed when something is published to it.
    const publishMissing = one.views.publishMissing.bind(one.views);
    one.views.publishMissing = (...args) => {
      publishMissing(...args);
      leave(one, leaves);
    };
    cluster.heal(one.name);
    await settle(cluster);
    assert.equal(stays.skipped.length, 1);
    assert.equal(one.channels.find(there[1]!), undefined);
    assert.equal(owner.ownership.partitions[number]!.feed.interests.held(one.name), 1);
    leave(one, stays);
    await settle(cluster);
    assertNothingLeft(nodes);
  });
});

test('the position of the applied frames is not the position of a channel whose reply is pending', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const { number, there, one } = followed(cluster, nodes);
    const appended = new Map<string, number[]>();
    await load(cluster, appended, 2, 10);
    one.client(there[0]!);
    await load(cluster, appended, 2, 10);
    const next = () => ['plant.>', there[0]!].map((each) => one.ownership.table.next(one.channels.find(each)!, number));
    one.client('plant.>');
    assert.equal(next()[0], -1);
    await cluster.clock.advance(100);
    const [requested, applied] = next();
    assert.equal(requested, applied);
    assert.ok(requested! > 0);
  });
});

test('the last values of many devices are sent in steps, and live data meanwhile arrives once, without loss', async () => {
  const random = randomFrom(11);
  await withCluster(
    ['a', 'b'],
    async (cluster, [a, b]) => {
      const count = 3_000;
      const path = (i: number) => `many.line${i % 9}.m${i}`;
      for (let i = 0; i < count; i++) await cluster.append(path(i), 1);
      await cluster.clock.advance(1_000);
      const early = b!.client(path(7));
      await cluster.clock.advance(1_000);
      const clients = [a!, b!].map((node) => node.client('many.>'));
      const last = new Map<number, number>();
      let turns = 0;
      for (let value = 2; turns < 200; value++, turns++) {
        const i = value % 5 === 0 ? 7 : Math.floor(random() * count);
        last.set(i, value);
        await cluster.append(path(i), value);
        await cluster.clock.advance(10);
        if (clients.every(({ subscription }) => subscription?.state === 'live')) break;
      }
      assert.ok(turns > 20, `expected more than 20 turns, got ${turns}`);
      await settle(cluster);
      for (const client of clients) {
        assert.deepEqual(client.errors, []);
        assert.equal(client.start?.devices, count);
        const seen = new Map<string, { seq: number; value: number }>();
        for (const { device, seq, value } of [...client.snapshot, ...client.live]) {
          assert.ok(seq > (seen.get(device)?.seq ?? -1), `${device}: ${seq} after ${seen.get(device)?.seq}`);
          seen.set(device, { seq, value });
        }
        assert.equal(seen.size, count);
        for (let i = 0; i < count; i++) assert.equal(seen.get(path(i))?.value, last.get(i) ?? 1, path(i));
      }
      assert.equal(early.live.at(-1)?.value, last.get(7));
      assert.equal(b!.ownership.counts.relay.gaps, 0);
    },
    3,
    { workStepsMax: 2, turnMs: () => 10 },
  );
});

test('a client that subscribes to a subtree and unsubscribes in a loop makes owners send its last values once', async () => {
  await withCluster(
    ['a', 'b'],
    async (cluster, [a, b]) => {
      const appended = new Map<string, number[]>();
      await load(cluster, appended, 1, 10);
      const requests = () => b!.ownership.counts.relay.requests;
      const before = requests();
      for (let i = 0; i < 30; i++) {
        leave(b!, b!.client('plant.>'));
        await cluster.clock.advance(100);
        const client = b!.client('plant.>');
        await cluster.clock.advance(100);
        assert.equal(client.subscription?.state, 'live');
        leave(b!, client);
        await cluster.clock.advance(100);
      }
      assert.ok(
        requests() - before <= cluster.partitions,
        `${requests() - before} requests for ${cluster.partitions} partitions`,
      );
      assert.equal(b!.channels.size, 1);
      await load(cluster, appended, 2, 10);
      const back = b!.client('plant.>');
      await load(cluster, appended, 2, 10);
      assertWhole(back, devices, appended);
      leave(b!, back);
      await cluster.clock.advance(11_000);
      assert.deepEqual([a!.channels.size, b!.channels.size], [0, 0]);
      await settle(cluster);
      assertNothingLeft([a!, b!]);
    },
    5,
  );
});

test('a subtree is served although its first client was refused a replay', async () => {
  await withCluster(
    ['a', 'b'],
    async (cluster, [a, b]) => {
      const appended = new Map<string, number[]>();
      await load(cluster, appended, 1, 10);
      const other = b!.client(devices[0]!);
      const replay = { id: 'r', channel: 'plant.>', snapshot: true, from: cluster.clock.now(), speed: 1 };
      assert.throws(() => b!.hub.subscribe(other, replay, () => {}), { code: 'limit_reached' });
      await cluster.clock.advance(100);
      const client = b!.client('plant.>');
      await load(cluster, appended, 2, 10);
      await settle(cluster);
      assert.equal(client.subscription?.state, 'live');
      assertWhole(client, devices, appended);
      for (const each of [client, other]) leave(b!, each);
      await cluster.clock.advance(11_000);
      assertNothingLeft([a!, b!]);
    },
    5,
    { limits: { replaysMax: 0 } },
  );
});

test('overloaded nodes reply to others, a few channels at a time', async () => {
  const busy = { partitions: 2, workStepsMax: 1, turnMs: () => 20, limits: { ownerRequestTimeoutMs: 500 } };
  await withCluster(
    ['a', 'b'],
    async (cluster, nodes) => {
      const appended = new Map<string, number[]>();
      await load(cluster, appended, 3, 10);
      let isBusy = true;
      for (const node of nodes) {
        for (let i = 0; i < 6; i++) void node.work.queue(`other${i}`, 'node').run(() => !isBusy);
      }
      const clients = nodes.flatMap((node) => [
        { client: node.client('plant.>'), channel: devices },
        ...devices.map((device) => ({ client: node.client(device), channel: [device] })),
      ]);
      await load(cluster, appended, 50, 10);
      await cluster.clock.advance(5_000);
      for (const { client, channel } of clients) {
        assert.ok(client.start !== undefined, `${channel} has not started`);
        assertWhole(client, channel, appended);
      }
      isBusy = false;
      await settle(cluster);
    },
    1,
    busy,
  );
});
