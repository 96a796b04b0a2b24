import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { createStream } from '@tailrace/client/stream';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import { tailrace } from '@tailrace/protocol/generated';
import { partitionOf } from '@tailrace/protocol/partition';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import {
  type BrokeredNode,
  type Brokers,
  Load,
  plantDevices,
  startBrokeredNode,
  startBrokers,
  tokenForAll,
} from './brokered.ts';
import { type ForeignProducer, type ForeignRecord, startForeignProducer } from './foreign-producer.ts';
import { watch } from './watcher.ts';

failOnLeaks({ graceMs: 5_000 });

const { DeviceState } = tailrace.v1;
const partitions = 6;
const deadlineMs = 30_000;
let brokers: Brokers;
let foreign: ForeignProducer;
let token: string;
before(async () => {
  brokers = await startBrokers();
  foreign = await startForeignProducer(brokers.kafka.brokers);
  token = await tokenForAll();
});
after(async () => {
  await foreign.close();
  await brokers.stop();
});

let prefix: string;
let testNumber = 0;
beforeEach(() => {
  prefix = `foreign${++testNumber}`;
});

const start = (name: string) => startBrokeredNode(brokers, `${prefix}-${name}`, prefix);
const stopAll = (nodes: readonly BrokeredNode[]) => Promise.all(nodes.map((node) => node.stop()));

/** Returns the sum of all series of a metric. */
async function sum(nodes: readonly BrokeredNode[], name: string): Promise<number> {
  let total = 0;
  for (const node of nodes) total += await node.sum(name);
  return total;
}

for (const codec of ['lz4', 'snappy']) {
  test(`a topic that its broker compresses by ${codec} is served by all its nodes, after a restart too`, async () => {
    await foreign.createTopic(`${prefix}.telemetry`, partitions, { 'compression.type': codec });
    await foreign.createTopic(`${prefix}.state`, partitions, {
      'cleanup.policy': 'compact',
      'compression.type': codec,
    });
    const devices = plantDevices(12);
    let nodes = [await start('a'), await start('b')];
    const load = new Load(brokers, prefix, devices);
    await load.start();
    const watchers = await Promise.all(nodes.map(({ port }) => watch({ port, token, channels: ['plant.>'] })));
    for (const watcher of watchers) await watcher.next('subscribed');
    await load.passed(30);
    const isUpToDate = () =>
      watchers.every((watcher) =>
        devices.every((device) => (watcher.last(device) ?? 0) >= (load.sent.get(device) ?? 0) - 5),
      );
    await eventually(isUpToDate, { deadlineMs, describe: 'clients receive all devices' });
    for (const watcher of watchers) assert.deepEqual(watcher.violations(), []);
    await Promise.all(watchers.map((watcher) => watcher.end()));
    await load.stop();
    await stopAll(nodes);
    nodes = [await start('a')];
    const back = await watch({ port: nodes[0]!.port, token, channels: ['plant.>'] });
    await back.next('subscribed');
    await eventually(() => devices.every((device) => back.last(device) === load.sent.get(device)), {
      deadlineMs,
      describe: 'the last values from before',
    });
    assert.equal(await sum(nodes, 'tailrace_fanout_unreadable_ranges_total'), 0);
    await back.end();
    await load.close();
    await stopAll(nodes);
  });
}

const device = 'plant.line1.press7';
const report = (path: string, fields: object = {}) =>
  encodeReport({ device: path, time: Date.now(), readings: [{ tag: 'n', value: 13 }], ...fields }, Date.now());

/** Records of a console producer and other programs. */
const invalidRecords: readonly ForeignRecord[] = [
  { value: '' },
  { key: '', value: '' },
  { key: null, value: null },
  { key: device, value: null },
  { value: 'hello' },
  { value: report(device) },
  { key: device, value: '{"device":"plant.line1.press7","time":1,"readings":[{"tag":"n","value":13}]}' },
  { key: 'plant..x', value: report(device) },
  { key: Buffer.from([0xff, 0xfe, 0x00]), value: report(device) },
  { key: device, value: report('plant.line1.other') },
  { key: device, value: report(device, { readings: [] }) },
  { key: device, value: report(device, { time: Number.NaN }) },
  { key: device, value: report(device, { time: -1 }) },
  { key: device, value: report(device, { time: 1e300 }) },
  { key: device, value: report(device, { readings: [{ tag: 'n', value: Number.POSITIVE_INFINITY }] }) },
  { key: device, value: Buffer.concat([report(device), Buffer.from([0x0a, 0x02, 0xff, 0xfe])]) },
  { key: device, value: Buffer.alloc(1_000_000, 7) },
  { key: device, value: report(device), partition: (partitionOf(device, partitions) + 1) % partitions },
];

