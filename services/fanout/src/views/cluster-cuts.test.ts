import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cut } from '@tailrace/protocol/cut';
import { partitionOf } from '@tailrace/protocol/partition';
import { replaceProperty } from '@tailrace/testkit/replace-property';
import { type Cluster, type ClusterClient, type ClusterNode, randomFrom } from '../../test/cluster.ts';
import { devices, withCluster } from '../../test/cluster-load.ts';
import { Cuts } from './cuts.ts';

interface SentReport {
  readonly device: string;
  readonly value: number;
  readonly received: number;
}

const alignMs = 1_000;

function watch(node: ClusterNode, channel = 'plant.>'): ClusterClient {
  return node.client(channel, true, undefined, { align: alignMs });
}

function cutsOf(client: ClusterClient): Cut[] {
  return client.notifications.flatMap((message) => ('cut' in message ? [message.cut] : []));
}

/** Sends random reports of random devices for `ms`, and records them. */
async function sendReports(cluster: Cluster, sent: SentReport[], ms: number, random: () => number): Promise<void> {
  const until = cluster.clock.now() + ms;
  while (cluster.clock.now() < until) {
    const device = devices[Math.floor(random() * devices.length)]!;
    const value = sent.length;
    sent.push({ device, value, received: cluster.clock.now() });
    await cluster.append(device, value);
    await cluster.clock.advance(Math.floor(random() * 60));
  }
}

/** Returns the last value of each device as of a time. */
function asOf(sent: readonly SentReport[], at: number): Record<string, number> {
  return Object.fromEntries(sent.filter(({ received }) => received <= at).map(({ device, value }) => [device, value]));
}

function valuesOf(cut: Cut): Record<string, number> {
  return Object.fromEntries(cut.reports.map(({ device, readings }) => [device, Number(readings[0]!.value)]));
}

/** Asserts that no cut is skipped, and that each is complete except for what it names. */
function assertCuts(cuts: readonly Cut[], sent: readonly SentReport[], partitionOf: (device: string) => number): void {
  for (const [i, cut] of cuts.entries()) {
    assert.equal(cut.at % alignMs, 0);
    if (i > 0) assert.equal(cut.at, cuts[i - 1]!.at + alignMs, 'a cut is skipped');
    const late = cuts[i + 1]?.late ?? [];
    const values = valuesOf(cut);
    for (const [device, value] of Object.entries(asOf(sent, cut.at))) {
      if (cut.missing?.includes(partitionOf(device)) || late.includes(device)) continue;
      assert.equal(values[device], value, `${device} as of ${cut.at}`);
    }
  }
}

function home({ partitions }: Cluster): (device: string) => number {
  return (device) => partitionOf(device, partitions);
}

test('cuts of a subtree over all partitions are complete, come every second, and are the same on every node', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const random = randomFrom(5);
    const sent: SentReport[] = [];
    await sendReports(cluster, sent, 3_000, random);
    const clients = nodes.flatMap((node) => [watch(node), watch(node)]);
    await sendReports(cluster, sent, 10_000, random);
    await cluster.clock.advance(3_000);
    const [first, ...others] = clients.map(cutsOf) as [Cut[], ...Cut[][]];
    assert.ok(first.length >= 10, `${first.length} cuts`);
    assertCuts(first, sent, home(cluster));
    for (const cut of first) assert.deepEqual([cut.late, cut.missing], [undefined, undefined]);
    const byMoment = new Map(first.map((cut) => [cut.at, cut]));
    for (const cuts of others) {
      assert.ok(cuts.length >= first.length - 1);
      for (const cut of cuts) assert.deepEqual({ ...cut, view: first[0]!.view }, byMoment.get(cut.at) ?? cut);
    }
    for (const client of clients) {
      assert.deepEqual([client.snapshot, client.live, client.errors], [[], [], []], 'cuts come instead of data');
    }
  });
});

test('idle partitions do not delay cuts', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const client = watch(nodes[0]!);
    await cluster.clock.advance(500);
    await cluster.append(devices[0]!, 1);
    await cluster.clock.advance(10_000);
    const cuts = cutsOf(client);
    assert.ok(cuts.length >= 7, `${cuts.length} cuts`);
    for (const cut of cuts) assert.equal(cut.missing, undefined, `${cut.missing} had not passed ${cut.at}`);
  });
});

