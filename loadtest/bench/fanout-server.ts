/**
 * The server of the fan-out bench: ours (a fanout node on the memory log), or bare uWebSockets.js publishing the same
 * frames.
 */
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { createFanout } from '@tailrace/fanout/app';
import { fanoutSettings } from '@tailrace/fanout/config';
import { createUwsTransport, createWebServer } from '@tailrace/fanout/uws-transport';
import { systemClock as clock } from '@tailrace/platform/clock';
import { createHealth } from '@tailrace/platform/health';
import { createInternalHttp } from '@tailrace/platform/internal-http';
import { silentLogger as logger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import { deliveryJson } from '@tailrace/protocol/report-json';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { dataFrameJson, noFlags } from '@tailrace/protocol/server-message';
import { z } from 'zod';
import { answer, cpuSeconds } from './child.ts';
import { load, paced, reportsOfFlush } from './fanout-load.ts';
import { createSwitchedTracing, type SwitchedTracing, tracedHeaders } from './switched-tracing.ts';

const tokenSecret = 'a key for the bench alone, on loopback';
let flush: () => void;
let tracing: SwitchedTracing | undefined;

interface Started {
  readonly port: number;
  readonly token: string;
  /** Of /metrics; 0: there are none. */
  readonly internalPort: number;
}

async function startOurs(tracingUrl: string | undefined): Promise<Started> {
  const eventLog = createMemoryLog({ clock }).connect();
  await eventLog.start();
  const bus = createMemoryNetwork({ clock }).createBus({ node: 'bench', logger });
  await bus.start();
  const config = z.object(fanoutSettings).parse({
    host: '127.0.0.1',
    port: 0,
    tokenSecret,
    node: 'bench',
    flushMs: 0,
    // Longer than the bench: its sockets only count bytes, and answer no ping.
    heartbeatMs: 600_000,
    telemetryPartitions: load.partitions,
    retentionMs: 60_000,
    retentionBytes: 1_048_576,
  });
  const metrics = createMetrics({ service: 'fanout', node: 'bench' });
  const switched = await createSwitchedTracing('fanout', tracingUrl);
  tracing = switched;
  const fanout = createFanout({
    eventLog,
    bus,
    clock,
    logger,
    metrics,
    tracing: switched,
    transport: createUwsTransport(config, logger),
    config,
    random: Math.random,
    version: 'bench',
  });
  await fanout.start();
  while (fanout.notReady() !== undefined) await clock.sleep(5);
  flush = () => {
    const records = reportsOfFlush(clock.now());
    const headers = switched.enabled ? tracedHeaders() : undefined;
    void eventLog.append(
      'tailrace.telemetry',
      headers === undefined ? records : records.map((record) => ({ ...record, headers })),
    );
  };
  const token = await issueToken({
    secret: tokenSecret,
    subject: 'bench',
    publish: [],
    subscribe: ['>'],
    expiresInMs: 3_600_000,
    clock,
  });
  const health = createHealth();
  const internal = createInternalHttp({ host: '127.0.0.1', port: 0, health, metrics, logger });
  return { port: fanout.port, token, internalPort: (await internal.start()).port };
}

async function startBare(): Promise<Started> {
  const server = createWebServer({ host: '127.0.0.1', port: 0, logger });
  server.app.ws('/v1/stream', { open: (ws) => void ws.subscribe('all'), maxBackpressure: 4_194_304 });
  let seq = 0;
  const deliveries = () =>
    reportsOfFlush(1_700_000_000_000).map(({ value }) => deliveryJson(decodeReport(value), 0, seq++));
  // The frame is built each time, as in any server; the texts of its reports are ready.
  const texts = deliveries();
  flush = () => void server.app.publish('all', dataFrameJson(1, texts, noFlags), false);
  return { port: (await server.listen()).port, token: 'none', internalPort: 0 };
}

answer({
  start: ({ tracingUrl }: { tracingUrl?: string }) =>
    process.argv[2] === 'ours' ? startOurs(tracingUrl) : startBare(),
  run: async ({ seconds, traced = false }: { seconds: number; traced?: boolean }) => {
    if (tracing !== undefined) tracing.enabled = traced;
    const before = cpuSeconds();
    const flushes = await paced(load.flushesPerSecond, seconds, flush);
    return { cpu: cpuSeconds() - before, flushes };
  },
});
