import { bridgesText } from '@tailrace/ingest/bridge/bridges-check';
import { readBridgesFile } from '@tailrace/ingest/bridge/bridges-file';
import { systemClock } from '@tailrace/platform/clock';
import { runAsProcess } from '@tailrace/platform/service';
import { version } from '@tailrace/platform/version';
import { createStandalone, portsFrom } from './app.ts';
import { configSchema, serviceName } from './config.ts';
import { earlyLine, greeting } from './greeting.ts';

await runAsProcess(process, {
  name: serviceName,
  schema: configSchema,
  check: ({ mqttBridgesFile }) => bridgesText(readBridgesFile(mqttBridgesFile)),
  internal: { portSetting: 'portBase', portFrom: ({ portBase }) => portsFrom(portBase).internal },
  parts: ({ config, logger, metrics, tracing }) =>
    createStandalone({
      config,
      bridges: readBridgesFile(config.mqttBridgesFile),
      clock: systemClock,
      logger,
      metrics,
      tracing,
      random: Math.random,
      version,
      onServing: (urls) => process.stdout.write(earlyLine(urls)),
      onReady: (urls) => process.stdout.write(greeting(urls, config.dataDir)),
    }),
});
