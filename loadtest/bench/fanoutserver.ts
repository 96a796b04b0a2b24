/** The server of the fan-out bench: ours (a fanout node on the memory log), or bare uWebSockets.js publishing the same frames. */
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { createFanout } from '@tailrace/fanout/app';
import { fanoutSettings } from '@tailrace/fanout/config';
import { systemClock as clock } from '@tailrace/platform/clock';
import { silentLog as log } from '@tailrace/platform/log';
import { createMetrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import { noTracing } from '@tailrace/platform/tracing';
import { createWebServer } from '@tailrace/platform/webserver';
import { deliveryJson } from '@tailrace/protocol/reportjson';
import { decodeReport } from '@tailrace/protocol/reportproto';
import { dataFrameJson, noMarks } from '@tailrace/protocol/servermessage';
import { z } from 'zod';
import { answer, cpuSeconds } from './child.ts';
import { load, paced, reportsOfFlush } from './fanoutload.ts';

const tokenSecret = 'a key for the bench alone, on loopback';
let flush: () => void;

async function startOurs(): Promise<{ port: number; token: string }> {
  const eventLog = createMemoryLog({ clock }).connect();
  await eventLog.start();
  const bus = createMemoryNetwork({ clock }).createBus({ node: 'bench', log });
  await bus.start();
  const config = z.object(fanoutSettings).parse({
    host: '127.0.0.1',
    port: 0,
    tokenSecret,
    node: 'bench',
    flushMs: 0,
    telemetryPartitions: load.partitions,
    retentionMs: 60_000,
    retentionBytes: 1_048_576,
  });
  const metrics = createMetrics({ service: 'fanout', node: 'bench' });
  const fanout = createFanout({
    eventLog,
    bus,
    clock,
    log,
    metrics,
    tracing: noTracing,
    config,
    random: Math.random,
    version: 'bench',
  });
  await fanout.start();
  while (fanout.notReady() !== undefined) await clock.sleep(5);
  flush = () => void eventLog.append('tailrace.telemetry', reportsOfFlush(clock.now()));
  const token = await issueToken({
    secret: tokenSecret,
    subject: 'bench',
    publish: [],
    subscribe: ['>'],
    expiresInMs: 3_600_000,
    clock,
  });
  return { port: fanout.port, token };
}

async function startBare(): Promise<{ port: number; token: string }> {
  const server = createWebServer({ host: '127.0.0.1', port: 0, log });
  server.app.ws('/v1/stream', { open: (ws) => void ws.subscribe('all'), maxBackpressure: 4_194_304 });
  let seq = 0;
  const deliveries = () =>
    reportsOfFlush(1_700_000_000_000).map(({ value }) => deliveryJson(decodeReport(value, true), 0, seq++));
  // Made anew each time, as any server would have to from its source; the reports themselves are ready.
  const texts = deliveries();
  flush = () => void server.app.publish('all', dataFrameJson(1, texts, noMarks), false);
  return { port: (await server.listen()).port, token: 'none' };
}

answer({
  start: () => (process.argv[2] === 'ours' ? startOurs() : startBare()),
  run: async ({ seconds }: { seconds: number }) => {
    const before = cpuSeconds();
    const flushes = await paced(load.flushesPerSecond, seconds, flush);
    return { cpu: cpuSeconds() - before, flushes };
  },
});
