import type { RawSocket } from '@tailrace/testkit/raw-socket';
import type { Attack } from '../attack-definition.ts';
import { connectSteadily, countAnswers, ingestRequest, untilServerHolds } from '../attack-sockets.ts';

const tokens = 1_000;
const declaredBytes = 100;
/** Connections at a time, ten times a second. */
const together = 50;
/** Nearly as many as one sender may have in flight. */
const requestsOfSender = 500;

/** A thousand tokens of one subject must have no larger share than one. */
export const tokensOfOneSubject: Attack = {
  name: 'tokens',
  words: '1,000 tokens of one subject, two unfinished requests with each',
  targets: ['standalone'],
  tokens,
  refusals: ['http 429 rate_limited'],
  attackMs: { full: 15_000, small: 1_000 },
  async run(context) {
    const all = context.size === 'full' ? [...context.tokens, ...context.tokens] : context.tokens;
    const sockets: RawSocket[] = [];
    while (sockets.length < all.length) {
      const some = await connectSteadily(context.addresses.ingestPort, Math.min(together, all.length - sockets.length));
      for (const socket of some) {
        socket.write(ingestRequest(all[sockets.length]!, [`Content-Length: ${declaredBytes}`], '{'));
        sockets.push(socket);
      }
    }
    await untilServerHolds(context, 'tailrace_ingest_in_flight_requests', requestsOfSender);
    for (const socket of sockets) socket.write(' '.repeat(declaredBytes - 1));
    await countAnswers(context, sockets, 12_000);
  },
};
