import type { RawSocket } from '@tailrace/testkit/raw-socket';
import type { Attack } from '../attack-definition.ts';
import { connectMany, countAnswers, ingestRequest } from '../attack-sockets.ts';

const connections = { full: 2_048, small: 512 };
/** Connections at a time, ten times a second: 60 KB per second. */
const together = 50;
const intervalMs = 100;

/**
 * Heads of requests without bodies, with an invalid token: where requests are counted before their tokens are verified,
 * they use the whole limit.
 */
export const headsWithoutBodies: Attack = {
  name: 'heads',
  words: '2,048 heads without a body and with the token "x" to ingest, 500 a second, and again',
  targets: ['standalone'],
  refusals: ['http 401 unauthorized'],
  forbidden: ['no answer'],
  async run(context) {
    const sockets: RawSocket[] = [];
    while (!context.isExpired()) {
      const some = await connectMany(context.addresses.ingestPort, together);
      for (const socket of some) socket.write(ingestRequest('x', ['Content-Length: 1000']));
      sockets.push(...some);
      if (sockets.length >= connections[context.size]) await countAnswers(context, sockets.splice(0), 10_000);
      await context.sleep(intervalMs);
    }
    await countAnswers(context, sockets, 10_000);
  },
};
