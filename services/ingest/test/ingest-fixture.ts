import type { TestContext } from 'node:test';
import type { Bus } from '@tailrace/bus/bus';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { type Clock, systemClock } from '@tailrace/platform/clock';
import { type Logger, silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import { noTracing, type Tracing } from '@tailrace/platform/tracing';
import type { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import type { Report } from '@tailrace/protocol/report';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { eventually } from '@tailrace/testkit/eventually';
import { createIngest } from '../src/app.ts';
import type { BridgeSettings } from '../src/bridge/bridge-settings.ts';
import { configSchema, type IngestConfig, tlsReaderFrom } from '../src/config.ts';
import { createHttpTransport } from '../src/http-transport.ts';
import { createMqttPorts } from '../src/mqtt/mqtt-ports.ts';

export const tokenSecret = 'a secret of the tests, long enough for HS256';
export const topic = 'tailrace.telemetry';
const eventsTopic = 'tailrace.events';

export interface FixtureOptions {
  readonly settings?: Partial<IngestConfig>;
  readonly clock?: Clock;
  /** Default: the log in memory. Started and closed by the caller. */
  readonly eventLog?: EventLog;
  /** Default: none. Started and closed by ingest. */
  readonly bus?: Bus;
  readonly tracing?: Tracing;
  /** Default: none. */
  readonly logger?: Logger;
  readonly bridges?: readonly BridgeSettings[];
  /** Default: that of `createIngest`. */
  readonly node?: string;
}

/** Starts ingest on a free port, on a log in memory whose appends the test can hold or fail. */
export async function startIngest(t: TestContext, options: FixtureOptions = {}) {
  const { clock = systemClock, logger = silentLogger, tracing = noTracing } = options;
  let appendError: TailraceError | undefined;
  let gate: Promise<void> | undefined;
  /** Calls of `appendEach` that are to fail, and the error. */
  let failing: { calls: number; readonly error: TailraceError } | undefined;
  const appendSizes: number[] = [];
  const memory = createMemoryLog({ clock }).connect();
  if (options.eventLog === undefined) await memory.start();
  const eventLog =
    options.eventLog ??
    withAppends(
      memory,
      async (name, records) => {
        appendSizes.push(records.length);
        await gate;
        if (appendError !== undefined) throw appendError;
        return await memory.append(name, records);
      },
      (name, records, settled) => {
        if (failing !== undefined && failing.calls-- > 0) {
          const { error } = failing;
          for (const index of records.keys()) setImmediate(() => settled(index, error, -1, -1));
        } else if (gate === undefined) memory.appendEach(name, records, settled);
        else void gate.then(() => memory.appendEach(name, records, settled));
      },
    );
  const metrics = createMetrics({ service: 'ingest', node: 'test', processMetrics: false });
  const config = configSchema.parse({ host: '127.0.0.1', port: 0, tokenSecret, ...options.settings });
  const tlsReader = tlsReaderFrom(config);
  const mqttPorts = config.mqttEnabled ? createMqttPorts(config, clock, logger, tlsReader) : undefined;
  const ingest = createIngest({
    eventLog,
    bus: options.bus,
    clock,
    logger,
    metrics,
    tracing,
    transport: createHttpTransport({ config, clock, logger, tlsReader }),
    ...(mqttPorts === undefined ? {} : { mqttPorts }),
    config,
    leaveMs: config.leaveMs,
    ...(options.bridges === undefined ? {} : { bridges: options.bridges }),
    ...(options.node === undefined ? {} : { node: options.node }),
  });
  await ingest.start();
  t.after(() => ingest.stop());
  const url = `http://127.0.0.1:${ingest.port}`;
  const token = await tokenFor(['plant1.>'], { clock });

  return {
    ingest,
    eventLog,
    url,
    port: ingest.port,
    mqttPort: mqttPorts?.port ?? 0,
    mqttTlsPort: mqttPorts?.tlsPort ?? 0,
    token,
    /** Records of each append, in order. */
    appendSizes,
    /** Makes appends fail with the error; undefined: they work again. */
    failWith(error: TailraceError | undefined) {
      appendError = error;
    },
    /** Makes the next calls of `appendEach` fail with the error. */
    failEach(calls: number, error: TailraceError) {
      failing = { calls, error };
    },
    /** Makes appends wait until the returned function is called. */
    hold(): () => void {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return () => {
        gate = undefined;
        resolve();
      };
    },
    post: (body: string | Uint8Array | ReadableStream, headers: Readonly<Record<string, string>> = {}) =>
      fetch(`${url}/v1/ingest`, {
        method: 'POST',
        body: body as NonNullable<RequestInit['body']>,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
        ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
      } as RequestInit),
    /** Returns the reports in the log, by partition and position. */
    logged: () => loggedReports(eventLog),
    /** Returns the page of /metrics for a header Accept. */
    page: async (accept: string) => (await metrics.page(accept)).text,
    /** Returns the value of a series. */
    metric: (series: string) => metricFrom(metrics, series),
    /** Resolves when the series has the value. */
    metricIs: (series: string, value: number) =>
      eventually(async () => (await metricFrom(metrics, series)) === value, { describe: `${series} = ${value}` }),
  };
}

function withAppends(eventLog: EventLog, append: EventLog['append'], appendEach: EventLog['appendEach']): EventLog {
  return new Proxy(eventLog, {
    get(target, name) {
      if (name === 'append') return append;
      if (name === 'appendEach') return appendEach;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

async function metricFrom(metrics: { text(): Promise<string> }, series: string): Promise<number> {
  const [name, labels = ''] = series.split(/[{}]/);
  const lines = (await metrics.text())
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && line.includes(labels));
  return Number(lines[0]?.split(' ').at(-1));
}

/** Returns the headers of the records in partition 0 of the reports, in their order. */
export async function loggedHeaders(eventLog: EventLog): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const batch of eventLog.read(topic, 0, { from: 0 })) all.push(...batch.map((record) => record.headers));
  return all;
}

export async function loggedReports(eventLog: EventLog, from = topic): Promise<Report[]> {
  const reports: Report[] = [];
  for (const partition of (await eventLog.bounds(from)).keys()) {
    for await (const batch of eventLog.read(from, partition, { from: 0 })) {
      for (const { value } of batch) reports.push(decodeReport(value));
    }
  }
  return reports;
}

/** Returns the sessions that have closed, as in `plant.g.n1 death`. */
export async function closedSessions(eventLog: EventLog): Promise<string[]> {
  const closed: string[] = [];
  for (const partition of (await eventLog.bounds(eventsTopic)).keys()) {
    for await (const records of eventLog.read(eventsTopic, partition, { from: 0 })) {
      for (const { key, value } of records) {
        const { sessionClosed } = tailrace.v1.Event.decode(value);
        if (sessionClosed) closed.push(`${key} ${sessionClosed.reason}`);
      }
    }
  }
  return closed;
}

export function tokenFor(
  publish: readonly string[],
  options: { clock?: Clock; expiresInMs?: number; subject?: string; receiveCommands?: readonly string[] } = {},
): Promise<string> {
  const { clock = systemClock, expiresInMs = 3_600_000, subject = 'gateway7', receiveCommands = [] } = options;
  return issueToken({ secret: tokenSecret, subject, publish, subscribe: [], receiveCommands, expiresInMs, clock });
}

export function reportOf(device: string, rest: object = {}) {
  return { device, time: 1_634_567_890_123.25, readings: [{ tag: 'temperature', value: 42.5, unit: 'Cel' }], ...rest };
}
