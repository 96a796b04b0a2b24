import type { Clock } from '@tailrace/platform/clock';
import { HttpServer, type HttpServerOptions } from '@tailrace/platform/http-server';
import type { Logger } from '@tailrace/platform/logger';
import type { ServerTlsReader } from '@tailrace/platform/server-tls-reader';
import { type IngestSettings, tlsReaderFrom } from './config.ts';
import { WsSockets } from './devices/ws-sockets.ts';
import type { Transport, TransportHandlers } from './transport.ts';

export interface HttpTransportOptions {
  readonly config: IngestSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The setting that has the port, for the error if it is in use. Default: `port`. */
  readonly portSetting?: string;
  /** Of the files of the port with TLS. Default: one for this port. */
  readonly tlsReader?: ServerTlsReader | undefined;
}

/** Creates the transport with sockets and the limits of the settings. Throws `invalid_config`. */
export function createHttpTransport(options: HttpTransportOptions): Transport {
  const { config, clock, logger, portSetting = 'port' } = options;
  const { tlsReader = tlsReaderFrom(config) } = options;
  return new HttpTransport({
    host: config.host,
    port: config.port,
    portSetting,
    clock,
    logger,
    bodyMs: config.bodyDeadlineMs,
    unfinishedBytesMax: config.unfinishedBytesMax,
    keepAliveMs: config.keepAliveMs,
    connectionsMax: config.connectionsMax,
    addressConnectionsMax: config.addressConnectionsMax,
    trustedProxies: config.trustedProxies,
    clientCertificateHeader: config.clientCertificateHeader,
    ...(tlsReader && { tls: { port: config.tlsPort, reader: tlsReader } }),
  });
}

/** The HTTP server with the WebSockets of devices on the same port. */
class HttpTransport extends HttpServer implements Transport {
  readonly #sockets: WsSockets;

  constructor(options: HttpServerOptions) {
    super(options);
    this.#sockets = new WsSockets(this.connections, options.logger);
  }

  override listen(handlers: TransportHandlers): Promise<number> {
    return super.listen(handlers, (head) => {
      const decision = handlers.upgrade?.(head);
      if (decision === undefined || !('open' in decision)) return decision;
      const { address } = head;
      return (request, connection, bytes) => this.#sockets.open(request, connection, bytes, address, decision);
    });
  }
}
