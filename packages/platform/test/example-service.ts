/** A service without parts of its own, like a main.ts, for run-service.itest.ts. */
import process from 'node:process';
import { z } from 'zod';
import { createHealth } from '../src/health.ts';
import { createInternalHttp } from '../src/internal-http.ts';
import { createLogger } from '../src/logger.ts';
import { createMetrics } from '../src/metrics.ts';
import { configOrExit, runService } from '../src/run-service.ts';
import { commonSettings } from '../src/settings.ts';

const name = 'example';
const config = configOrExit(process, name, z.object(commonSettings));
const node = config.node || 'example-0';
const logger = createLogger({ service: name, node, level: config.logLevel, pretty: config.logPretty });
const health = createHealth();

await runService({
  process,
  name,
  logger,
  onState: (state) => health.setState(state),
  parts: () => {
    const metrics = createMetrics({ service: name, node });
    const http = createInternalHttp({ host: config.internalHost, port: config.internalPort, health, metrics, logger });
    return [
      { name: 'health', stop: () => health.stop() },
      {
        name: 'internal port',
        start: async () => logger.info(await http.start(), 'the internal port listens'),
        stop: () => http.stop(),
      },
    ];
  },
});

// The test requests an uncaught error by a message.
process.on('message', () => {
  throw new RangeError('uncaught');
});
