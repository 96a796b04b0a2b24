import { z } from 'zod';

/** Settings of alarms, commands and leases. */
export const eventSettings = {
  eventsPollMs: z
    .int()
    .min(5)
    .max(1_000)
    .default(25)
    .describe(
      'Interval at which new alarms and states of commands are read from the log. A smaller value lowers their latency. With more than 200 partitions it is longer, an eighth of their number.',
    ),
  eventWindowBytesMax: z
    .int()
    .min(1_048_576)
    .default(67_108_864)
    .describe(
      'Memory for the newest alarms and states of commands of all partitions, for clients that reconnect; at least 64 KiB for each. A client that is further behind receives the missing range and the current alarms.',
    ),
  alarmsMax: z
    .int()
    .min(100)
    .max(10_000_000)
    .default(200_000)
    .meta({ unit: 'alarms' })
    .describe(
      'Alarms that are not normal and that this node knows, about 2 KB each; at least 100 for each partition. Beyond it the one of the partition that changed longest ago is not in snapshots.',
    ),
  controlDeadlineMs: z
    .int()
    .min(100)
    .max(60_000)
    .default(5_000)
    .describe('How long control may take to answer a command, an alarm action or a lease request; then timeout.'),
  controlRequestsMax: z
    .int()
    .min(1)
    .max(10_000)
    .default(32)
    .meta({ unit: 'requests' })
    .describe('Requests of one connection that control has not answered; beyond it rate_limited.'),
  userControlRequestsMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(256)
    .meta({ unit: 'requests' })
    .describe('The same of one user on this node.'),
  commandsPerConnectionMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(1_000)
    .meta({ unit: 'commands' })
    .describe('Commands of one connection whose final state was not sent yet; beyond it limit_reached.'),
};

export type EventSettings = z.output<z.ZodObject<typeof eventSettings>>;
