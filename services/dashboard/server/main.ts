import { runAsProcess } from '@tailrace/platform/service';
import { builtPage, createDashboard } from './app.ts';
import { configSchema, serviceName } from './config.ts';

await runAsProcess(process, {
  name: serviceName,
  schema: configSchema,
  parts: ({ config, logger, metrics }) => {
    const dashboard = createDashboard({ config, logger, metrics, folder: builtPage });
    return [
      {
        name: 'dashboard',
        start: async () => void (await dashboard.start()),
        drain: () => dashboard.drain(),
        stop: () => dashboard.stop(),
      },
    ];
  },
});
