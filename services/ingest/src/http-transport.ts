import type { Clock } from '@tailrace/platform/clock';
import { HttpServer } from '@tailrace/platform/http-server';
import type { Logger } from '@tailrace/platform/logger';
import type { IngestSettings } from './config.ts';
import type { Transport } from './transport.ts';

export interface HttpTransportOptions {
  readonly config: IngestSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The setting that has the port, for the error if it is in use. Default: `port`. */
  readonly portSetting?: string;
}

/** Creates the transport with sockets and the limits of the settings. Throws `invalid_config`. */
export function createHttpTransport({ config, clock, logger, portSetting = 'port' }: HttpTransportOptions): Transport {
  return new HttpServer({
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
  });
}
