import { z } from 'zod';

const dayMs = 86_400_000;

/** Whether devices speak, whether this node hears, and consistent cuts. */
export const freshnessSettings = {
  staleFactor: z
    .number()
    .min(1)
    .max(100)
    .default(2.5)
    .meta({ unit: 'times' })
    .describe(
      'A device is stale when it has been silent for so many times its own interval and four deviations: two reports may get lost.',
    ),
  staleMsMin: z
    .int()
    .min(1_000)
    .max(3_600_000)
    .default(5_000)
    .describe('No device is called stale sooner, however quick its rhythm: what hiccups is not silent.'),
  staleMsMax: z
    .int()
    .min(60_000)
    .default(40 * dayMs)
    .describe(
      'Nor later, however slow its rhythm. More than a month, so that what reports once a month is not stale between.',
    ),
  offlineFactor: z
    .number()
    .min(1)
    .max(1_000)
    .default(12)
    .meta({ unit: 'times' })
    .describe(
      'A device is offline when it has been silent for so many times what made it stale: a minute for a quick one.',
    ),
  interruptedMs: z
    .int()
    .min(1_500)
    .max(60_000)
    .default(2_000)
    .describe(
      'Clients are told when this node has not heard a partition of theirs for so long. An owner speaks every 500 ms, and most handovers take less than this.',
    ),
  cutSlackMs: z
    .int()
    .min(0)
    .max(60_000)
    .default(250)
    .describe(
      "With align: how far one ingest's report may come behind a later one of another, by their clocks and ways. More makes cuts later and reports late less often.",
    ),
  alignWaitMs: z
    .int()
    .min(100)
    .max(60_000)
    .default(2_000)
    .describe(
      'With align: how long after its moment a cut waits for partitions that have not passed it; then it is sent without.',
    ),
};
