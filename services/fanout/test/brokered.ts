import assert from 'node:assert/strict';
import { createNatsBus } from '@tailrace/bus/nats';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import { noTracing } from '@tailrace/platform/tracing';
import { isTailraceError } from '@tailrace/protocol/error';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { eventually } from '@tailrace/testkit/eventually';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { type NatsServer, startNats } from '@tailrace/testkit/nats';
import { createFanout, type Fanout } from '../src/app.ts';
import type { FanoutSettings } from '../src/config.ts';
import { createUwsTransport } from '../src/uws-transport.ts';
import { gatedBus } from './gated-bus.ts';
import { testConfig, tokenSecret } from './node.ts';
import type { Watcher } from './watcher.ts';

export interface Brokers {
  readonly kafka: KafkaBroker;
  readonly nats: NatsServer;
  stop(): Promise<void>;
}

export async function startBrokers(): Promise<Brokers> {
  const [kafka, nats] = await Promise.all([startKafka(), startNats()]);
  return {
    kafka,
    nats,
    async stop() {
      await Promise.all([kafka.stop(), nats.stop()]);
    },
  };
}

/** A fanout node on real brokers, in this process, with its own connections. */
export interface BrokeredNode {
  readonly name: string;
  readonly fanout: Fanout;
  readonly port: number;
  metric(name: string): Promise<number>;
  /** Returns the sum of all series of a metric. */
  sum(name: string): Promise<number>;
  /** Isolates the node on the bus, until `heal`. */
  isolate(): void;
  heal(): void;
  /** Stops as on a signal: disconnects clients, leaves the group. Idempotent. */
  stop(): Promise<void>;
}

export async function startBrokeredNode(
  brokers: Brokers,
  name: string,
  topicPrefix: string,
  settings: Partial<FanoutSettings> = {},
): Promise<BrokeredNode> {
  const logger = silentLogger;
  const common = { telemetryPartitions: 6, flushMs: 5, drainMs: 100 };
  const config = testConfig({ node: name, topicPrefix, ...common, ...settings });
  const eventLog = new KafkaEventLog({
    brokers: brokers.kafka.brokers,
    prefix: topicPrefix,
    clientId: name,
    logger,
  });
  const gate = gatedBus(createNatsBus({ servers: [brokers.nats.url], name, logger }));
  const { bus } = gate;
  await Promise.all([eventLog.start(), bus.start()]);
  const metrics = createMetrics({ service: 'fanout', node: name, processMetrics: false });
  const fanout = createFanout({
    eventLog,
    bus,
    clock: systemClock,
    logger,
    metrics,
    tracing: noTracing,
    transport: createUwsTransport(config, logger),
    config,
    random: Math.random,
    version: '0.0.0-test',
  });
  await fanout.start();
  await eventually(() => fanout.notReady() === undefined, { deadlineMs: 30_000, describe: `${name} serves` });
  let stopped: Promise<void> | undefined;
  const stop = async () => {
    await fanout.drain();
    await fanout.stop();
    await Promise.all([eventLog.close(), bus.close()]);
  };
  return {
    name,
    fanout,
    port: fanout.port,
    isolate: gate.isolate,
    heal: gate.heal,
    async metric(metric) {
      const line = (await metrics.text()).split('\n').find((each) => each.startsWith(`${metric}{`));
      return Number(line?.split(' ').at(-1));
    },
    async sum(metric) {
      const lines = (await metrics.text()).split('\n').filter((each) => each.startsWith(`${metric}{`));
      return lines.reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
    },
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** Returns a metric of fanout, by node. */
export function figuresOf(nodes: readonly BrokeredNode[], metric: string): Promise<number[]> {
  return Promise.all(nodes.map((node) => node.metric(`tailrace_fanout_${metric}`)));
}

/**
 * Waits until each partition has one owner among these nodes, which all of them know, and no standby owner.
 * `ownedMin`: least partitions of a node.
 */
export async function settled(nodes: readonly BrokeredNode[], partitions: number, ownedMin = 0): Promise<void> {
  await eventually(
    async () => {
      const owned = await figuresOf(nodes, 'owned_partitions');
      assert.equal(
        owned.reduce((sum, count) => sum + count, 0),
        partitions,
      );
      assert.ok(Math.min(...owned) >= ownedMin, `${owned}`);
      for (const known of await figuresOf(nodes, 'ring_partitions')) assert.equal(known, partitions);
      for (const standby of await figuresOf(nodes, 'standby_partitions')) assert.equal(standby, 0);
    },
    { deadlineMs: 30_000, pollMs: 50, describe: 'every partition has its owner' },
  );
}

/** Returns the paths of devices in three lines. */
export function plantDevices(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `plant.line${i % 3}.m${i}`);
}

export function tokenForAll(): Promise<string> {
  return issueToken({ secret: tokenSecret, subject: 'test', publish: [], subscribe: ['>'], expiresInMs: 3_600_000 });
}

/**
 * Devices that each report the numbers 1, 2, 3 … while it runs. A report that the log does not acknowledge is sent
 * again under the same message ID, as a gateway does.
 */
export class Load {
  readonly devices: readonly string[];
  /** The last acknowledged number, by device. */
  readonly sent = new Map<string, number>();
  retries = 0;
  readonly #eventLog: KafkaEventLog;
  readonly #topic: string;
  #running = false;
  #loops: Promise<void>[] = [];

  constructor(brokers: Brokers, topicPrefix: string, devices: readonly string[]) {
    this.devices = devices;
    this.#topic = `${topicPrefix}.telemetry`;
    this.#eventLog = new KafkaEventLog({ brokers: brokers.kafka.brokers, prefix: topicPrefix, logger: silentLogger });
  }

  async start(): Promise<void> {
    await this.#eventLog.start();
    this.#running = true;
    this.#loops = this.devices.map((device) => this.#report(device));
    await this.passed(1);
  }

  /** Resolves when every device has reported `count` more times. */
  async passed(count: number): Promise<void> {
    const from = new Map(this.sent);
    await eventually(
      () => this.devices.every((device) => (this.sent.get(device) ?? 0) >= (from.get(device) ?? 0) + count),
      { deadlineMs: 60_000, describe: `every device reports ${count} times` },
    );
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#loops);
  }

  async close(): Promise<void> {
    await this.stop();
    await this.#eventLog.close();
  }

  async #report(device: string): Promise<void> {
    for (let value = 1; this.#running; value++) {
      const nowMs = Date.now();
      const report = { device, time: nowMs, readings: [{ tag: 'n', value }], id: `${value}` };
      await this.#append(device, encodeReport(report, nowMs));
      this.sent.set(device, value);
    }
  }

  async #append(key: string, value: Uint8Array): Promise<void> {
    for (;;) {
      try {
        await this.#eventLog.append(this.#topic, [{ key, value }]);
        return;
      } catch (error) {
        if (!isTailraceError(error) || !error.retryable) throw error;
        this.retries++;
        await systemClock.sleep(50);
      }
    }
  }
}

/**
 * Stops the load. Asserts that each client received every value of its devices from its first on, once, up to the last
 * acknowledged one.
 */
export async function assertWhole(load: Load, clients: readonly Watcher[]): Promise<void> {
  await load.stop();
  await eventually(
    () => {
      for (const client of clients) {
        assert.ok(client.shown.size > 0, 'a client received nothing');
        for (const device of client.shown.keys()) assert.equal(client.last(device), load.sent.get(device), device);
      }
    },
    { deadlineMs: 30_000, pollMs: 50, describe: 'all clients have the last value' },
  );
  for (const client of clients) assert.deepEqual(client.violations(), []);
}
