import { nameFlood } from '@tailrace/testkit/name-flood';
import type { Attack } from '../attack-definition.ts';
import { largeReport, postReports } from '../attack-post.ts';

const reports = 16;
const readings = 16;
const characters = 4_000;
const fillers = { full: 90_000, small: 2_000 };

/**
 * The last values of one device become larger than a record of the state topic. Where that stops the checkpoints of its
 * partition, other devices lose their last values at a restart.
 */
export const largeState: Attack = {
  name: 'large-state',
  words: 'a device has 1 MB of last values, and 90,000 reports of others are newer than all that is recovered',
  targets: ['stack', 'standalone'],
  attackMs: { full: 20_000, small: 1_500 },
  // All of it is allowed: 512 KiB of a device are kept.
  refusals: [],
  // The window (32 MiB) is filled, and the heap of a process that receives 90,000 reports in a burst.
  rssGrowthMbMax: 350,
  stopSignal: 'SIGKILL',
  async run(context) {
    for (let iteration = 0; iteration === 0 || !context.isExpired(); iteration++) {
      for (let i = 0; i < reports; i++) {
        await postReports(context, [largeReport('a.large', readings, characters, `t${i}`)]);
      }
      if (iteration === 0) {
        // Of few devices, so that no limit of names is reached.
        for (const names of nameFlood({
          ...{ names: fillers[context.size], length: 20 },
          tenant: 'a',
          timeMs: Date.now(),
        })) {
          const few = names.map(({ bytes }, j) => ({ device: `a.${j % 50}`, bytes }));
          await postReports(context, few);
        }
      }
      await context.sleep(2_000);
    }
  },
};
