import type { Attack } from '../attack-definition.ts';
import { largeReport, postReports } from '../attack-post.ts';
import { AttackStream } from '../attack-stream.ts';

const readers = { full: 150, small: 30 };
const pauseMs = { full: 50, small: 20 };

/** Clients that subscribe to what they publish themselves, and read none of it. */
export const slowReaders: Attack = {
  name: 'slow-readers',
  words: '150 sockets that read nothing, of 20 reports of 32 KB a second',
  targets: ['standalone'],
  refusals: [],
  attackMs: { full: 20_000, small: 1_500 },
  rssGrowthMbMax: 350,
  async run(context) {
    const streams = await Promise.all(
      Array.from({ length: readers[context.size] }, async () => {
        const stream = await AttackStream.open(context);
        stream?.send({ subscribe: { id: 's', channel: 'a.>' } });
        stream?.stopReading();
        return stream;
      }),
    );
    for (let n = 0; !context.isExpired(); n++) {
      await postReports(context, [largeReport(`a.d${n % 5}`, 8, 4_000, 't')]);
      await context.sleep(pauseMs[context.size]);
    }
    for (const stream of streams) stream?.terminate();
  },
};
