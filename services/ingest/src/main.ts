import type { Bus } from '@tailrace/bus/bus';
import { registerBusMetrics } from '@tailrace/bus/metrics';
import { createNatsBus } from '@tailrace/bus/nats';
import { createEmbeddedLog } from '@tailrace/eventlog/embedded';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { registerKafkaMetrics } from '@tailrace/eventlog/kafka/metrics';
import { kafkaAccessFrom, natsAccessFrom } from '@tailrace/platform/broker-access';
import { systemClock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { runAsProcess } from '@tailrace/platform/service';
import { createIngest } from './app.ts';
import { configSchema, type IngestConfig, serviceName } from './config.ts';
import { createHttpTransport } from './http-transport.ts';
import { createMqttPorts } from './mqtt/mqtt-ports.ts';

await runAsProcess(process, {
  name: serviceName,
  schema: configSchema,
  parts: ({ config, node, logger, health, metrics, tracing, end }) => {
    const eventLog = eventLogFrom(config, node, logger, metrics);
    const bus = busFrom(config, node, logger);
    const ingest = createIngest({
      eventLog,
      bus,
      clock: systemClock,
      logger,
      metrics,
      tracing,
      transport: createHttpTransport({ config, clock: systemClock, logger }),
      ...(config.mqttEnabled ? { mqttPorts: createMqttPorts(config, systemClock, logger) } : {}),
      node,
      config,
      leaveMs: config.leaveMs,
      onLogReplaced: end,
    });
    if (eventLog instanceof KafkaEventLog) registerKafkaMetrics(metrics, eventLog);
    if (bus !== undefined) registerBusMetrics(metrics, bus);
    health.check('ingest', () => ingest.notReady());
    return [
      { name: 'event log', start: () => eventLog.start(), stop: () => eventLog.close() },
      {
        name: 'ingest',
        start: () => ingest.start(),
        drain: () => ingest.drain(),
        stop: () => ingest.stop(),
        drainMs: config.drainMs,
      },
    ];
  },
});

function eventLogFrom(settings: IngestConfig, node: string, logger: Logger, metrics: Metrics): EventLog {
  const { topicPrefix: prefix, appendDeadlineMs } = settings;
  if (settings.eventLog === 'embedded')
    return createEmbeddedLog({ path: settings.dataPath, clock: systemClock, logger, metrics });
  return new KafkaEventLog({
    ...kafkaAccessFrom(settings, systemClock),
    prefix,
    logger,
    clientId: `tailrace-ingest-${node}`,
    // After it the sender has its answer.
    appendTimeoutMs: appendDeadlineMs,
    requestTimeoutMs: Math.min(5_000, appendDeadlineMs),
    pendingBytesMax: settings.inFlightBytesMax * 2,
  });
}

function busFrom(settings: IngestConfig, node: string, logger: Logger): Bus | undefined {
  // The embedded log is that of one process.
  if (settings.bus === 'none' || settings.eventLog === 'embedded') return undefined;
  return createNatsBus({ ...natsAccessFrom(settings, systemClock), name: `ingest-${node}`, logger });
}
