import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { registerKafkaMetrics } from '@tailrace/eventlog/kafka/metrics';
import { kafkaAccessFrom } from '@tailrace/platform/broker-access';
import { systemClock } from '@tailrace/platform/clock';
import { runAsProcess } from '@tailrace/platform/service';
import { createAlarms } from './app.ts';
import { configSchema, serviceName } from './config.ts';

await runAsProcess(process, {
  name: serviceName,
  schema: configSchema,
  parts: ({ config, node, logger, health, metrics, end }) => {
    const eventLog = new KafkaEventLog({
      ...kafkaAccessFrom(config, systemClock),
      prefix: config.topicPrefix,
      clientId: `tailrace-${node}`,
      logger,
    });
    const alarms = createAlarms({
      eventLog,
      clock: systemClock,
      logger,
      metrics,
      config,
      random: Math.random,
      onLogReplaced: end,
    });
    registerKafkaMetrics(metrics, eventLog);
    health.check('partitions', () => alarms.notReady());
    return [
      { name: 'event log', start: () => eventLog.start(), stop: () => eventLog.close() },
      {
        name: 'alarms',
        start: () => alarms.start(),
        drain: () => alarms.drain(),
        stop: () => alarms.stop(),
        drainMs: config.drainMs + 3_000,
      },
    ];
  },
});
