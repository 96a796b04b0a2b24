import { hostname } from 'node:os';
import { createHealth } from '@tailrace/platform/health';
import { internalPart } from '@tailrace/platform/internalhttp';
import { createLog } from '@tailrace/platform/log';
import { createMetrics } from '@tailrace/platform/metrics';
import { configOrExit, runService } from '@tailrace/platform/runservice';
import { createDashboard } from './app.ts';
import { configSchema, serviceName } from './config.ts';

const config = configOrExit(process, serviceName, configSchema);
const node = config.node || hostname();
const log = createLog({ service: serviceName, node, level: config.logLevel, pretty: config.logPretty });
const health = createHealth();

await runService({
  process,
  name: serviceName,
  log,
  onState: (state) => health.setState(state),
  parts: () => {
    const metrics = createMetrics({ service: serviceName, node });
    const dashboard = createDashboard({ config, log });
    return [
      internalPart({ host: config.internalHost, port: config.internalPort, health, metrics, log }),
      {
        name: 'dashboard',
        start: async () => {
          await dashboard.start();
        },
        drain: () => dashboard.drain(),
        stop: () => dashboard.stop(),
      },
    ];
  },
});
