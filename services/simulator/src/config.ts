import { commonSettings } from '@tailrace/platform/settings';
import { z } from 'zod';
import { moods } from './plant/mood.ts';

export const serviceName = 'simulator';

/** Settings of the simulator. */
export const configSchema = z.strictObject({
  ...commonSettings,
  ingestUrl: z
    .url({ protocol: /^https?$/ })
    .default('http://localhost:8082')
    .describe('URL of ingest, over the protocol that devices use.'),
  token: z
    .string()
    .max(8192)
    .default('')
    .meta({ secret: true })
    .describe('Token with the right to publish plant1.>, home.> and host.>; empty: none is sent.'),
  plant: z
    .boolean()
    .default(true)
    .describe(
      'Whether to simulate the plant: three lines of ten machines, plant1.line1.press1 and so on, a robot cell, and utilities.',
    ),
  house: z
    .boolean()
    .default(true)
    .describe(
      'Whether to simulate a smart home: home.lamps.kitchen and three further lamps, home.heating.living and two further rooms, home.entrance, home.presence.',
    ),
  plantSeed: z
    .int()
    .min(0)
    .max(0xffff_ffff)
    .default(1)
    .meta({ unit: 'seed' })
    .describe('The same seed produces the same plant and the same house.'),
  mood: z
    .enum(moods)
    .default('calm')
    .describe(
      'How the plant behaves: calm; drift (a sensor of each area drifts); storm (bursts, a noisy device in each area, repeated and late reports); dropout (links are interrupted); failure (two machines heat up slowly, and fail).',
    ),
  rateHz: z
    .number()
    .min(0.1)
    .max(50)
    .default(2)
    .describe('How often fast machines report; slow ones (ovens, compressors, doors, meters) report half as often.'),
  deviceWebSocket: z
    .boolean()
    .default(true)
    .describe(
      'Whether each machine of line 2, each device of the house, and the simulator itself, keeps a WebSocket to /v1/device of ingestUrl, on which it also takes commands; else they report over HTTP.',
    ),
  mqttUrl: z
    .union([z.literal(''), z.url({ protocol: /^mqtt$/ })])
    .default('')
    .describe(
      'URL of the MQTT listener of ingest, as mqtt://ingest:1883, to which each machine of line 3 connects, and on which it also takes commands. Empty: they report over HTTP.',
    ),
  sparkplugUrl: z
    .union([z.literal(''), z.url({ protocol: /^mqtt$/ })])
    .default('')
    .describe(
      'URL of the MQTT listener of ingest, as mqtt://ingest:1883, to which the robot cell connects as a Sparkplug B edge node, and on which it also takes commands; ingest needs mqttSparkplug. Empty: its machines report over HTTP.',
    ),
  modbusHost: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('Address on which the Modbus server of the plant listens.'),
  modbusPort: z
    .int()
    .min(0)
    .max(65_535)
    .default(0)
    .meta({ unit: 'port' })
    .describe(
      'Port of a Modbus server with three meters and a pump of the plant, for a gateway that polls them; a write is a command. 0: none, and they report over HTTP.',
    ),
  opcuaHost: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('Address on which the OPC UA server of the plant listens, and which it names to clients.'),
  opcuaPort: z
    .int()
    .min(0)
    .max(65_535)
    .default(0)
    .meta({ unit: 'port' })
    .describe(
      'Port of an OPC UA server with two compressors and an oven of the plant, for a gateway that subscribes to them; a write is a command. 0: none, and they report over HTTP. Images have no such server.',
    ),
  opcuaPkiPath: z
    .string()
    .min(1)
    .max(4_096)
    .default('data/opcua')
    .meta({ unit: 'path' })
    .describe("Folder of the OPC UA server's certificate and key, which the first start creates."),
  hostReadings: z
    .boolean()
    .default(true)
    .describe("Whether to report this host's own processors, memory, disks and networks, once a second."),
  hostName: z
    .string()
    .max(255)
    .default('')
    .describe(
      "Name in the paths, such as host.<name>.cpu; empty: the name of the host. Characters that a path segment cannot have become '-'.",
    ),
});

export type SimulatorConfig = z.output<typeof configSchema>;
