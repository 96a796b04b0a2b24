import { z } from 'zod';

const dayMs = 86_400_000;

/** Settings of the presence of devices, of interruptions, and of consistent cuts. */
export const freshnessSettings = {
  staleFactor: z
    .number()
    .min(1)
    .max(100)
    .default(2.5)
    .meta({ unit: 'times' })
    .describe(
      'A device is stale when it has not reported for this many times its report interval plus four deviations: two reports may get lost.',
    ),
  staleMsMin: z
    .int()
    .min(1_000)
    .max(3_600_000)
    .default(5_000)
    .describe('No device is stale sooner, however short its report interval: short gaps are normal.'),
  staleMsMax: z
    .int()
    .min(60_000)
    .default(40 * dayMs)
    .describe(
      'No device becomes stale later, however long its report interval. More than a month, so that a device that reports once a month is not stale in between.',
    ),
  offlineFactor: z
    .number()
    .min(1)
    .max(1_000)
    .default(12)
    .meta({ unit: 'times' })
    .describe(
      'A device is offline when it has not reported for this many times the time after which it is stale: a minute for a device that reports often.',
    ),
  interruptedMs: z
    .int()
    .min(1_500)
    .max(60_000)
    .default(2_000)
    .describe(
      'Clients receive interrupted when no node has proved for this long that it reads a partition of theirs to its end. An owner checks that every 500 ms, and most handovers take less than this.',
    ),
  cutSlackMs: z
    .int()
    .min(0)
    .max(60_000)
    .default(250)
    .describe(
      'With align: how long after a report of one ingest process an earlier one of another may arrive, because of their clocks and delays. A larger value delays cuts, and makes fewer reports late.',
    ),
  alignWaitMs: z
    .int()
    .min(100)
    .max(60_000)
    .default(2_000)
    .describe(
      'With align: how long after its time a cut waits for partitions that have not reached it; then it is sent without them.',
    ),
};
