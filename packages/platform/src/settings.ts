import { z } from 'zod';
import { logLevels } from './log.ts';

/**
 * Settings that every service has, under the same names: `z.object({ ...commonSettings, port: … })`. The internal port's default is
 * that of a service alone on its machine; `make stack` and the chart set their own.
 */
export const commonSettings = {
  node: z
    .string()
    .regex(/^[A-Za-z0-9_-]{0,64}$/)
    .default('')
    .describe('Stable name of this process, the same after a restart; empty: the name of the host.'),
  logLevel: z.enum(logLevels).default('info').describe('What is written to the log: this level and worse.'),
  logPretty: z.boolean().default(false).describe('Log lines for a person at a terminal instead of JSON.'),
  internalHost: z
    .string()
    .min(1)
    .default('0.0.0.0')
    .describe('Where health checks and metrics listen: probes come from outside the container.'),
  internalPort: z
    .int()
    .min(0)
    .max(65_535)
    .default(9090)
    .describe('Port of /livez, /readyz and /metrics; not for the public. 0 takes a free one.'),
  tracingUrl: z
    .union([z.literal(''), z.url()])
    .default('')
    .describe(
      'OTLP/HTTP endpoint for traces, such as http://collector:4318/v1/traces; empty: tracing is off and costs nothing.',
    ),
  tracingSampleRatio: z
    .number()
    .min(0)
    .max(1)
    .default(0.001)
    .describe('Share of batches that are traced: enough to see where time goes, too little to cost any.'),
};

/** The key that tokens are signed with, for services that let clients in. */
export const tokenSecretSetting = z
  .string()
  .min(32)
  .meta({ secret: true })
  .describe(
    'Shared secret of HS256 tokens, at least 32 bytes, from openssl rand -base64 48; has no default, since a known secret is none.',
  );