test('a cut waits for an unreachable partition, then names it; what was missing is named late when it arrives', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const random = randomFrom(7);
    const sent: SentReport[] = [];
    await sendReports(cluster, sent, 3_000, random);
    const client = watch(nodes[1]!);
    await sendReports(cluster, sent, 5_000, random);
    cluster.isolate('b');
    await sendReports(cluster, sent, 10_000, random);
    cluster.heal('b');
    await sendReports(cluster, sent, 15_000, random);
    await cluster.clock.advance(3_000);
    const cuts = cutsOf(client);
    assertCuts(cuts, sent, home(cluster));
    assert.ok(cuts.some(({ missing = [] }) => missing.length > 0));
    assert.ok(cuts.some(({ late = [] }) => late.length > 0));
    assert.deepEqual([cuts.at(-1)!.late, cuts.at(-1)!.missing], [undefined, undefined]);
    assert.deepEqual(valuesOf(cuts.at(-1)!), asOf(sent, cuts.at(-1)!.at));
  });
});

test('across a change of owner cuts stay complete, or name the missing partitions', async () => {
  for (let seed = 1; seed <= 3; seed++) {
    await withCluster(
      ['a', 'b', 'c'],
      async (cluster, nodes) => {
        const random = randomFrom(seed);
        const sent: SentReport[] = [];
        await sendReports(cluster, sent, 3_000, random);
        const clients = [watch(nodes[0]!), watch(nodes[2]!)];
        await sendReports(cluster, sent, 3_000, random);
        if (seed === 1) nodes[1]!.crash();
        const stopped = seed === 1 ? undefined : nodes[1]!.stop();
        await sendReports(cluster, sent, 20_000, random);
        await stopped;
        await cluster.node('d');
        await sendReports(cluster, sent, 10_000, random);
        await cluster.clock.advance(3_000);
        for (const client of clients) {
          const cuts = cutsOf(client);
          assert.ok(cuts.length >= 34);
          assertCuts(cuts, sent, home(cluster));
          assert.deepEqual(valuesOf(cuts.at(-1)!), asOf(sent, cuts.at(-1)!.at));
        }
      },
      seed,
    );
  }
});

test('a client that is behind gets the next cut, and no data', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    const random = randomFrom(3);
    const sent: SentReport[] = [];
    const [client, other] = [watch(node!), watch(node!)];
    await sendReports(cluster, sent, 3_000, random);
    node!.hub.fallBehind(client.subscription!);
    await sendReports(cluster, sent, 3_000, random);
    node!.hub.pause(client.subscription!);
    const before = cutsOf(client).length;
    await sendReports(cluster, sent, 3_000, random);
    assert.equal(cutsOf(client).length, before);
    node!.hub.resume(client.subscription!);
    await sendReports(cluster, sent, 3_000, random);
    assert.deepEqual([client.live, client.snapshot, client.errors], [[], [], []]);
    assert.equal(cutsOf(client).at(-1)!.at, cutsOf(other).at(-1)!.at);
    assertCuts(cutsOf(other), sent, home(cluster));
  });
});

/** Returns the cuts as a client assembles them from their pages. */
function wholeCutsOf(client: ClusterClient): Cut[] {
  const cuts: Cut[] = [];
  let pages: Cut[] = [];
  for (const page of cutsOf(client)) {
    assert.equal(page.page ?? 0, pages.length, 'a page is missing');
    pages.push(page);
    if (page.more) continue;
    cuts.push({ ...pages[0]!, reports: pages.flatMap(({ reports }) => reports) });
    pages = [];
  }
  return cuts;
}

