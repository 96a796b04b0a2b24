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

/** The base of every service. */
export interface ServiceBase<C> {
  readonly config: C;
  /** `config.node`, or the name of the host. */
  readonly node: string;
  readonly logger: Logger;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  /**
   * For a part that cannot go on: logs why, stops all parts in order and exits with 1, so that a supervisor restarts
   * the process.
   */
  readonly end: (error: TailraceError) => void;
}

export interface ServiceDefinition<S extends ConfigSchema> {
  readonly name: string;
  /** Includes `commonSettings`. */
  readonly schema: S;
  /**
   * Returns what `--check-config` prints of the files that the settings name. Throws `invalid_config`, and then the
   * service does not start.
   */
  readonly check?: (config: Readonly<z.output<S>>) => string;
  /** The service's own parts, in the order of their start; they stop in reverse order. */
  readonly parts: (base: ServiceBase<Readonly<z.output<S>>>) => readonly Part[] | Promise<readonly Part[]>;
  /** If another setting than `internalPort` determines the internal port: its name, and the port. */
  readonly internal?: { readonly portSetting: string; readonly portFrom: (config: z.output<S>) => number };
}

/**
 * Runs a service as a main.ts does: settings from the environment, logger, health and metrics on the internal port,
 * tracing, the service's parts, signals and exit code. `process` is that of Node.js, which no other file uses.
 */
export async function runAsProcess<S extends ConfigSchema>(
  process: ServiceProcess,
  definition: ServiceDefinition<S>,
): Promise<void> {
  const { name, schema, check, parts, internal } = definition;
  const config = configOrExit(process, name, schema, check);
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
