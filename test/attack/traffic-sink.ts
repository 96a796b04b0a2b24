/**
 * A server that reads all bytes and ignores them: it shows the cost of an attack's traffic alone.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { serveRequests } from './process-requests.ts';

export const sinkHandlers = {
  /** Resolves with its port. */
  async listen(): Promise<number> {
    const server = createServer((socket) => void socket.on('error', () => {}).resume());
    server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 });
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  },
};

export type SinkHandlers = typeof sinkHandlers;

if (process.send !== undefined) serveRequests(sinkHandlers);
