import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Bus } from '@tailrace/bus/bus';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { createNatsBus } from '@tailrace/bus/nats';
import { createEmbeddedLog } from '@tailrace/eventlog/embedded';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import { noTracing } from '@tailrace/platform/tracing';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { eventually, nextEvent } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { createFanout } from '../src/app.ts';
import { createUwsTransport } from '../src/uws-transport.ts';
import { startBrokers } from './brokered.ts';
import { testConfig, tokenSecret } from './node.ts';
import type { ReplayerCounts, ReplayerOptions } from './replayer.worker.ts';
import { type Watcher, watch } from './watcher.ts';

failOnLeaks({ graceMs: 5_000 });

const clock = systemClock;
const logger = silentLogger;
const historyReports = 60_000;
/** The device of clients that read live data only. */
const honest = 'plant.honest';
const reports = 150;
const everyMs = 20;
/** What other load of the machine may add to the 90th percentile. The 99th depends more on the machine. */
const noiseMs = 50;
const growthBytesMax = 400 * 1_048_576;

interface Brokers {
  readonly eventLog: EventLog;
  readonly bus: Bus;
}

/** Closed after the tests, the last first. */
const closers: (() => Promise<unknown>)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

async function embedded(): Promise<Brokers> {
  const folder = await createTempDir('catchup-load');
  closers.push(() => folder.remove());
  const eventLog = createEmbeddedLog({ path: folder.path, clock, logger: logger });
  await eventLog.start();
  const bus = createMemoryNetwork({ clock }).createBus({ node: 'n', logger });
  return { eventLog: eventLog, bus };
}

async function brokered(): Promise<Brokers> {
  const { kafka, nats, stop } = await startBrokers();
  closers.push(stop);
  const eventLog = new KafkaEventLog({ brokers: kafka.brokers, prefix: 'tailrace', logger: logger });
  await eventLog.start();
  return { eventLog: eventLog, bus: createNatsBus({ servers: [nats.url], name: 'n', logger }) };
}

/** Starts a node whose log reaches further back than its window. */
async function startNode(brokers: Brokers) {
  await brokers.bus.start();
  const metrics = createMetrics({ service: 'fanout', node: 'n', processMetrics: false });
  const config = testConfig({ telemetryPartitions: 12, flushMs: 20, windowBytesMax: 65_536 });
  const random = Math.random;
  const fanout = createFanout({
    ...{ eventLog: brokers.eventLog, bus: brokers.bus, clock, logger: logger, metrics, tracing: noTracing },
    ...{ transport: createUwsTransport(config, logger), config, random },
    version: '0.0.0-test',
  });
  await fanout.start();
  closers.push(async () => {
    await fanout.drain();
    await fanout.stop();
    await brokers.bus.close();
    await brokers.eventLog.close();
  });
  await eventually(() => fanout.notReady() === undefined, { deadlineMs: 30_000, describe: 'the node serves' });
  const append = (device: string, values: readonly number[]) => {
    const nowMs = Date.now();
    const record = (value: number) => ({
      key: device,
      value: encodeReport({ device, time: nowMs, id: `${value}`, readings: [{ tag: 'n', value }] }, nowMs),
    });
    return brokers.eventLog.append('tailrace.telemetry', values.map(record));
  };
  for (let n = 0; n < historyReports; n += 500) {
    const values = Array.from({ length: 500 }, (_, i) => n + i);
    await append(`plant.past.m${(n / 500) % 60}`, values);
  }
  return { port: fanout.port, append };
}

type Node = Awaited<ReturnType<typeof startNode>>;

const token = (subject: string) =>
  issueToken({ secret: tokenSecret, subject, publish: [], subscribe: ['>'], expiresInMs: 3_600_000 });

/** The delays of reports to a client, ms. */
interface Lateness {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

/** Sends reports one after the other, and returns their delays. */
async function report(node: Node, client: Watcher, from: number): Promise<Lateness> {
  const sentMs: number[] = [];
  const lateMs: number[] = [];
  const shown = () => client.shown.get(honest)?.values ?? [];
  const check = () => {
    for (let i = lateMs.length; i < shown().length - from; i++) lateMs.push(performance.now() - sentMs[i]!);
  };
  const watching = clock.every(1, check);
  for (let i = 0; i < reports; i++) {
    sentMs.push(performance.now());
    await node.append(honest, [from + i + 1]);
    await clock.sleep(everyMs);
  }
  await eventually(() => shown().length >= from + reports, {
    deadlineMs: 30_000,
    describe: 'all reports have arrived',
  });
  check();
  watching.cancel();
  lateMs.sort((a, b) => a - b);
  const at = (share: number) => Math.round(lateMs[Math.floor(lateMs.length * share)]!);
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99) };
}

async function withReplayers<T>(
  options: ReplayerOptions,
  run: (counts: () => Promise<ReplayerCounts>) => Promise<T>,
): Promise<T> {
  const worker = new Worker(new URL('./replayer.worker.ts', import.meta.url), { workerData: options });
  try {
    return await run(async () => {
      const answer = nextEvent(worker, 'message', { deadlineMs: 30_000 });
      worker.postMessage('');
      const [counts] = (await answer) as [ReplayerCounts];
      return counts;
    });
  } finally {
    await worker.terminate();
  }
}

for (const [name, start] of Object.entries({ embedded, Kafka: brokered })) {
  test(`150 replays of 60,000 reports on three sockets do not delay a client of live data: ${name}`, async (t) => {
    const node = await startNode(await start());
    const client = await watch({ port: node.port, token: await token('honest'), channels: [honest] });
    await client.next('subscribed');
    await report(node, client, 0);
    const quiet = await report(node, client, reports);
    const before = process.memoryUsage().rss;
    const options = {
      port: node.port,
      token: await token('replayer'),
      sockets: 3,
      subscriptions: 50,
      channel: 'plant.>',
    };
    const underLoad = await withReplayers(options, async (counts) => {
      await eventually(async () => (await counts()).bytes > 1_000_000, { deadlineMs: 30_000, describe: 'replays run' });
      const first = await counts();
      const late = await report(node, client, 2 * reports);
      const last = await counts();
      return { late, bytes: last.bytes - first.bytes, closed: last.closed };
    });
    const growth = process.memoryUsage().rss - before;
    const { late } = underLoad;
    t.diagnostic(`quiet ${JSON.stringify(quiet)} ms, beside replays ${JSON.stringify(late)} ms`);
    t.diagnostic(`replays had ${(underLoad.bytes / 1e6).toFixed(0)} MB; RSS grew by ${(growth / 1e6).toFixed(0)} MB`);
    assert.deepEqual(client.violations(), []);
    assert.equal(client.last(honest), 3 * reports);
    assert.ok(underLoad.bytes > 1_000_000, 'replays go on');
    assert.equal(underLoad.closed, 0);
    assert.ok(late.p90 <= 2 * quiet.p90 + noiseMs, `${late.p90} ms, quiet ${quiet.p90} ms`);
    assert.ok(growth < growthBytesMax, `${growth} bytes`);
    await client.end();
  });
}
