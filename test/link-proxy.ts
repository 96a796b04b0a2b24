import { startTcpProxy } from '@tailrace/testkit/tcp-proxy';

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
  const proxy = await startTcpProxy({ target: () => ({ port: targetPort() }) });
  return {
    get port() {
      return proxy.port;
    },
    get connections() {
      return proxy.connections;
    },
    async disconnect() {
      proxy.stopListening();
      proxy.disconnect();
    },
    async stall() {
      proxy.stopListening();
      for (const socket of proxy.sockets) {
        socket.unpipe();
        socket.pause();
      }
    },
    restore: () => proxy.listen(),
    stop: () => proxy.close(),
  };
}
