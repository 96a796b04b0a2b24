import { nameFlood } from '@tailrace/testkit/name-flood';
import type { Attack } from '../attack-definition.ts';
import { postReports } from '../attack-post.ts';

const names = { full: 760_000, small: 12_000 };
/** Pause between two requests of 5,000 names: 760,000 in 26 s. */
const pauseMs = { full: 170, small: 20 };

/** A token for a subtree invents device names: each costs every node memory, and again after a restart. */
export const deviceNames: Attack = {
  name: 'device-names',
  words: 'a token for a.> sends reports of 760,000 devices, in a heap of 512 MB',
  targets: ['standalone'],
  attackMs: { full: 60_000, small: 2_000 },
  heapMb: 512,
  // In small there are fewer names than the limit.
  refusals: [],
  rssGrowthMbMax: 500,
  async run(context) {
    for (const reports of nameFlood({ names: names[context.size], length: 60, tenant: 'a', timeMs: Date.now() })) {
      if (context.isExpired()) break;
      await Promise.all([postReports(context, reports), context.sleep(pauseMs[context.size])]);
    }
  },
};
