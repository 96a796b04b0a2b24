import { commonSettings } from '@tailrace/platform/settings';
import { z } from 'zod';

export const serviceName = 'simulator';

/** Settings of the simulator. */
export const configSchema = z.strictObject({
  ...commonSettings,
  ingestUrl: z
    .url({ protocol: /^https?$/ })
    .default('http://localhost:8082')
    .describe('Ingest, to which everything is sent as any device would.'),
  token: z
    .string()
    .max(8192)
    .default('')
    .meta({ secret: true })
    .describe('Lets the simulator publish plant1.> and host.>; empty where ingest asks for none.'),
  plant: z
    .boolean()
    .default(true)
    .describe('Whether to simulate the plant: three lines of ten machines, plant1.line1.press1 and so on.'),
  plantSeed: z
    .int()
    .min(0)
    .max(0xffff_ffff)
    .default(1)
    .meta({ unit: 'seed' })
    .describe('The same seed gives the same plant; another one another.'),
  rateHz: z
    .number()
    .min(0.1)
    .max(50)
    .default(2)
    .describe('How often fast machines report; slow ones (ovens, compressors, doors, meters) report half as often.'),
  hostReadings: z
    .boolean()
    .default(true)
    .describe("Whether to report this host's own processors, memory, disks and networks, once a second."),
  hostName: z
    .string()
    .max(255)
    .default('')
    .describe(
      "Under which name, as in host.<name>.cpu; empty: the name of the host; what a path segment cannot hold becomes '-'.",
    ),
});

export type SimulatorConfig = z.output<typeof configSchema>;
