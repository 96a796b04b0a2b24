import { nameFlood } from '@tailrace/testkit/name-flood';
import type { Attack } from '../attack-definition.ts';
import { postReports } from '../attack-post.ts';
import { AttackStream } from '../attack-stream.ts';

const devices = { full: 20_000, small: 2_000 };
const readers = { full: 100, small: 20 };
const subscriptionsEach = 20;

/**
 * Clients that request the last values of many devices and read none: brokers that copied all retained messages for
 * each subscriber ran out of memory (EMQX issue 5431, NanoMQ issue 2266, Mosquitto issue 3096).
 */
export const unreadSnapshots: Attack = {
  name: 'unread-snapshots',
  words: '100 sockets subscribe 20 times each to 20,000 devices and read nothing',
  targets: ['standalone'],
  refusals: [],
  visits: [{ channel: 'a.>' }],
  rssGrowthMbMax: 300,
  async prepare(context) {
    const spec = { names: devices[context.size], length: 40, tenant: 'a', timeMs: Date.now() };
    for (const reports of nameFlood(spec)) await postReports(context, reports);
  },
  async run(context) {
    const streams: AttackStream[] = [];
    for (let i = 0; i < readers[context.size] && !context.isExpired(); i++) {
      const stream = await AttackStream.open(context);
      if (stream === undefined) continue;
      streams.push(stream);
      stream.stopReading();
      for (let n = 0; n < subscriptionsEach; n++) stream.send({ subscribe: { id: `s${n}`, channel: 'a.>' } });
    }
    while (!context.isExpired()) await context.sleep(100);
    for (const stream of streams) stream.terminate();
  },
};
