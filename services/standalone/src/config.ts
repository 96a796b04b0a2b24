import { commonSettings } from '@tailrace/platform/settings';
import { z } from 'zod';

export const serviceName = 'standalone';

/** Settings of the one process that is a whole installation. */
export const configSchema = z.strictObject({
  ...commonSettings,
  internalHost: commonSettings.internalHost
    .unwrap()
    .default('127.0.0.1')
    .describe('Where health checks and metrics listen.'),
  host: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe(
      'Address to listen on. The dashboard hands its token to whoever opens it: leave it on loopback unless signInToken is off.',
    ),
  portBase: z
    .int()
    .min(1024)
    .max(64_000)
    .default(8080)
    .meta({ unit: 'port' })
    .describe(
      'Dashboard; one more is streams, two more ingest, 1010 more health and metrics. internalPort is not read.',
    ),
  streamUrl: z
    .union([z.literal(''), z.url({ protocol: /^wss?$/ })])
    .default('')
    .describe(
      'Where browsers find the streams. Empty: at host; where that is 0.0.0.0, the host in their address bar, at portBase + 1.',
    ),
  publicIngestUrl: z
    .union([z.literal(''), z.url({ protocol: /^https?$/ })])
    .default('')
    .describe(
      'Where devices find ingest, for the command that the dashboard shows while nothing reports. Empty: at host; where that is 0.0.0.0, the host in the address bar.',
    ),
  dataDir: z
    .string()
    .min(1)
    .default('data/demo')
    .meta({ unit: 'path' })
    .describe('Folder of the log, the key and endpoints.json; made where it is missing.'),
  partitions: z.int().min(1).max(64).default(4).describe('Partitions of the telemetry topic when it is created.'),
  retentionMs: z
    .int()
    .min(60_000)
    .default(24 * 3_600_000)
    .describe('How long the log keeps reports.'),
  retentionBytes: z.int().min(1_048_576).default(268_435_456).describe('Size of a partition of the log.'),
  flushMs: z.int().min(0).max(1_000).default(5).describe('How long reports gather before they go out together.'),
  signInToken: z
    .boolean()
    .default(true)
    .describe('Whether the dashboard signs in whoever opens it, with a token that may see everything.'),
  plant: z.boolean().default(true).describe('Whether to simulate the plant.'),
  hostReadings: z
    .boolean()
    .default(true)
    .describe("Whether to report this host's own processors, memory, disks and networks."),
});

export type StandaloneConfig = z.output<typeof configSchema>;
