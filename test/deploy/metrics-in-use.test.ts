import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { registerBusMetrics } from '@tailrace/bus/metrics';
import { createControl } from '@tailrace/control/app';
import { configSchema as controlSchema } from '@tailrace/control/config';
import { registerDatabaseMetrics } from '@tailrace/database/metrics';
import { createPgDatabase } from '@tailrace/database/pg';
import { createEdge } from '@tailrace/edge/app';
import { configSchema as edgeSchema } from '@tailrace/edge/config';
import { sourcesFrom } from '@tailrace/edge/sources-file';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { registerKafkaMetrics } from '@tailrace/eventlog/kafka/metrics';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { createIngest } from '@tailrace/ingest/app';
import { bridgesFrom } from '@tailrace/ingest/bridge/bridges-file';
import { configSchema as ingestSchema } from '@tailrace/ingest/config';
import { MemoryTransport } from '@tailrace/ingest/memory-transport';
import { systemClock } from '@tailrace/platform/clock';
import { databaseAccessFrom } from '@tailrace/platform/database-settings';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics, type Metrics } from '@tailrace/platform/metrics';
import { noHandshakes } from '@tailrace/platform/tls-listener';
import { noTracing } from '@tailrace/platform/tracing';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { dashboards, ruleFiles, rulesFolder } from './dashboards.ts';
import { metricsWithoutPanel } from './metrics-without-panel.ts';

/** Each metric of a service is on a panel, in an alert, or in the list of those without, with the reason. */
const secret = 'a-secret-of-at-least-thirty-two-bytes';
const clock = createFakeClock();
const logger = silentLogger;

/** Returns the names of all metrics that a service registers with all its protocols, without starting it. */
async function namesOf(service: string, compose: (metrics: Metrics) => void): Promise<string[]> {
  const metrics = createMetrics({ service, node: 'test', processMetrics: false });
  compose(metrics);
  const page = await metrics.text();
  return [...page.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name!).sort();
}

function composeIngest(metrics: Metrics): void {
  const bus = createMemoryNetwork({ clock, random: () => 0.5 }).createBus({ node: 'test', logger });
  const broker = { url: 'mqtt://127.0.0.1:1', publish: ['plant.>'] };
  const bridges = [
    { name: 'plant', ...broker, subscriptions: [{ filter: 'p/+', map: { payload: 'json', device: 'plant.{2}' } }] },
    { name: 'cells', ...broker, sparkplug: { prefix: 'plant' } },
  ];
  createIngest({
    ...{ eventLog: createMemoryLog({ clock }).connect(), bus, clock, logger, metrics, tracing: noTracing },
    transport: new MemoryTransport({ clock, logger }),
    mqttPorts: {
      port: 0,
      tlsPort: 0,
      handshakes: noHandshakes,
      listen: async () => {},
      stopAccepting() {},
      close() {},
    },
    bridges: bridgesFrom(JSON.stringify({ bridges })),
    config: ingestSchema.parse({ tokenSecret: secret, mqttEnabled: true, mqttSparkplug: 'active' }),
  });
  registerKafkaMetrics(metrics, new KafkaEventLog({ brokers: ['127.0.0.1:1'], clock, logger }));
  registerBusMetrics(metrics, bus);
}

function composeEdge(metrics: Metrics): void {
  const tags = [{ tag: 'power', table: 'holding', address: 1, type: 'u16' }];
  const sources = [
    {
      name: 'meters',
      modbus: { host: '127.0.0.1' },
      units: [{ unit: 1, device: 'plant.m', addressing: 'zero', tags }],
    },
    {
      ...{ name: 'plc', opcua: { endpoint: 'opc.tcp://127.0.0.1:1' } },
      tags: [{ device: 'plant.m', tag: 't', node: 'ns=1;s=t' }],
    },
  ];
  createEdge({
    ...{ config: edgeSchema.parse({ edgePath: 'plant.edge1', token: 't' }), clock, logger, metrics },
    ...{ sources: sourcesFrom(JSON.stringify({ sources })), random: () => 0.5 },
  });
}

function composeControl(metrics: Metrics): void {
  const config = controlSchema.parse({ tokenSecret: secret });
  const bus = createMemoryNetwork({ clock, random: () => 0.5 }).createBus({ node: 'test', logger });
  const access = databaseAccessFrom(config, systemClock);
  const database = createPgDatabase({ ...access, logger, applicationName: 'test' });
  createControl({
    ...{ database, eventLog: createMemoryLog({ clock }).connect(), bus, clock, random: () => 0.5 },
    ...{ logger, metrics, config, node: 'test', tracing: noTracing },
  });
  registerDatabaseMetrics(metrics, database);
  registerKafkaMetrics(metrics, new KafkaEventLog({ brokers: ['127.0.0.1:1'], clock, logger }));
  registerBusMetrics(metrics, bus);
}

/** Returns the names of metrics in the queries of all panels and rules. */
async function usedNames(): Promise<Set<string>> {
  const panels = (await dashboards()).flatMap((each) => each.panels).flatMap(({ targets = [] }) => targets);
  const rules = await Promise.all((await ruleFiles()).map((file) => readFile(join(rulesFolder, file), 'utf8')));
  const text = [...panels.map(({ expr }) => expr), ...rules].join('\n');
  return new Set([...text.matchAll(/tailrace_\w+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, '')));
}

for (const [service, compose] of [
  ['ingest', composeIngest],
  ['edge', composeEdge],
  ['control', composeControl],
] as const) {
  test(`each metric of ${service} is on a panel, in an alert, or has a reason to be on none`, async () => {
    const [names, used] = [await namesOf(service, compose), await usedNames()];
    assert.ok(names.length > 30, names.join());
    const reasons = metricsWithoutPanel[service];
    const shownNowhere = names.filter((name) => !used.has(name) && !(name in reasons));
    assert.deepEqual(
      shownNowhere,
      [],
      'neither on a panel or in an alert, nor in test/deploy/metrics-without-panel.ts',
    );
    const needless = Object.keys(reasons).filter((name) => used.has(name) || !names.includes(name));
    assert.deepEqual(needless, [], 'in the list, and shown or not registered');
  });
}
