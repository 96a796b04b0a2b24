import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

/**
 * What the proxy does with one connection.
 * - `reset`: sends RST at the first byte.
 * - `lost answer`: forwards the request, and sends RST instead of the answer.
 * - another text: sends it as the whole answer to the first bytes, then closes the connection.
 */
export type ProxyFault = 'reset' | 'lost answer' | (string & {});

export type FaultyProxy = Pick<TcpProxy, 'port' | 'connections' | 'reset' | 'close'>;

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
  let fault: ProxyFault | undefined;
  return await startTcpProxy({
    target: () => ({ port: targetPort }),
    accept(client) {
      fault = queue.shift();
      if (fault === undefined || fault === 'lost answer') return true;
      const answer = fault;
      client.once('data', () => (answer === 'reset' ? client.resetAndDestroy() : client.end(answer)));
      return false;
    },
    pass(client, server) {
      client.pipe(server);
      if (fault === undefined) server.pipe(client);
      else server.once('data', () => client.resetAndDestroy());
    },
  });
}