test('invalid records of other programs are skipped and counted: clients stay connected and receive what ingest wrote, and a restart is as fast as without them', async () => {
  let nodes = [await start('a'), await start('b')];
  const load = new Load(brokers, prefix, [device, 'plant.line1.other', 'other.line1.m1']);
  const sockets: WebSocket[] = [];
  class Noted extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const given: number[] = [];
  const streams = nodes.map(({ port }) => createStream({ url: `ws://127.0.0.1:${port}`, token, WebSocket: Noted }));
  for (const stream of streams) {
    const take = (
      reports: readonly { readonly device: string; readonly readings: readonly { readonly value: unknown }[] }[],
    ) => {
      for (const { device: path, readings } of reports) if (path === device) given.push(Number(readings[0]?.value));
    };
    stream.subscribe('plant.>', { onSnapshot: take, onReports: take });
  }
  const watchers = await Promise.all(
    nodes.flatMap(({ port }) =>
      (['json', 'proto'] as const).map((encoding) => watch({ port, token, channels: ['>'], encoding })),
    ),
  );
  for (const watcher of watchers) await watcher.next('subscribed');
  await load.start();
  await load.passed(5);
  for (const topic of ['telemetry', 'state', 'meta']) {
    for (const record of invalidRecords) {
      // A compacted topic refuses records without a key.
      await foreign.send(`${prefix}.${topic}`, [record]).catch(() => {});
      await load.passed(1);
    }
  }
  const state = { epoch: 'other', previous: 0, next: 2 ** 50, reports: [{ seq: 2 ** 49, report: report(device) }] };
  await foreign.send(`${prefix}.state`, [{ key: device, value: DeviceState.encode(state).finish() }]);
  await load.passed(20);
  await eventually(
    () => watchers.every((watcher) => [...load.sent].every(([path, value]) => (watcher.last(path) ?? 0) >= value - 5)),
    { deadlineMs, describe: 'clients receive what was sent' },
  );
  for (const watcher of watchers) {
    assert.deepEqual(watcher.violations(), []);
    assert.deepEqual([...watcher.shown.keys()].sort(), ['other.line1.m1', 'plant.line1.other', device].sort());
  }
  assert.equal(sockets.length, streams.length, 'the SDK never had to reconnect');
  assert.ok(given.length > 50);
  assert.equal(await sum(nodes, 'tailrace_fanout_unreadable_records_total'), invalidRecords.length);
  assert.equal(await sum(nodes, 'tailrace_fanout_failed_records_total'), 0);
  for (const stream of streams) stream.close();
  await Promise.all(watchers.map((watcher) => watcher.end()));
  await load.stop();
  await stopAll(nodes);

  const startMs = performance.now();
  nodes = [await start('a')];
  assert.ok(performance.now() - startMs < 10_000, `${performance.now() - startMs} ms`);
  const back = await watch({ port: nodes[0]!.port, token, channels: ['>'] });
  await back.next('subscribed');
  await eventually(() => [...load.sent].every(([path, value]) => back.last(path) === value), {
    deadlineMs,
    describe: 'the last values are available',
  });
  assert.deepEqual([...back.shown.keys()].sort(), [...load.sent.keys()].sort());
  await back.end();
  await load.close();
  await stopAll(nodes);
});

test('a device with more last values than a state record holds affects no other device, and does not delay the start', async () => {
  await foreign.createTopic(`${prefix}.state`, partitions, {
    'cleanup.policy': 'compact',
    'max.message.bytes': '200000',
  });
  const large = 'evil.device';
  const others = Array.from({ length: 500 }, (_, n) => `honest.d${n}`)
    .filter((path) => partitionOf(path, partitions) === partitionOf(large, partitions))
    .slice(0, 30);
  let nodes = [await start('a')];
  const eventLog = new KafkaEventLog({ brokers: brokers.kafka.brokers, prefix, logger: silentLogger });
  await eventLog.start();
  const append = (path: string, tag: string, value: number | string) =>
    eventLog.append(`${prefix}.telemetry`, [{ key: path, value: report(path, { readings: [{ tag, value }] }) }]);
  await Promise.all(others.map((path, n) => append(path, 'n', n)));
  await Promise.all(Array.from({ length: 250 }, (_, n) => append(large, `t${n}`, 'x'.repeat(4_000))));
  await eventually(async () => (await sum(nodes, 'tailrace_fanout_checkpoint_records_total')) >= 31, {
    deadlineMs,
    describe: 'the last values are written',
  });
  assert.equal(await sum(nodes, 'tailrace_fanout_checkpoint_failures_total'), 0);
  assert.ok((await sum(nodes, 'tailrace_fanout_truncated_checkpoints_total')) > 0);
  // So many that they are not read back at the start: last values come from the state topic.
  const filler = others[0]!;
  const before = await sum(nodes, 'tailrace_fanout_reports_total');
  for (let n = 0; n < 21; n++) {
    await eventLog.append(
      `${prefix}.telemetry`,
      Array.from({ length: 1_000 }, () => ({
        key: filler,
        value: report(filler, { readings: [{ tag: 'n', value: n }] }),
      })),
    );
  }
  await eventually(async () => (await sum(nodes, 'tailrace_fanout_reports_total')) >= before + 21_000, {
    deadlineMs,
    describe: 'the node has read them',
  });
  await stopAll(nodes);
  const startMs = performance.now();
  nodes = [await start('a')];
  assert.ok(performance.now() - startMs < 10_000, `${performance.now() - startMs} ms`);
  const back = await watch({ port: nodes[0]!.port, token, channels: ['honest.>'] });
  await back.next('subscribed');
  await eventually(() => others.every((path) => back.last(path) !== undefined), {
    deadlineMs,
    describe: 'all others have their last values',
  });
  assert.deepEqual(
    others.slice(1).map((path) => back.last(path)),
    others.slice(1).map((_, n) => n + 1),
  );
  await back.end();
  await eventLog.close();
  await stopAll(nodes);
});
