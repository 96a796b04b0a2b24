import process from 'node:process';
import { systemClock } from '@tailrace/platform/clock';
import { createLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { serviceName } from '../config.ts';
import { eventLogFrom } from '../event-log-from.ts';
import { runDeadLetterCommand } from './command.ts';

const logger = createLogger({ service: serviceName, level: 'error' });
const metrics = createMetrics({ service: serviceName, node: 'dead-letters', processMetrics: false });

process.exitCode = await runDeadLetterCommand({
  args: process.argv.slice(2),
  env: process.env,
  createLog: (config) => eventLogFrom(config, 'dead-letters', logger, metrics),
  write: (output) => void process.stdout.write(output),
  writeError: (output) => void process.stderr.write(output),
  nowMs: systemClock.now(),
});
