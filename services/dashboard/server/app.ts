import { existsSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { listenError } from '@tailrace/platform/listen-error';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { TailraceError } from '@tailrace/protocol/error';
import { createPages, type PagesConfig } from './pages.ts';

export interface DashboardOptions {
  /** As of `configSchema`. */
  readonly config: PagesConfig & { readonly host: string; readonly port: number };
  readonly logger: Logger;
  /** Of the service `dashboard`. */
  readonly metrics: Metrics;
  /** The key of the setting that holds the port, for the message where it is taken. Default: `port`. */
  readonly portSetting?: string;
  /** The built page, `builtPage` in every process. */
  readonly folder: string;
}

export interface Dashboard {
  /**
   * Resolves with the address that it listens on. Rejects with `not_found` for a page that was not built,
   * `address_in_use` and `invalid_config`.
   */
  start(): Promise<{ readonly host: string; readonly port: number }>;
  /** Accepts no new connections; resolves when responses in progress are sent. */
  drain(): Promise<void>;
  /** Closes the connections that are left. Idempotent. */
  stop(): Promise<void>;
}

/** The folder into which `npm run build` writes the page. */
export const builtPage: string = fileURLToPath(new URL('../dist', import.meta.url));

/** The dashboard's HTTP server: the built page, and `GET /config.json` with the URLs of the streams. */
export function createDashboard(options: DashboardOptions): Dashboard {
  const { config, logger, metrics, folder, portSetting = 'port' } = options;
  const server = createPages({ config, logger, metrics, folder });
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= server.close();
    return closed;
  };
  return {
    async start() {
      if (!existsSync(`${folder}/index.html`)) {
        throw new TailraceError(
          'not_found',
          'the dashboard page is not built; run: npm run build -w services/dashboard',
        );
      }
      try {
        await server.listen({ host: config.host, port: config.port });
      } catch (error) {
        throw listenError(
          { host: config.host, port: config.port, portSetting },
          (error as NodeJS.ErrnoException).code,
          error,
        );
      }
      const { port } = server.server.address() as AddressInfo;
      logger.info({ host: config.host, port }, 'the dashboard is served');
      return { host: config.host, port };
    },
    drain: close,
    async stop() {
      server.server.closeAllConnections();
      await close();
    },
  };
}
