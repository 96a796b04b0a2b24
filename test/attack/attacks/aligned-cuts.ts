import type { Attack } from '../attack-definition.ts';
import { postReports, smallReports } from '../attack-post.ts';
import { AttackStream } from '../attack-stream.ts';

const subscriptions = 100;
const devices = { full: 2_000, small: 500 };
const alignMs = 100;

/** Consistent cuts of many devices, each with another period, so that none can be shared. */
export const alignedCuts: Attack = {
  name: 'aligned-cuts',
  words: 'a socket requests 100 consistent cuts of 2,000 devices, ten times a second each',
  targets: ['standalone'],
  refusals: ['error limit_reached'],
  visits: [{ channel: 'a.>' }],
  async prepare(context) {
    const names = Array.from({ length: devices[context.size] }, (_, i) => `a.d${i}`);
    await postReports(context, smallReports(names, 0));
  },
  async run(context) {
    const stream = await AttackStream.open(context);
    if (stream === undefined) return;
    for (let i = 0; i < subscriptions; i++) {
      stream.send({ subscribe: { id: `c${i}`, channel: 'a.>', align: alignMs + i } });
    }
    while (!context.isExpired()) await context.sleep(100);
    context.counts.add('cuts sent to the attacker, MB', Math.ceil(stream.bytes / 1e6));
    stream.terminate();
  },
};
