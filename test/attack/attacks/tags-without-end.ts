import { tagFlood } from '@tailrace/testkit/tag-flood';
import type { Attack } from '../attack-definition.ts';
import { postReports } from '../attack-post.ts';

const tags = 1_000;
const reportsFirst = { full: 121, small: 121 };
const perRequest = 40;
const pauseMs = 100;

/**
 * A token for one path sends new tags, 1,000 per report: where each report is compared with all earlier tags, it blocks
 * the event loop longer and longer.
 */
export const tagsWithoutEnd: Attack = {
  name: 'tags',
  words: 'one device invents 121,000 tags, then sends 1,000 new ones in a report, ten times a second',
  targets: ['standalone', 'stack'],
  rights: { publish: ['a.device'], subscribe: [] },
  // All of it is allowed: the tags reported longest ago are evicted, which is counted.
  refusals: [],
  grown: ['tailrace_fanout_evicted_tags_total'],
  async run(context) {
    const flood = { device: 'a.device', tags, timeMs: Date.now() };
    const first = [...tagFlood({ ...flood, reports: reportsFirst[context.size] })];
    for (let from = 0; from < first.length; from += perRequest) {
      await postReports(context, first.slice(from, from + perRequest));
    }
    const more = [...tagFlood({ ...flood, reports: perRequest })];
    while (!context.isExpired()) {
      for (const report of more) {
        if (context.isExpired()) break;
        await postReports(context, [report]);
        await context.sleep(pauseMs);
      }
      await postReports(context, more);
    }
  },
};
