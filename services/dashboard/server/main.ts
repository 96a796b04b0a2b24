import { runAsProcess } from '@tailrace/platform/service';
import { createDashboard } from './app.ts';
import { configSchema, serviceName } from './config.ts';

await runAsProcess(process, {
  name: serviceName,
  schema: configSchema,
  parts: ({ config, log }) => {
    const dashboard = createDashboard({ config, log });
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
