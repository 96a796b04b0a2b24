import type { Clock } from '@tailrace/platform/clock';
import { HttpServer } from '@tailrace/platform/http-server';
import type { Logger } from '@tailrace/platform/logger';
import type { IngestSettings } from './config.ts';
import type { Transport } from './transport.ts';

export interface HttpTransportOptions {
  readonly config: IngestSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The key of the setting that holds the port, for the message where it is taken. Default: `port`. */
  readonly portSetting?: string;
}

/** Returns the transport with sockets, as the settings bound it. Throws `invalid_config`. */
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
