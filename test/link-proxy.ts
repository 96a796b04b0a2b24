import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP proxy between a sender and a server, as a link that is lost and comes back. */
export interface LinkProxy {
  readonly port: number;
  /** Connections that were accepted. */
  readonly connections: number;
  /** Closes all connections, and accepts no new one. */
  disconnect(): Promise<void>;
  /** Passes no byte any more, in connections that stay open, and accepts no new one: as a cable that is pulled. */
  stall(): Promise<void>;
  /** Accepts connections again. Those that were stalled stay so. */
  restore(): Promise<void>;
  stop(): Promise<void>;
}

export async function startLinkProxy(targetPort: () => number): Promise<LinkProxy> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let port = 0;
  const server = createServer((client) => {
    connections++;
    const upstream = connect(targetPort(), '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {});
      from.once('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  const listen = async () => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  };
  const closeListener = () => {
    if (server.listening) server.close();
  };
  await listen();
  return {
    get port() {
      return port;
    },
    get connections() {
      return connections;
    },
    async disconnect() {
      closeListener();
      for (const socket of sockets) socket.destroy();
    },
    async stall() {
      closeListener();
      for (const socket of sockets) {
        socket.unpipe();
        socket.pause();
      }
    },
    async restore() {
      if (!server.listening) await listen();
    },
    async stop() {
      closeListener();
      for (const socket of sockets) socket.destroy();
    },
  };
}
