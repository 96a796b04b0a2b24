import type { Attack } from '../attack-definition.ts';
import { connectMany } from '../attack-sockets.ts';
import { AttackStream } from '../attack-stream.ts';

const counts = { full: 5_000, small: 300 };
const atOnce = 100;

/** Sockets that send nothing: half of them WebSockets, the others without a request. */
export const idleSockets: Attack = {
  name: 'idle-sockets',
  words: '5,000 sockets on the streams that do nothing',
  targets: ['standalone'],
  refusals: [],
  attackMs: { full: 15_000, small: 1_000 },
  rssGrowthMbMax: 250,
  async run(context) {
    const half = counts[context.size] / 2;
    const sockets = await connectMany(context.addresses.streamPort, half);
    const streams: (AttackStream | undefined)[] = [];
    while (streams.length < half && !context.isExpired()) {
      streams.push(...(await Promise.all(Array.from({ length: atOnce }, () => AttackStream.open(context)))));
    }
    while (!context.isExpired()) await context.sleep(100);
    for (const stream of streams) stream?.terminate();
    for (const socket of sockets) socket.close();
  },
};
