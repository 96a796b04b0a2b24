import type { Attack } from '../attack-definition.ts';
import { connectMany } from '../attack-sockets.ts';

const connections = { full: 1_000, small: 200 };
const intervalMs = 1_000;

/** Slowloris: handshakes of which a line is sent each second, and that are never complete. */
export const slowHeads: Attack = {
  name: 'slow-heads',
  words: '1,000 handshakes on the streams and on ingest of which a line is sent each second',
  targets: ['standalone'],
  refusals: [],
  attackMs: { full: 25_000, small: 1_000 },
  expected: ['lines sent'],
  async run(context) {
    const { streamPort, ingestPort } = context.addresses;
    const count = connections[context.size] / 2;
    const sockets = [...(await connectMany(streamPort, count)), ...(await connectMany(ingestPort, count))];
    for (const socket of sockets) {
      socket.write('GET /v1/stream HTTP/1.1\r\nHost: x\r\n');
      void socket.closed.then(() => context.counts.add('connections closed by the server'));
    }
    for (let n = 0; !context.isExpired(); n++) {
      for (const socket of sockets) socket.write(`X-Line-${n}: x\r\n`);
      context.counts.add('lines sent', sockets.length);
      await context.sleep(intervalMs);
    }
    for (const socket of sockets) socket.close();
  },
};
