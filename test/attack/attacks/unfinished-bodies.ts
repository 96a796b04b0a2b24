import type { Attack } from '../attack-definition.ts';
import { connectMany, countAnswers, ingestRequest, untilServerHolds } from '../attack-sockets.ts';

const connections = 70;
const declaredBytes = 1_048_576;
const missingBytes = 576;
/** 32 of them: nearly as much as one sender may have in flight. */
const bytesOfSender = 33_500_000;

/** Bodies without their last bytes hold memory until their deadline. */
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
    // Until the end of the attack: refused requests get their response when the body is complete, or at the deadline.
    await untilServerHolds(context, 'tailrace_ingest_unfinished_body_bytes', bytesOfSender);
    for (const socket of sockets) socket.write('x'.repeat(missingBytes));
    await countAnswers(context, sockets, 12_000);
  },
};
