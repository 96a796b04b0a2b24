import { registerBusMetrics } from '@tailrace/bus/metrics';
import { createNatsBus } from '@tailrace/bus/nats';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { registerKafkaMetrics } from '@tailrace/eventlog/kafka/metrics';
import { kafkaAccessFrom, natsAccessFrom } from '@tailrace/platform/broker-access';
import { systemClock } from '@tailrace/platform/clock';
import { runAsProcess } from '@tailrace/platform/service';
import { version } from '@tailrace/platform/version';
import { createFanout } from './app.ts';
import { configSchema, serviceName } from './config.ts';
import { createUwsTransport } from './uws-transport.ts';

await runAsProcess(process, {
  name: serviceName,
  schema: configSchema,
  parts: ({ config, node, logger, health, metrics, tracing, end }) => {
    const { topicPrefix: prefix } = config;
    const eventLog = new KafkaEventLog({
      ...kafkaAccessFrom(config, systemClock),
      prefix,
      clientId: `tailrace-${node}`,
      logger,
    });
    const bus = createNatsBus({ ...natsAccessFrom(config, systemClock), name: node, logger });
    const fanout = createFanout({
      eventLog,
      bus,
      clock: systemClock,
      logger,
      metrics,
      tracing,
      transport: createUwsTransport(config, logger),
      config,
      random: Math.random,
      version,
      onLogReplaced: end,
    });
    registerKafkaMetrics(metrics, eventLog);
    registerBusMetrics(metrics, bus);
    health.check('partitions', () => fanout.notReady());
    return [
      { name: 'event log', start: () => eventLog.start(), stop: () => eventLog.close() },
      { name: 'bus', start: () => bus.start(), stop: () => bus.close() },
      {
        name: 'fanout',
        start: () => fanout.start(),
        drain: () => fanout.drain(),
        stop: () => fanout.stop(),
        // Clients go and partitions are handed over at the same time.
        drainMs: Math.max(config.drainMs, config.handoverMs) + 3_000,
      },
    ];
  },
});
