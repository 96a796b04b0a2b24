import { commonSettings } from '@tailrace/platform/settings';
import { moods } from '@tailrace/simulator/plant/mood';
import { z } from 'zod';

export const serviceName = 'standalone';

/** Settings of an installation in one process. */
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
      'Address to listen on. The dashboard sends its token to every browser that opens it: keep it on loopback unless signInToken is off.',
    ),
  portBase: z
    .int()
    .min(1024)
    .max(64_000)
    .default(8080)
    .meta({ unit: 'port' })
    .describe(
      'Port of the dashboard. Streams have the next one, ingest the one after it, MQTT portBase + 4, health and metrics portBase + 1010; internalPort is not used.',
    ),
  streamUrl: z
    .union([z.literal(''), z.url({ protocol: /^wss?$/ })])
    .default('')
    .describe(
      'URL of the streams for browsers. Empty: portBase + 1 at host; if that is 0.0.0.0, at the host of the address bar.',
    ),
  publicIngestUrl: z
    .union([z.literal(''), z.url({ protocol: /^https?$/ })])
    .default('')
    .describe(
      'URL of ingest for devices, in the command that the dashboard shows while no device reports. Empty: portBase + 2 at host; if that is 0.0.0.0, at the host of the address bar.',
    ),
  dataDir: z
    .string()
    .min(1)
    .default('data/demo')
    .meta({ unit: 'path' })
    .describe('Folder of the log, the key and endpoints.json; created if it is missing.'),
  partitions: z.int().min(1).max(64).default(4).describe('Partitions of the telemetry topic when it is created.'),
  retentionMs: z
    .int()
    .min(60_000)
    .default(24 * 3_600_000)
    .describe('How long the log keeps reports.'),
  retentionBytes: z
    .int()
    .min(1_048_576)
    .default(268_435_456)
    .describe('Size of a partition of the log; the oldest reports beyond it are deleted.'),
  flushMs: z
    .int()
    .min(0)
    .max(1_000)
    .default(5)
    .describe('How long reports are collected before they are sent together.'),
  signInToken: z
    .boolean()
    .default(true)
    .describe('Whether the dashboard signs in every browser that opens it, with a token for all devices.'),
  plant: z.boolean().default(true).describe('Whether to simulate the plant.'),
  house: z.boolean().default(true).describe('Whether to simulate the smart home.'),
  mood: z.enum(moods).default('calm').describe('How the simulated plant behaves, as the setting of the simulator.'),
  gateway: z
    .boolean()
    .default(false)
    .describe(
      'Whether to run the edge gateway of the plant in a second process, which reads meters and a pump by Modbus (portBase + 5), compressors and an oven by OPC UA (portBase + 6), and takes commands for them; its health and metrics are at portBase + 1011. `make demo` sets it; without it, or in an image, which has no gateway, these machines report over HTTP.',
    ),
  mqttBridgesFile: z
    .string()
    .max(4_096)
    .default('')
    .meta({ unit: 'path' })
    .describe(
      'JSON file with the MQTT brokers whose messages are taken, as the setting of ingest; --check-config prints what becomes of sample messages. Empty: none.',
    ),
  hostReadings: z
    .boolean()
    .default(true)
    .describe("Whether to report this host's own processors, memory, disks and networks."),
});

export type StandaloneConfig = z.output<typeof configSchema>;