test('a cut of any size is sent in pages, with the same content as in one frame', async (t) => {
  t.after(replaceProperty(Cuts, 'wholeBytesMax', 300_000));
  await withCluster(
    ['a'],
    async (cluster, [node]) => {
      const sent: SentReport[] = [];
      const client = watch(node!);
      const small = node!.client(devices[0]!, true, undefined, { align: alignMs });
      await cluster.clock.advance(2_000);
      for (let i = 0; i < 4_000; i++) {
        const device = `plant.${'x'.repeat(60)}.${'y'.repeat(60)}.m${i}`;
        sent.push({ device, value: i, received: cluster.clock.now() });
        await cluster.append(device, i);
      }
      await cluster.clock.advance(5_000);
      assert.deepEqual([client.errors, small.errors], [[], []]);
      const cuts = wholeCutsOf(client);
      assert.ok(cutsOf(client).length > cuts.length + 10);
      assert.equal(cuts.at(-1)!.reports.length, 4_000);
      assertCuts(cuts, sent, home(cluster));
      for (const { reports } of cuts) {
        const order = reports.map(({ partition, seq }) => partition * 1e6 + seq);
        assert.deepEqual(
          order,
          order.toSorted((a, b) => a - b),
        );
      }
      assert.ok(cutsOf(small).length > 5);
    },
    1,
  );
});

test('beyond the memory limit of cuts, the largest cuts of the user that holds most are terminated', async () => {
  const limits = { cutBytesMax: 200_000 };
  await withCluster(
    ['a'],
    async (cluster, [node]) => {
      const small = node!.client(devices[0]!, true, undefined, { align: alignMs });
      const client = watch(node!);
      client.work.assign('another');
      await cluster.clock.advance(2_000);
      for (let i = 0; i < 1_000; i++) await cluster.append(`plant.m${i}`, i);
      await cluster.clock.advance(3_000);
      assert.equal(client.subscription!.state, 'closed');
      assert.match(client.errors[0]!, /expected at most 200000 bytes to be held for cuts/);
      assert.deepEqual([small.subscription!.state, small.errors], ['live', []]);
      assert.equal(node!.hub.cuts.size, 1);
      assert.equal(client.subscription!.view.sockets, 0);
    },
    1,
    { limits },
  );
});

test('an unexpected error while a cut is made terminates the subscriptions that wait for it, with that error', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    const client = watch(node!);
    await cluster.clock.advance(2_000);
    node!.views.send = () => {
      throw new TypeError('unexpected');
    };
    await cluster.clock.advance(3_000);
    assert.equal(client.subscription!.state, 'closed');
    assert.deepEqual(client.errors, ['internal error; see the server log']);
    assert.equal(node!.hub.cuts.size, 0);
  });
});

test('views of a channel with the same cuts share what they hold, and continue when the first one leaves', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    const random = randomFrom(7);
    const sent: SentReport[] = [];
    await sendReports(cluster, sent, 1_000, random);
    const first = watch(node!);
    await sendReports(cluster, sent, 1_500, random);
    const alone = node!.hub.cuts.bytes;
    const binary = node!.client('plant.>', true, undefined, { align: alignMs }, 'proto');
    await sendReports(cluster, sent, 2_500, random);
    assert.equal(node!.hub.cuts.size, 2);
    assert.ok(node!.hub.cuts.bytes < 1.5 * alone, `${node!.hub.cuts.bytes} bytes for two, ${alone} for one`);
    first.disconnect();
    await sendReports(cluster, sent, 3_000, random);
    const cuts = cutsOf(binary);
    assert.ok(cuts.length >= 4, `${cuts.length} cuts`);
    assertCuts(cuts, sent, home(cluster));
    binary.disconnect();
    assert.equal(node!.hub.cuts.size, 0);
  });
});

test('a client that joins running cuts gets the next one, and with the last client they stop', async () => {
  await withCluster(['a'], async (cluster, [node]) => {
    const random = randomFrom(3);
    const sent: SentReport[] = [];
    const first = watch(node!);
    await sendReports(cluster, sent, 2_500, random);
    const second = watch(node!);
    assert.equal(second.start?.devices, 0);
    await sendReports(cluster, sent, 2_000, random);
    const theirs = cutsOf(second);
    assert.ok(theirs.length > 0);
    assert.deepEqual(theirs, cutsOf(first).slice(-theirs.length));
    first.disconnect();
    second.disconnect();
    assert.equal(node!.hub.cuts.size, 0);
  });
});
