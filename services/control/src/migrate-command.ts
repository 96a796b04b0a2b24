import { createPgDatabase } from '@tailrace/database/pg';
import { kafkaSettings, natsSettings } from '@tailrace/platform/broker-settings';
import { systemClock } from '@tailrace/platform/clock';
import { databaseAccessFrom, databaseRules, databaseSettings } from '@tailrace/platform/database-settings';
import { createLogger } from '@tailrace/platform/logger';
import { configOrExit, type ServiceProcess } from '@tailrace/platform/run-service';
import { commonSettings } from '@tailrace/platform/settings';
import { z } from 'zod';
import { controlSettings, serviceName } from './config.ts';
import { migrateStore } from './store-schema.ts';

/** All settings of control, so that its environment serves as it is. Those of PostgreSQL alone are used. */
const schema = z
  .strictObject({ ...commonSettings, ...controlSettings, ...databaseSettings, ...kafkaSettings, ...natsSettings })
  .superRefine(databaseRules);

/**
 * Runs `main.ts migrate`: migrates the store of control, and exits with 0, or with 1 and the reason. A deployment runs
 * it before new processes start, so that a migration that fails stops none of the former ones. Processes of control
 * migrate at their start as well; an advisory lock of PostgreSQL orders all of them.
 */
export async function runMigrateCommand(process: ServiceProcess): Promise<never> {
  const config = configOrExit(process, serviceName, schema, undefined, process.argv.slice(3));
  const logger = createLogger({ service: serviceName, level: config.logLevel, pretty: config.logPretty });
  // Process 1 of a container has no handlers of its own. The server rolls the transaction back.
  process.on('SIGINT', () => process.exit(130));
  process.on('SIGTERM', () => process.exit(143));
  try {
    const access = databaseAccessFrom(config, systemClock);
    const database = createPgDatabase({ ...access, logger, applicationName: 'tailrace-control-migrate' });
    await database.start();
    const applied = await migrateStore(database);
    await database.close();
    logger.info({ applied }, applied.length > 0 ? 'the store was migrated' : 'the store is up to date');
  } catch (error) {
    logger.error({ error }, `the store cannot be migrated: ${(error as Error).message}`);
    return process.exit(1);
  }
  return process.exit(0);
}
