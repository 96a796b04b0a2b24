import type { Bus } from '@tailrace/bus/bus';
import { registerBusMetrics } from '@tailrace/bus/metrics';
import { createNatsBus } from '@tailrace/bus/nats';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { registerKafkaMetrics } from '@tailrace/eventlog/kafka/metrics';
import { natsAccessFrom } from '@tailrace/platform/broker-access';
import { systemClock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { runAsProcess } from '@tailrace/platform/service';
import { createIngest } from './app.ts';
import { bridgesText } from './bridge/bridges-check.ts';
import { readBridgesFile } from './bridge/bridges-file.ts';
import { configSchema, type IngestConfig, serviceName, tlsReaderFrom } from './config.ts';
import { eventLogFrom } from './event-log-from.ts';
import { createHttpTransport } from './http-transport.ts';
import { createMqttPorts } from './mqtt/mqtt-ports.ts';

await runAsProcess(process, {
  name: serviceName,
  schema: configSchema,
  check: ({ mqttBridgesFile }) => bridgesText(readBridgesFile(mqttBridgesFile)),
  parts: ({ config, node, logger, health, metrics, tracing, end }) => {
    const eventLog = eventLogFrom(config, node, logger, metrics);
    const bus = busFrom(config, node, logger);
    const tlsReader = tlsReaderFrom(config);
    const ingest = createIngest({
      eventLog,
      bus,
      clock: systemClock,
      logger,
      metrics,
      tracing,
      transport: createHttpTransport({ config, clock: systemClock, logger, tlsReader }),
      ...(config.mqttEnabled ? { mqttPorts: createMqttPorts(config, systemClock, logger, tlsReader) } : {}),
      node,
      bridges: readBridgesFile(config.mqttBridgesFile),
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

function busFrom(settings: IngestConfig, node: string, logger: Logger): Bus | undefined {
  // The embedded log is that of one process.
  if (settings.bus === 'none' || settings.eventLog === 'embedded') return undefined;
  return createNatsBus({ ...natsAccessFrom(settings, systemClock), name: `ingest-${node}`, logger });
}
