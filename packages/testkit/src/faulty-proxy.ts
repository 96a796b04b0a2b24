import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * What becomes of one connection.
 * - a text: it is the whole answer, as bytes, to whatever is asked; then the connection closes.
 * - `reset`: RST at the first byte.
 * - `lost answer`: what the client sends reaches the server, whose answer does not come back.
 * - `through`: as if the proxy were not there.
 */
export type ProxyFault = 'reset' | 'lost answer' | 'through' | (string & {});

export interface FaultyProxy {
  readonly port: number;
  /** Of the connections to come, in this order; after them, `through`. */
  readonly faults: ProxyFault[];
  /** Connections so far. */
  readonly connections: number;
  close(): Promise<void>;
}

/** An answer as a proxy gives it while the server behind it is away. */
export function proxyAnswer(status: number, reason: string, headers: readonly string[] = []): string {
  const page = `<html>\r\n<head><title>${status} ${reason}</title></head>\r\n</html>\r\n`;
  const lines = [...headers, 'content-type: text/html', `content-length: ${page.length}`, 'connection: close'];
  return `HTTP/1.1 ${status} ${reason}\r\n${lines.join('\r\n')}\r\n\r\n${page}`;
}

/** A TCP proxy on a free loopback port that is at fault for a while. */
export async function startFaultyProxy(targetPort: number, faults: readonly ProxyFault[]): Promise<FaultyProxy> {
  const ahead = [...faults];
  const sockets = new Set<Socket>();
  let connections = 0;
  const kept = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => {});
    return socket.once('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    connections++;
    kept(client);
    const fault = ahead.shift() ?? 'through';
    if (fault === 'reset') client.once('data', () => client.resetAndDestroy());
    else if (fault === 'through' || fault === 'lost answer') {
      const upstream = kept(connect(targetPort, '127.0.0.1'));
      client.pipe(upstream);
      if (fault === 'through') upstream.pipe(client);
      else upstream.once('data', () => client.resetAndDestroy());
      client.once('close', () => upstream.destroy());
      upstream.once('close', () => client.destroy());
    } else client.once('data', () => client.end(fault));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    faults: ahead,
    get connections() {
      return connections;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
