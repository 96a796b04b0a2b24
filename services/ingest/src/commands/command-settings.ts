import { z } from 'zod';

/** Part of `ingestSettings`: commands for devices with a session. */
export const commandSettings = {
  commandsEnabled: z
    .boolean()
    .default(true)
    .describe('Whether devices may receive commands. Off: each command is refused with forbidden.'),
  commandsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(10_000)
    .meta({ unit: 'commands' })
    .describe('Commands that wait for their device, or for its reply; beyond it they are refused with rate_limited.'),
  deviceCommandsMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(16)
    .meta({ unit: 'commands' })
    .describe('The same of one device.'),
  commandOutcomesMax: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(20_000)
    .meta({ unit: 'commands' })
    .describe(
      'Commands whose last outcome is remembered, some 500 bytes each, until their deadline and for ten more minutes if there is space. Beyond it commands are refused with rate_limited: none is forgotten early, because it could be executed twice.',
    ),
};

/** The settings of commands. */
export type CommandSettings = z.output<z.ZodObject<typeof commandSettings>>;
