import { systemClock } from '@tailrace/platform/clock';
import { runAsProcess } from '@tailrace/platform/service';
import { createEdge } from './app.ts';
import { configSchema, serviceName } from './config.ts';
import { readSourcesFile, sourcesText } from './sources-file.ts';

await runAsProcess(process, {
  name: serviceName,
  schema: configSchema,
  check: ({ sourcesFile }) => sourcesText(readSourcesFile(sourcesFile)),
  parts: ({ config, logger, metrics }) => {
    const edge = createEdge({
      config,
      sources: readSourcesFile(config.sourcesFile),
      clock: systemClock,
      random: Math.random,
      ...{ logger, metrics },
    });
    return [
      {
        name: 'edge',
        start: () => edge.start(),
        drain: () => edge.drain(),
        stop: () => edge.stop(),
        drainMs: config.drainMs + 4_000,
      },
    ];
  },
});
