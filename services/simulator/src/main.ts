import { runAsProcess } from '@tailrace/platform/service';
import { createSimulator } from './app.ts';
import { configSchema, serviceName } from './config.ts';
import { registerMetrics } from './metrics.ts';

await runAsProcess(process, {
  name: serviceName,
  schema: configSchema,
  parts: ({ config, logger, metrics }) => {
    const simulator = createSimulator({ config, logger });
    registerMetrics(metrics, simulator);
    return [
      {
        name: 'simulator',
        start: () => simulator.start(),
        drain: () => simulator.drain(),
        stop: () => simulator.stop(),
      },
    ];
  },
});
