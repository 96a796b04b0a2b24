import { registerBusMetrics } from '@tailrace/bus/metrics';
import { createNatsBus } from '@tailrace/bus/nats';
import { registerDatabaseMetrics } from '@tailrace/database/metrics';
import { createPgDatabase } from '@tailrace/database/pg';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { registerKafkaMetrics } from '@tailrace/eventlog/kafka/metrics';
import { kafkaAccessFrom, natsAccessFrom } from '@tailrace/platform/broker-access';
import { systemClock } from '@tailrace/platform/clock';
import { databaseAccessFrom } from '@tailrace/platform/database-settings';
import { runAsProcess } from '@tailrace/platform/service';
import { createControl } from './app.ts';
import { configSchema, serviceName } from './config.ts';
import { runMigrateCommand } from './migrate-command.ts';

if (process.argv[2] === 'migrate') await runMigrateCommand(process);

await runAsProcess(process, {
  name: serviceName,
  schema: configSchema,
  parts: ({ config, node, logger, health, metrics }) => {
    const database = createPgDatabase({
      ...databaseAccessFrom(config, systemClock),
      logger,
      applicationName: `tailrace-control-${node}`,
    });
    const eventLog = new KafkaEventLog({
      ...kafkaAccessFrom(config, systemClock),
      prefix: config.topicPrefix,
      clientId: `tailrace-control-${node}`,
      logger,
    });
    const bus = createNatsBus({ ...natsAccessFrom(config, systemClock), name: `control-${node}`, logger });
    const control = createControl({
      ...{ database, eventLog, bus, clock: systemClock, random: Math.random, logger, metrics, config, node },
    });
    registerDatabaseMetrics(metrics, database);
    registerKafkaMetrics(metrics, eventLog);
    registerBusMetrics(metrics, bus);
    health.check('control', () => control.notReady());
    return [
      { name: 'event log', start: () => eventLog.start(), stop: () => eventLog.close() },
      { name: 'bus', start: () => bus.start(), stop: () => bus.close() },
      { name: 'database', start: () => database.start(), stop: () => database.close() },
      {
        name: 'control',
        start: () => control.start(),
        drain: () => control.drain(),
        stop: () => control.stop(),
      },
    ];
  },
});
