import { createMemoryNetwork } from '@tailrace/bus/memory';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { systemClock } from '@tailrace/platform/clock';
import { type Logger, silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import { noTracing } from '@tailrace/platform/tracing';
import { tailrace } from '@tailrace/protocol/generated';
import type { Reading } from '@tailrace/protocol/report';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { eventually } from '@tailrace/testkit/eventually';
import { connectRawWebSocket, type RawWebSocket, type RawWebSocketOptions } from '@tailrace/testkit/raw-websocket';
import { z } from 'zod';
import { createFanout, type Fanout } from '../src/app.ts';
import { type FanoutSettings, fanoutSettings } from '../src/config.ts';
import { createUwsTransport } from '../src/uws-transport.ts';

export const tokenSecret = 'a secret that is only there for the tests';
const topic = 'tailrace.telemetry';

/** A fanout node with real sockets, on the memory log and bus, on the system clock. */
export interface TestNode {
  readonly fanout: Fanout;
  readonly port: number;
  /** May read every device for an hour. */
  readonly token: string;
  /** Appends a report. Resolves when it is in the log. */
  append(device: string, readings: readonly Reading[]): Promise<void>;
  /** Appends a report of each device, at once. */
  appendAll(devices: readonly string[], readings: readonly Reading[]): Promise<void>;
  /** Appends an event of alarms, commands or leases. */
  appendEvent(key: string, event: tailrace.v1.Event.$Properties): Promise<void>;
  /** Disconnects the node from the log, as when Kafka is down, until `restoreLog`. */
  disconnectLog(): void;
  reconnectLog(): void;
  /** Returns one series of /metrics. */
  metric(name: string): Promise<number>;
  /** Returns all of /metrics. */
  page(): Promise<string>;
  /** Connects a client that has sent nothing yet. */
  connect(options?: Partial<RawWebSocketOptions>): Promise<RawWebSocket>;
  stop(): Promise<void>;
}

const testSettings = {
  tokenSecret,
  host: '127.0.0.1',
  port: 0,
  node: 'test',
  telemetryPartitions: 4,
  flushMs: 0,
  drainMs: 100,
};

export function testConfig(settings: Partial<FanoutSettings> = {}): FanoutSettings {
  return { ...z.strictObject(fanoutSettings).parse(testSettings), ...settings };
}

/** Settings are not validated: a test may go below the limits of the schema. */
export async function startNode(
  settings: Partial<FanoutSettings> = {},
  logger: Logger = silentLogger,
): Promise<TestNode> {
  const clock = systemClock;
  const memory = createMemoryLog({ clock });
  const eventLog = memory.connect();
  const writer = memory.connect();
  await Promise.all([eventLog.start(), writer.start()]);
  const bus = createMemoryNetwork({ clock }).createBus({ node: 'test', logger });
  await bus.start();
  const metrics = createMetrics({ service: 'fanout', node: 'test', processMetrics: false });
  const config = testConfig(settings);
  const fanout = createFanout({
    eventLog,
    bus,
    clock,
    logger: logger,
    metrics,
    tracing: noTracing,
    transport: createUwsTransport(config, logger),
    config,
    random: Math.random,
    version: '0.0.0-test',
  });
  const close = async () => {
    await bus.close();
    await Promise.all([eventLog.close(), writer.close()]);
  };
  await fanout.start().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  await eventually(() => fanout.notReady() === undefined, { describe: 'the node serves' });
  const token = await issueToken({
    secret: tokenSecret,
    subject: 'test',
    publish: [],
    subscribe: ['>'],
    expiresInMs: 3_600_000,
  });
  return {
    fanout,
    port: fanout.port,
    token,
    async append(device, readings) {
      const nowMs = clock.now();
      await writer.append(topic, [{ key: device, value: encodeReport({ device, time: nowMs, readings }, nowMs) }]);
    },
    async appendEvent(key, event) {
      await writer.append('tailrace.events', [{ key, value: tailrace.v1.Event.encode(event).finish() }]);
    },
    async appendAll(devices, readings) {
      const nowMs = clock.now();
      const records = devices.map((device) => ({
        key: device,
        value: encodeReport({ device, time: nowMs, readings }, nowMs),
      }));
      await writer.append(topic, records);
    },
    // As long as the session timeout: no other node gets the partitions.
    disconnectLog: () => eventLog.disconnect(3_600_000),
    reconnectLog: () => eventLog.reconnect(),
    async metric(name) {
      const line = (await metrics.text()).split('\n').find((each) => each.startsWith(`${name}{`));
      return Number(line?.split(' ').at(-1));
    },
    page: () => metrics.text(),
    connect: (options = {}) => connectRawWebSocket({ port: fanout.port, path: '/v1/stream', ...options }),
    async stop() {
      await fanout.drain();
      await fanout.stop();
      await close();
    },
  };
}
