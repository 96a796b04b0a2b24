import { hostname } from 'node:os';
import type { TailraceError } from '@tailrace/protocol/error';
import type { z } from 'zod';
import type { ConfigSchema } from './config-keys.ts';
import { createTracing } from './create-tracing.ts';
import { createHealth, type Health } from './health.ts';
import { internalPart } from './internal-http.ts';
import type { Part } from './lifecycle.ts';
import { createLogger, type Logger } from './logger.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { configOrExit, runService, type ServiceProcess } from './run-service.ts';
import type { commonSettings } from './settings.ts';
import { noTracing, registerTracingMetrics, type Tracing } from './tracing.ts';

type CommonConfig = { readonly [K in keyof typeof commonSettings]: z.output<(typeof commonSettings)[K]> };

/** What every service starts from. */
export interface ServiceBase<C> {
  readonly config: C;
  /** `config.node`, or the name of the host. */
  readonly node: string;
  readonly logger: Logger;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  /** For a part that cannot go on: says why, stops all parts in order and exits with 1, so that a supervisor starts the process anew. */
  readonly end: (error: TailraceError) => void;
}

export interface ServiceDefinition<S extends ConfigSchema> {
  readonly name: string;
  /** With `commonSettings` in it. */
  readonly schema: S;
  /** The service's own parts, in the order in which they start; they stop in the other. */
  readonly parts: (base: ServiceBase<Readonly<z.output<S>>>) => readonly Part[] | Promise<readonly Part[]>;
  /** Where another setting than `internalPort` decides on the internal port: its name, and the port by it. */
  readonly internal?: { readonly portSetting: string; readonly portFrom: (config: z.output<S>) => number };
}

/**
 * The whole of a main.ts: settings from the environment, log, health and metrics on the internal port, tracing, the service's parts, signals and
 * exit code. `process` is the real one; nobody else has it.
 */
export async function runAsProcess<S extends ConfigSchema>(
  process: ServiceProcess,
  definition: ServiceDefinition<S>,
): Promise<void> {
  const { name, schema, parts, internal } = definition;
  const config = configOrExit(process, name, schema);
  const common = config as unknown as CommonConfig;
  const node = common.node || hostname();
  const { tracingUrl: url, tracingSampleRatio: sampleRatio } = common;
  let tracing: Tracing = noTracing;
  const logger = createLogger({
    service: name,
    node,
    level: common.logLevel,
    pretty: common.logPretty,
    ...(url !== '' && { fields: () => tracing.fields() }),
  });
  const health = createHealth();
  await runService({
    process,
    name,
    logger,
    onState: (state) => health.setState(state),
    parts: async (end) => {
      const metrics = createMetrics({ service: name, node });
      tracing = await createTracing({ service: name, node, url, sampleRatio, logger });
      registerTracingMetrics(metrics, tracing);
      const port = internal?.portFrom(config as z.output<S>) ?? common.internalPort;
      const portSetting = internal?.portSetting ?? 'internalPort';
      return [
        internalPart({ host: common.internalHost, port, portSetting, health, metrics, logger }),
        { name: 'tracing', stop: () => tracing.stop() },
        ...(await parts({ config, node, logger, health, metrics, tracing, end })),
      ];
    },
  });
}
