import { createServer } from 'node:net';
import { TailraceError } from '@tailrace/protocol/error';

/**
 * Below every system's range of outgoing ports (Linux 32768, macOS 49152), so that no connection takes the port of a
 * server while it restarts. The ports from 28000 on are those of `freePortBase` (test/ports.ts).
 */
const portMin = 10_240;
const portMax = 27_999;
const triesMax = 100;

/**
 * Returns a port on 127.0.0.1 on which no process listens now. Another process may take it before the caller does. A
 * server that can bind to port 0 should do so instead; one that cannot (a broker that must know its own address) tries
 * again with another port.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < triesMax; tries++) {
    const port = portMin + Math.floor(Math.random() * (portMax - portMin + 1));
    if (await isFreePort(port)) return port;
  }
  throw new TailraceError(
    'limit_reached',
    `no free port on 127.0.0.1 in ${triesMax} tries between ${portMin} and ${portMax}; stop what listens there`,
  );
}

/** Returns that many different free ports. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

/** Returns whether a server can listen on this port of 127.0.0.1 now. */
export function isFreePort(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
