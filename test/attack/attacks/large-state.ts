import { nameFlood } from '@tailrace/testkit/name-flood';
import type { Attack } from '../attack-definition.ts';
import { largeReport, postReports } from '../attack-post.ts';

const reports = 16;
const readings = 16;
const characters = 4_000;
const fillers = { full: 90_000, small: 2_000 };

/**
 * The last values of one device become larger than the topic of last values takes in one record. Where that stops the
 * checkpoints of its partition, devices of others there lose theirs with a restart.
 */
export const largeState: Attack = {
  name: 'large-state',
  words: 'a device has 1 MB of last values, and 90,000 reports of others push everything out of what is read back',
  targets: ['stack', 'standalone'],
  attackMs: { full: 20_000, small: 1_500 },
  // All of it is allowed: of a device 512 KiB are kept.
  refusals: [],
  // The window of recent reports (32 MiB) is filled, and the heap of a process that takes 90,000 reports at once.
  rssGrowthMbMax: 350,
  endedBy: 'SIGKILL',
  async run(context) {
    for (let round = 0; round === 0 || !context.isOver(); round++) {
      for (let i = 0; i < reports; i++) {
        await postReports(context, [largeReport('a.large', readings, characters, `t${i}`)]);
      }
      if (round === 0) {
        // Of few devices, so that no limit of names is met.
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
