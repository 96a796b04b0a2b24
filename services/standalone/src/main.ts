import { hostname } from 'node:os';
import { systemClock } from '@tailrace/platform/clock';
import { createHealth } from '@tailrace/platform/health';
import { internalPart } from '@tailrace/platform/internalhttp';
import { createLog } from '@tailrace/platform/log';
import { createMetrics } from '@tailrace/platform/metrics';
import { configOrExit, runService } from '@tailrace/platform/runservice';
import { createTracing } from '@tailrace/platform/tracing';
import { version } from '@tailrace/platform/version';
import { createStandalone, portsFrom } from './app.ts';
import { configSchema, serviceName } from './config.ts';
import { greeting } from './greeting.ts';

const given = configOrExit(process, serviceName, configSchema);
const config = { ...given, node: given.node || hostname() };
const { node } = config;
const log = createLog({ service: serviceName, node, level: config.logLevel, pretty: config.logPretty });
const health = createHealth();

await runService({
  process,
  name: serviceName,
  log,
  onState: (state) => health.setState(state),
  parts: async () => {
    const metrics = createMetrics({ service: serviceName, node });
    const tracing = await createTracing({
      service: serviceName,
      node,
      url: config.tracingUrl,
      sampleRatio: config.tracingSampleRatio,
      log,
    });
    const internal = internalPart({
      host: config.internalHost,
      port: portsFrom(config.portBase).internal,
      portSetting: 'portBase',
      health,
      metrics,
      log,
    });
    return [
      internal,
      { name: 'tracing', stop: () => tracing.stop() },
      ...(await createStandalone({
        config,
        clock: systemClock,
        log,
        metrics,
        tracing,
        random: Math.random,
        version,
        onReady: (urls) => process.stdout.write(greeting(urls, config.dataDir)),
      })),
    ];
  },
});
