/** A fanout node as a process of the bench, on the memory log or on real brokers. */
import type { Bus } from '@tailrace/bus/bus';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { createNatsBus } from '@tailrace/bus/nats';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { createFanout, type Fanout } from '@tailrace/fanout/app';
import { fanoutSettings } from '@tailrace/fanout/config';
import { createUwsTransport } from '@tailrace/fanout/uws-transport';
import { systemClock as clock } from '@tailrace/platform/clock';
import { createLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import { noTracing } from '@tailrace/platform/tracing';
import { z } from 'zod';
import { answer, cpuSeconds } from './child.ts';
import { tokenSecret } from './node-options.ts';

const logger = createLogger({ service: 'bench', level: 'warn' });
let fanout: Fanout;
let eventLog: EventLog;
const metrics = createMetrics({ service: 'fanout', node: 'bench' });

interface Start {
  readonly node: string;
  /** Left out: the memory log and bus. */
  readonly broker?: string;
  readonly nats?: string;
  readonly settings: object;
}

async function start({ node, broker, nats, settings }: Start): Promise<{ port: number; token: string }> {
  const config = z
    .object(fanoutSettings)
    .parse({ host: '127.0.0.1', port: 0, tokenSecret, node, topicPrefix: 'bench', ...settings });
  eventLog =
    broker === undefined
      ? createMemoryLog({ clock }).connect()
      : new KafkaEventLog({ brokers: [broker], prefix: 'bench', clientId: node, logger });
  const bus: Bus =
    nats === undefined
      ? createMemoryNetwork({ clock }).createBus({ node, logger })
      : createNatsBus({ servers: [nats], name: node, logger });
  await Promise.all([eventLog.start(), bus.start()]);
  fanout = createFanout({
    eventLog,
    bus,
    clock,
    logger,
    metrics,
    tracing: noTracing,
    transport: createUwsTransport(config, logger),
    config,
    random: Math.random,
    version: 'bench',
  });
  await fanout.start();
  while (fanout.notReady() !== undefined) await clock.sleep(20);
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

answer({
  start,
  /** What this process uses: CPU seconds so far; memory after a collection, bytes. */
  use: () => {
    (globalThis as { gc?: () => void }).gc?.();
    const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
    return { cpu: cpuSeconds(), rss, heap: heapUsed + arrayBuffers };
  },
  cpu: () => ({ cpu: cpuSeconds() }),
  metric: async ({ name }: { name: string }) => {
    const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith(`${name}{`));
    return { value: lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0) };
  },
});
