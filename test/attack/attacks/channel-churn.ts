import type { Attack } from '../attack-definition.ts';
import { postReports, smallReports } from '../attack-post.ts';
import { AttackStream } from '../attack-stream.ts';

const devices = Array.from({ length: 500 }, (_, i) => `a.line${i % 20}.d${i}`);
const sockets = 4;
const channelsEach = 500;
const pauseMs = 200;

/**
 * New channels, subscribed and unsubscribed at once: Moquette's tree of subscriptions kept the empty nodes, so that
 * each publish took longer (pull request 274), Mercure's cache of topics filled the heap (pull request 1224), and a
 * subscription that was renewed during its recovery blocked Centrifuge for good (issue 639).
 */
export const channelChurn: Attack = {
  name: 'channel-churn',
  words: '4 sockets subscribe to 500 new channels each and unsubscribe at once, with positions, and reconnect',
  targets: ['standalone', 'stack'],
  refusals: [],
  async prepare(context) {
    await postReports(context, smallReports(devices, 0));
  },
  async run(context) {
    for (let iteration = 0; !context.isExpired(); iteration++) {
      const streams = await Promise.all(Array.from({ length: sockets }, () => AttackStream.open(context)));
      for (const [s, stream] of streams.entries()) {
        for (let i = 0; i < channelsEach; i++) {
          const channel = i % 5 === 0 ? `a.line${i % 20}.>` : `a.r${iteration}.s${s}.c${i}.>`;
          stream?.send({ subscribe: { id: `c${i}`, channel } });
          stream?.send({ unsubscribe: { id: `c${i}` } });
          if (i % 10 === 0) stream?.send({ subscribe: { id: `c${i}`, channel, from: Date.now() - 10_000 } });
        }
      }
      await context.sleep(pauseMs);
      for (const stream of streams) stream?.terminate();
      await postReports(context, smallReports(devices, iteration + 1));
    }
  },
};
