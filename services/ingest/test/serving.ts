import type { TestContext } from 'node:test';
import type { EventLog, NewRecord, Position } from '@tailrace/eventlog/eventlog';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { type Clock, systemClock } from '@tailrace/platform/clock';
import { type Log, silentLog } from '@tailrace/platform/log';
import { createMetrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import { noTracing, type Tracing } from '@tailrace/platform/tracing';
import type { TailraceError } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import { decodeReport } from '@tailrace/protocol/reportproto';
import { eventually } from '@tailrace/testkit/eventually';
import { createIngest } from '../src/app.ts';
import { configSchema, type IngestConfig } from '../src/config.ts';

export const tokenSecret = 'a secret of the tests, long enough for HS256';
export const topic = 'tailrace.telemetry';

export interface ServingOptions {
  readonly settings?: Partial<IngestConfig>;
  readonly clock?: Clock;
  /** Default: the log in memory. Started and closed by whoever gives it. */
  readonly eventLog?: EventLog;
  readonly tracing?: Tracing;
  /** Default: silent. */
  readonly log?: Log;
}

/** Ingest on a free port over the log in memory, which the test may hold up or let fail. */
export async function serve(t: TestContext, options: ServingOptions = {}) {
  const clock = options.clock ?? systemClock;
  let fault: TailraceError | undefined;
  let gate: Promise<void> | undefined;
  const memory = createMemoryLog({ clock }).connect({
    fault: (operation) => (operation === 'append' ? fault : undefined),
  });
  if (options.eventLog === undefined) await memory.start();
  const eventLog = options.eventLog ?? {
    ...bound(memory),
    async append(name: string, records: readonly NewRecord[]): Promise<readonly Position[]> {
      await gate;
      return await memory.append(name, records);
    },
  };
  const metrics = createMetrics({ service: 'ingest', node: 'test', processMetrics: false });
  const config = configSchema.parse({ host: '127.0.0.1', port: 0, tokenSecret, ...options.settings });
  const ingest = createIngest({
    eventLog,
    clock,
    log: options.log ?? silentLog,
    metrics,
    config,
    tracing: options.tracing ?? noTracing,
    leaveMs: config.leaveMs,
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
    token,
    /** Appends fail with it; undefined: they work again. */
    failWith(error: TailraceError | undefined) {
      fault = error;
    },
    /** Appends wait until the function returned is called. */
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
    /** What is in the log: by partition, then by position. */
    logged: () => loggedReports(eventLog),
    /** The whole of /metrics for this header Accept. */
    page: async (accept: string) => (await metrics.page(accept)).text,
    /** The value of a metric's series, as /metrics shows it. */
    metric: (series: string) => metricFrom(metrics, series),
    /** Waits for it. */
    metricIs: (series: string, value: number) =>
      eventually(async () => (await metricFrom(metrics, series)) === value, { describe: `${series} = ${value}` }),
  };
}

function bound(log: EventLog): EventLog {
  return {
    start: () => log.start(),
    close: () => log.close(),
    ensureTopic: (spec) => log.ensureTopic(spec),
    describeTopic: (name) => log.describeTopic(name),
    append: (name, records) => log.append(name, records),
    subscribe: (subscription) => log.subscribe(subscription),
    read: (name, partition, range) => log.read(name, partition, range),
    bounds: (name, partitions) => log.bounds(name, partitions),
    ends: (name, waitMs) => log.ends(name, waitMs),
    positionsAt: (name, timeMs, partitions) => log.positionsAt(name, timeMs, partitions),
    lag: (group, name) => log.lag(group, name),
  };
}

async function metricFrom(metrics: { text(): Promise<string> }, series: string): Promise<number> {
  const [name, labels = ''] = series.split(/[{}]/);
  const lines = (await metrics.text())
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && line.includes(labels));
  return Number(lines[0]?.split(' ').at(-1));
}

export async function loggedReports(eventLog: EventLog): Promise<Report[]> {
  const reports: Report[] = [];
  for (const partition of (await eventLog.bounds(topic)).keys()) {
    for await (const batch of eventLog.read(topic, partition, { from: 0 })) {
      for (const { value } of batch) reports.push(decodeReport(value));
    }
  }
  return reports;
}

export function tokenFor(
  publish: readonly string[],
  options: { clock?: Clock; expiresInMs?: number; subject?: string } = {},
): Promise<string> {
  const { clock = systemClock, expiresInMs = 3_600_000, subject = 'gateway7' } = options;
  return issueToken({ secret: tokenSecret, subject, publish, subscribe: [], expiresInMs, clock });
}

export function reportOf(device: string, rest: object = {}) {
  return { device, time: 1_634_567_890_123.25, readings: [{ tag: 'temperature', value: 42.5, unit: 'Cel' }], ...rest };
}
