import { setTimeout as sleep } from 'node:timers/promises';
import type { Attack } from '../attack-definition.ts';
import { connectMany } from '../attack-sockets.ts';

const connections = { full: 256, small: 128 };
const pauseMs = 1_000;
/** For the server to close the first one, also on a busy machine. */
const closedMs = 10_000;

/** Where incomplete requests block probes of the internal port, the kubelet kills the node. */
export const internalPort: Attack = {
  name: 'internal-port',
  words: '256 incomplete heads on the internal port, each second',
  targets: ['standalone', 'stack'],
  refusals: [],
  probes: ['livez', 'readyz'],
  expected: ['connections closed by the server'],
  async run(context) {
    const all = [];
    while (!context.isExpired()) {
      const sockets = await connectMany(context.addresses.internalPort, connections[context.size]);
      for (const socket of sockets) {
        socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n');
        void socket.closed.then(() => context.counts.add('connections closed by the server'));
      }
      all.push(...sockets);
      await context.sleep(pauseMs);
    }
    await Promise.race([...all.map(({ closed }) => closed), sleep(closedMs, undefined, { ref: false })]);
    for (const socket of all) socket.close();
  },
};
