/** A service of nothing but the platform, as a main.ts has it, for runservice.itest.ts. */
import process from 'node:process';
import { z } from 'zod';
import { createHealth } from '../src/health.ts';
import { createInternalHttp } from '../src/internalhttp.ts';
import { createLog } from '../src/log.ts';
import { createMetrics } from '../src/metrics.ts';
import { configOrExit, runService } from '../src/runservice.ts';
import { commonSettings } from '../src/settings.ts';

const name = 'example';
const config = configOrExit(process, name, z.object(commonSettings));
const node = config.node || 'example-0';
const log = createLog({ service: name, node, level: config.logLevel, pretty: config.logPretty });
const health = createHealth();

await runService({
  process,
  name,
  log,
  onState: (state) => health.setState(state),
  parts: () => {
    const metrics = createMetrics({ service: name, node });
    const http = createInternalHttp({ host: config.internalHost, port: config.internalPort, health, metrics, log });
    return [
      { name: 'health', stop: () => health.stop() },
      {
        name: 'internal port',
        start: async () => log.info(await http.start(), 'the internal port listens'),
        stop: () => http.stop(),
      },
    ];
  },
});

// What the test asks for by a message: an error that nobody catches.
process.on('message', () => {
  throw new RangeError('thrown where nobody catches');
});
