import type { Attack } from '../attack-definition.ts';
import { postReports, smallReports } from '../attack-post.ts';
import { AttackStream } from '../attack-stream.ts';

const reports = { full: 60_000, small: 5_000 };
const perRequest = 5_000;
const sockets = 3;
const replays = 50;
const devices = Array.from({ length: 100 }, (_, i) => `a.d${i}`);

/** Replays of the whole log again and again. */
export const replayEverything: Attack = {
  name: 'replay',
  words: '3 sockets request 50 replays each of everything since 1970, with 60,000 reports in the log',
  targets: ['standalone', 'stack'],
  refusals: [],
  expected: ['MB replayed'],
  rssGrowthMbMax: 350,
  async prepare(context) {
    for (let n = 0; n < reports[context.size]; n += perRequest) {
      const some = Array.from({ length: perRequest / devices.length }, (_, i) => smallReports(devices, n + i)).flat();
      await postReports(context, some);
    }
  },
  async run(context) {
    const streams = await Promise.all(Array.from({ length: sockets }, () => AttackStream.open(context)));
    for (const stream of streams) {
      for (let i = 0; i < replays; i++) stream?.send({ subscribe: { id: `r${i}`, channel: 'a.>', from: 0 } });
    }
    while (!context.isExpired()) await context.sleep(100);
    for (const stream of streams) {
      context.counts.add('MB replayed', Math.ceil((stream?.bytes ?? 0) / 1e6));
      stream?.terminate();
    }
  },
};
