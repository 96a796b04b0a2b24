import { z } from 'zod';

/** Part of `fanoutSettings`: limits of background work. */
export const workSettings = {
  backgroundShare: z
    .number()
    .min(0.05)
    .max(1)
    .default(0.5)
    .meta({ unit: 'share' })
    .describe(
      'Share of the processor for snapshots, resuming, replay, catching up and consistent cuts, while live data needs it, too. They may use all the time that live data leaves unused.',
    ),
  queuedTasksMax: z
    .int()
    .min(100)
    .max(10_000_000)
    .default(100_000)
    .meta({ unit: 'tasks' })
    .describe('Queued snapshots, replays and other background tasks of all clients; beyond it rate_limited.'),
  userQueuedTasksMax: z
    .int()
    .min(10)
    .max(10_000_000)
    .default(50_000)
    .meta({ unit: 'tasks' })
    .describe(
      'The same for one user; beyond it rate_limited. A connection has about one at a time. Users take turns, however many tasks each has.',
    ),
  catchUpBytesMax: z
    .int()
    .min(1_048_576)
    .default(134_217_728)
    .describe(
      'Memory for the history that is sent to all clients; beyond it clients wait, and the one that holds least is next.',
    ),
  cutBytesMax: z
    .int()
    .min(1_048_576)
    .default(268_435_456)
    .describe(
      'Memory for the reports of all views with align, together; beyond it the node closes the largest subscription of the user that holds most, with rate_limited.',
    ),
};
