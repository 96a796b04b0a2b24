import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * What the proxy does with one connection.
 * - `reset`: sends RST at the first byte.
 * - `lost answer`: forwards the request, and sends RST instead of the answer.
 * - another text: sends it as the whole answer to the first bytes, then closes the connection.
 */
export type ProxyFault = 'reset' | 'lost answer' | (string & {});

export interface FaultyProxy {
  readonly port: number;
  /** Connections accepted so far. */
  readonly connections: number;
  /** Resets all open connections. New ones are accepted. */
  reset(): void;
  close(): Promise<void>;
}

/** Returns the answer of a proxy that cannot reach its server. */
export function proxyAnswer(status: number, reason: string, headers: readonly string[] = []): string {
  const page = `<html>\r\n<head><title>${status} ${reason}</title></head>\r\n</html>\r\n`;
  const lines = [...headers, 'content-type: text/html', `content-length: ${page.length}`, 'connection: close'];
  return `HTTP/1.1 ${status} ${reason}\r\n${lines.join('\r\n')}\r\n\r\n${page}`;
}

/**
 * Starts a TCP proxy on a free loopback port. The first connections have these faults, one each; later ones are
 * forwarded.
 */
export async function startFaultyProxy(targetPort: number, faults: readonly ProxyFault[]): Promise<FaultyProxy> {
  const queue = [...faults];
  const sockets = new Set<Socket>();
  let connections = 0;
  const track = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => {});
    return socket.once('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    connections++;
    track(client);
    const fault = queue.shift();
    if (fault === 'reset') client.once('data', () => client.resetAndDestroy());
    else if (fault === undefined || fault === 'lost answer') {
      const upstream = track(connect(targetPort, '127.0.0.1'));
      client.pipe(upstream);
      if (fault === undefined) upstream.pipe(client);
      else upstream.once('data', () => client.resetAndDestroy());
      client.once('close', () => upstream.destroy());
      upstream.once('close', () => client.destroy());
    } else client.once('data', () => client.end(fault));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    reset() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
