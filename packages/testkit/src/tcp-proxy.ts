import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface TcpProxyOptions {
  /** Called for each connection. */
  readonly target: () => { readonly host?: string; readonly port: number };
  /** Returns whether a connection is passed to the server. If not, the caller has its client. Default: all are. */
  readonly accept?: (client: Socket) => boolean;
  /** Passes bytes between both sides of a connection. Default: all bytes, unchanged. */
  readonly pass?: (client: Socket, server: Socket) => void;
}

/** A TCP proxy before a server, on a free port of loopback: the network of a test. */
export interface TcpProxy {
  readonly port: number;
  /** Connections that were accepted. */
  readonly connections: number;
  /** Open sockets, of both sides. */
  readonly sockets: ReadonlySet<Socket>;
  /** Accepts connections again, on the same port. */
  listen(): Promise<void>;
  /** Accepts no new connection. Open ones stay. */
  stopListening(): void;
  /** Closes all connections with RST. */
  reset(): void;
  /** Closes all connections. */
  disconnect(): void;
  /** Accepts no new connection, and closes all. */
  close(): Promise<void>;
}

/** Starts a proxy. When one side of a connection closes, the other one is closed. */
export async function startTcpProxy({ target, accept, pass = passAll }: TcpProxyOptions): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let port = 0;
  const track = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  };
  const listener = createServer((client) => {
    connections++;
    track(client);
    if (accept?.(client) === false) return;
    const { host = '127.0.0.1', port: targetPort } = target();
    const server = connect(targetPort, host);
    track(server);
    client.once('close', () => server.destroy());
    server.once('close', () => client.destroy());
    pass(client, server);
  });
  const listen = async () => {
    if (listener.listening) return;
    listener.listen(port, '127.0.0.1');
    await once(listener, 'listening');
    port = (listener.address() as AddressInfo).port;
  };
  await listen();
  const stopListening = () => {
    if (listener.listening) listener.close();
  };
  const disconnect = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    get port() {
      return port;
    },
    get connections() {
      return connections;
    },
    sockets,
    listen,
    stopListening,
    reset() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    disconnect,
    async close() {
      const isClosed = listener.listening ? once(listener, 'close') : undefined;
      stopListening();
      disconnect();
      await isClosed;
    },
  };
}

function passAll(client: Socket, server: Socket): void {
  client.pipe(server);
  server.pipe(client);
}
