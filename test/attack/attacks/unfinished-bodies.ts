import type { Attack } from '../attack-definition.ts';
import { connectMany, countAnswers, ingestRequest, untilServerHolds } from '../attack-sockets.ts';

const connections = 70;
const declaredBytes = 1_048_576;
const missingBytes = 576;
/** 32 of them, nearly as much as one sender may have under way. */
const bytesOfSender = 33_500_000;

/** Bodies of which only the last bytes are missing hold memory as long as they may. */
export const unfinishedBodies: Attack = {
  name: 'bodies',
  words: '70 bodies of 1 MB, each without its last bytes, by one sender',
  targets: ['standalone'],
  refusals: ['http 429 rate_limited'],
  attackMs: { full: 15_000, small: 1_000 },
  async run(context) {
    const sockets = await connectMany(context.addresses.ingestPort, connections);
    const sent = 'x'.repeat(declaredBytes - missingBytes);
    for (const socket of sockets)
      socket.write(ingestRequest(context.token, [`Content-Length: ${declaredBytes}`], sent));
    // As long as the attack goes on: those that are refused are told so when their bodies end, or at their deadline.
    await untilServerHolds(context, 'tailrace_ingest_unfinished_body_bytes', bytesOfSender);
    for (const socket of sockets) socket.write('x'.repeat(missingBytes));
    await countAnswers(context, sockets, 12_000);
  },
};
