import type { Attack } from '../attack-definition.ts';
import { postReports, smallReports } from '../attack-post.ts';
import { AttackStream } from '../attack-stream.ts';

const views = 300;
const devices = Array.from({ length: 50 }, (_, i) => `a.d${i}`);
const pauseMs = 200;

/** One socket uses all possible views of a channel. */
export const viewsOfAChannel: Attack = {
  name: 'views',
  words: 'a socket requests 300 views of a channel, each with its own options; another client requests one',
  targets: ['standalone'],
  refusals: ['error limit_reached'],
  visits: [{ channel: 'a.>', options: { maxRate: 3.5 } }],
  async prepare(context) {
    await postReports(context, smallReports(devices, 0));
  },
  async run(context) {
    const stream = await AttackStream.open(context);
    if (stream === undefined) return;
    for (let i = 0; i < views; i++) {
      stream.send({ subscribe: { id: `v${i}`, channel: 'a.>', maxRate: 10 + i / 1_000, deadband: { absolute: 0.1 } } });
    }
    for (let n = 1; !context.isExpired(); n++) {
      await postReports(context, smallReports(devices, n));
      await context.sleep(pauseMs);
    }
    stream.terminate();
  },
};
