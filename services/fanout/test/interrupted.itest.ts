import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { partitionOf } from '@tailrace/protocol/partition';
import { eventually } from '@tailrace/testkit/eventually';
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

const partitions = 12;
const devices = plantDevices(24);
/** `interruptedMs` and one poll of the log's end; twice that for a busy machine. */
const notifiedMsMax = 2 * (2_000 + 500);
let brokers: Brokers;
let token: string;
let nodes: BrokeredNode[];
let watchers: Watcher[];
let load: Load;

before(async () => {
  brokers = await startBrokers();
  token = await tokenForAll();
});
after(() => brokers.stop());

beforeEach(async () => {
  nodes = [];
  for (const name of ['a', 'b', 'c']) {
    nodes.push(await startBrokeredNode(brokers, name, 'interrupted', { telemetryPartitions: partitions }));
  }
  await settled(nodes, partitions, 1);
  load = new Load(brokers, 'interrupted', devices);
  await load.start();
  watchers = [];
  for (const [i, { port }] of nodes.entries()) {
    watchers.push(await watch({ port, token, channels: devices, encoding: i === 0 ? 'proto' : 'json' }));
  }
  for (const watcher of watchers) for (const _ of devices) await watcher.next('subscribed', 20_000);
  await load.passed(5);
});

afterEach(async () => {
  await brokers.kafka.signal('SIGCONT');
  await load.close();
  await Promise.all(watchers.map((watcher) => watcher.end()));
  await Promise.all(nodes.map((node) => node.stop()));
});

test('while Kafka is paused every client gets interrupted for every device, owned or relayed, and restored after it', async (t) => {
  const stoppedMs = Date.now();
  await brokers.kafka.signal('SIGSTOP');
  const notified = await Promise.all(
    watchers.map(async (watcher) => {
      const messages = [];
      while (messages.length < devices.length) messages.push((await watcher.next('interrupted', 20_000)).interrupted);
      return { messages, afterMs: Date.now() - stoppedMs };
    }),
  );
  const slowestMs = Math.max(...notified.map(({ afterMs }) => afterMs));
  t.diagnostic(`all ${devices.length * nodes.length} subscriptions were notified within ${slowestMs} ms`);
  assert.ok(slowestMs < notifiedMsMax, `${slowestMs} ms`);
  for (const { messages } of notified) {
    for (const { since, partitions: unread } of messages) {
      assert.ok(Math.abs(since - stoppedMs) < 1_500, `since ${since - stoppedMs}`);
      assert.equal(unread.length, 1);
    }
    const numbers = messages.map(({ partitions: unread }) => unread[0]!).sort();
    assert.deepEqual(numbers, devices.map((device) => partitionOf(device, partitions)).sort());
  }
  await brokers.kafka.signal('SIGCONT');
  for (const watcher of watchers) for (const _ of devices) await watcher.next('restored', 30_000);
  await load.passed(5);
  await load.stop();
  await eventually(
    () => {
      for (const watcher of watchers) {
        for (const device of devices) assert.equal(watcher.last(device), load.sent.get(device), device);
      }
    },
    { deadlineMs: 30_000, pollMs: 50, describe: 'all clients have the last value' },
  );
  for (const watcher of watchers) {
    assert.deepEqual(watcher.violations(), []);
    for (const message of watcher.messages.all) {
      assert.ok(!('stale' in message) && !('offline' in message), JSON.stringify(message));
    }
  }
});
