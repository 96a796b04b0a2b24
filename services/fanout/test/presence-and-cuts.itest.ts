import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import type { Cut } from '@tailrace/protocol/cut';
import { partitionOf } from '@tailrace/protocol/partition';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import {
  type BrokeredNode,
  type Brokers,
  Load,
  plantDevices,
  settled,
  startBrokeredNode,
  startBrokers,
  tokenForAll,
} from './brokered.ts';
import { type Watcher, watch } from './watcher.ts';

failOnLeaks({ graceMs: 5_000 });

let brokers: Brokers;
let token: string;
before(async () => {
  brokers = await startBrokers();
  token = await tokenForAll();
});
after(() => brokers.stop());

const partitions = 6;
const devices = plantDevices(12);
let testNumber = 0;
let prefix: string;
let nodes: BrokeredNode[];
let watchers: Watcher[];
let load: Load;
let eventLog: KafkaEventLog;

beforeEach(async () => {
  prefix = `presence${++testNumber}`;
  nodes = [];
  watchers = [];
  for (const name of ['a', 'b']) {
    nodes.push(await startBrokeredNode(brokers, `${prefix}-${name}`, prefix, { staleMsMin: 1_000 }));
  }
  await settled(nodes, partitions, 1);
  load = new Load(brokers, prefix, devices);
  eventLog = new KafkaEventLog({ brokers: brokers.kafka.brokers, prefix, logger: silentLogger });
  await eventLog.start();
});

afterEach(async () => {
  await load.close();
  await eventLog.close();
  await Promise.all(watchers.map((watcher) => watcher.end()));
  await Promise.all(nodes.map((node) => node.stop()));
});

/** Connects a client to each node, one in each encoding. */
async function connectAll(): Promise<Watcher[]> {
  for (const [i, { port }] of nodes.entries()) {
    watchers.push(await watch({ port, token, encoding: i === 0 ? 'json' : 'proto' }));
  }
  return watchers;
}

async function append(device: string, receivedMs: number): Promise<void> {
  const report = { device, time: receivedMs, readings: [{ tag: 'n', value: 1 }] };
  await eventLog.append(`${prefix}.telemetry`, [{ key: device, value: encodeReport(report, receivedMs) }]);
}

test('a device that stops reporting is stale on both nodes, and online with its next report', async () => {
  await load.start();
  const clients = await connectAll();
  for (const client of clients) {
    client.send({ subscribe: { id: 'a', channel: 'quiet.>' } });
    await client.next('subscribed', 20_000);
  }
  // Devices of several partitions. Reports have a time of receipt, so that their interval is known at once.
  const idle = ['quiet.a', 'quiet.b', 'quiet.c', 'quiet.d'];
  assert.ok(new Set(idle.map((device) => partitionOf(device, partitions))).size > 1);
  const lastMs = Date.now();
  for (const device of idle) for (let i = 19; i >= 0; i--) await append(device, lastMs - i * 1_000);
  for (const client of clients) {
    const stale = new Map<string, number>();
    while (stale.size < idle.length) {
      const { stale: change } = await client.next('stale', 30_000);
      assert.ok(!stale.has(change.device), 'stale is sent once');
      stale.set(change.device, change.since);
    }
    assert.deepEqual(
      [...stale].sort(),
      idle.map((device) => [device, lastMs]),
    );
  }
  const late = await watch({ port: nodes[0]!.port, token, channels: ['quiet.a'] });
  watchers.push(late);
  assert.equal((await late.next('stale')).stale.device, 'quiet.a');
  await append('quiet.a', Date.now());
  for (const client of watchers) {
    assert.equal((await client.next('online')).online.device, 'quiet.a');
    for (const message of client.messages.all) {
      assert.ok(!('interrupted' in message) && !('error' in message), JSON.stringify(message));
    }
  }
  assert.ok((await nodes[0]!.metric('tailrace_fanout_presence_changes_total')) > 0);
});

test('cuts of a subtree over all partitions are the same on both nodes', async () => {
  await load.start();
  const clients = await connectAll();
  for (const client of clients) {
    client.send({ subscribe: { id: 'a', channel: 'plant.>', align: 500 } });
    assert.equal((await client.next('subscribed', 20_000)).subscribed.snapshot, 0);
  }
  const cuts = await Promise.all(
    clients.map(async (client) => {
      const received: Cut[] = [];
      while (received.length < 12) received.push((await client.next('cut', 20_000)).cut);
      return received;
    }),
  );
  let compared = 0;
  for (const [i, cut] of cuts[0]!.entries()) {
    assert.equal(cut.at % 500, 0);
    const other = cuts[1]!.findIndex(({ at }) => at === cut.at);
    const named = [cut, cuts[0]![i + 1], cuts[1]![other], cuts[1]![other + 1]];
    // On a busy machine reports may be late, and are named.
    if (other < 0 || named.some((each) => each?.late !== undefined || each?.missing !== undefined)) continue;
    assert.deepEqual({ ...cuts[1]![other], view: cut.view }, cut);
    assert.deepEqual(cut.reports.map(({ device }) => device).sort(), [...devices].sort());
    for (const { received } of cut.reports) assert.ok(received! <= cut.at);
    compared++;
  }
  assert.ok(compared >= 5, `${compared} cuts could be compared`);
  for (const client of clients) assert.equal(client.shown.size, 0, 'data was sent, too');
  assert.ok((await nodes[1]!.metric('tailrace_fanout_cuts_total')) >= 12);
});
