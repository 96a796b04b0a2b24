import type { Attack } from '../attack-definition.ts';
import { largeReport, postReports } from '../attack-post.ts';

const devices = 10;
const readings = 60;
const characters = 4_000;
const pauseMs = 500;

/** A publisher makes the last values of a subtree so large that a snapshot with a fixed limit fails. */
export const largeSnapshot: Attack = {
  name: 'large-snapshot',
  words: 'ten devices with 240 KB of last values each; others of the tenant, and operators, subscribe to a.> and >',
  targets: ['standalone', 'stack'],
  refusals: [],
  visits: [{ channel: 'a.>' }, { channel: '>' }],
  async run(context) {
    for (let iteration = 0; iteration === 0 || !context.isExpired(); iteration++) {
      for (let i = 0; i < devices; i++) {
        await postReports(context, [largeReport(`a.evil.d${i}`, readings, characters, `r${iteration % 2}`)]);
      }
      await context.sleep(pauseMs);
    }
  },
};
