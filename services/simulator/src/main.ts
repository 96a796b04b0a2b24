import { hostname } from 'node:os';
import { createHealth } from '@tailrace/platform/health';
import { internalPart } from '@tailrace/platform/internalhttp';
import { createLog } from '@tailrace/platform/log';
import { createMetrics } from '@tailrace/platform/metrics';
import { configOrExit, runService } from '@tailrace/platform/runservice';
import { createSimulator } from './app.ts';
import { configSchema, serviceName } from './config.ts';
import { registerMetrics } from './metrics.ts';

const given = configOrExit(process, serviceName, configSchema);
const config = { ...given, hostName: given.hostName || hostname() };
const node = config.node || config.hostName;
const log = createLog({ service: serviceName, node, level: config.logLevel, pretty: config.logPretty });
const health = createHealth();

await runService({
  process,
  name: serviceName,
  log,
  onState: (state) => health.setState(state),
  parts: () => {
    const metrics = createMetrics({ service: serviceName, node });
    const simulator = createSimulator({ config, log });
    registerMetrics(metrics, simulator);
    const internal = internalPart({ host: config.internalHost, port: config.internalPort, health, metrics, log });
    return [
      internal,
      {
        name: 'simulator',
        start: () => simulator.start(),
        drain: () => simulator.drain(),
        stop: () => simulator.stop(),
      },
    ];
  },
});
