import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { registerConnectionMetrics } from './connection-metrics.ts';
import { Connections } from './connections.ts';
import type { Health } from './health.ts';
import { headBytesMax } from './http-refusal.ts';
import type { Part } from './lifecycle.ts';
import { listenError } from './listen-error.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

/** The page of /metrics, by the header Accept; `Metrics` implements it. */
export interface MetricsPage {
  page(accept: string): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface InternalHttpOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly health: Health;
  readonly metrics: MetricsPage;
  readonly logger: Logger;
  /** The key of the setting of the port, for the error if it is in use. Default: `internalPort`. */
  readonly portSetting?: string;
}

export interface InternalHttp {
  readonly connections: Connections;
  /**
   * Resolves with host and port. Rejects with `address_in_use`, or with `invalid_config` for a host or port that is not
   * available.
   */
  start(): Promise<{ readonly host: string; readonly port: number }>;
  /** Closes every connection. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Probes and scrapers are few and quick. No pod can lock out a liveness probe: a new connection is always accepted, and
 * replaces one that has not sent a whole request (see `Connections`).
 */
const connectionsMax = 64;
const headMs = 2_000;
const requestMs = 5_000;
const headCheckMs = 500;

interface PageResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

type Page = (request: IncomingMessage) => PageResponse | Promise<PageResponse>;

/**
 * Creates the internal port: `/livez`, `/readyz`, `/metrics`. For probes, scrapers and operators; not for the public.
 */
export function createInternalHttp(options: InternalHttpOptions): InternalHttp {
  const pages = pagesFrom(options);
  const server = createServer(
    {
      maxHeaderSize: headBytesMax,
      requestTimeout: requestMs,
      headersTimeout: headMs,
      connectionsCheckingInterval: headCheckMs,
      keepAliveTimeout: 10_000,
    },
    (request, response) => void respond(pages, request, response, options.logger),
  );
  const connections = new Connections(server, { connectionsMax }).watchRequests(server);
  return {
    connections,
    async start() {
      await listen(server, options);
      return { host: options.host, port: (server.address() as AddressInfo).port };
    },
    async stop() {
      if (!server.listening) return;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

/**
 * Returns the internal port as a part of a service: the first to start, so that the start itself can be monitored, and
 * the last to stop. Its connections are in the metrics.
 */
export function internalPart(options: InternalHttpOptions & { readonly metrics: Metrics }): Part {
  const internal = createInternalHttp(options);
  registerConnectionMetrics(options.metrics, () => internal.connections, 'internal');
  return {
    name: 'internal port',
    start: async () => options.logger.info(await internal.start(), 'the internal port listens'),
    stop: async () => {
      options.health.stop();
      await internal.stop();
    },
  };
}

function listen(server: Server, options: InternalHttpOptions): Promise<void> {
  const { host, port, portSetting = 'internalPort' } = options;
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) =>
      reject(listenError({ host, port, portSetting }, error.code, error));
    server.once('error', onError);
    server.listen(port, host, () => {
      server.off('error', onError);
      server.on('error', (error) => options.logger.warn({ error }, 'the internal port has an error'));
      resolve();
    });
  });
}

function pagesFrom({ health, metrics }: InternalHttpOptions): ReadonlyMap<string, Page> {
  return new Map<string, Page>([
    ['/livez', () => json(health.live().alive ? 200 : 503, health.live())],
    [
      '/readyz',
      () => {
        const readiness = health.ready();
        return json(readiness.ready ? 200 : 503, readiness);
      },
    ],
    [
      '/metrics',
      async (request) => {
        const { contentType, text } = await metrics.page(request.headers.accept ?? '');
        return { status: 200, contentType, body: text };
      },
    ],
  ]);
}

function json(status: number, content: object): PageResponse {
  return { status, contentType: 'application/json', body: `${JSON.stringify(content)}\n` };
}

async function respond(
  pages: ReadonlyMap<string, Page>,
  request: IncomingMessage,
  response: ServerResponse,
  logger: Logger,
): Promise<void> {
  let { status, contentType, body } = plain(500, 'internal error; see the log');
  try {
    ({ status, contentType, body } = await responseFrom(pages, request));
  } catch (error) {
    logger.error({ error, url: request.url?.slice(0, 200) }, 'the internal port could not answer');
  }
  const headers = {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
  };
  response.writeHead(status, status === 405 ? { ...headers, Allow: 'GET, HEAD' } : headers);
  response.end(request.method === 'HEAD' ? undefined : body);
}

function responseFrom(
  pages: ReadonlyMap<string, Page>,
  request: IncomingMessage,
): PageResponse | Promise<PageResponse> {
  const page = pages.get(request.url?.split('?', 1)[0] ?? '');
  if (!page) return plain(404, `no such page; expected one of ${[...pages.keys()].join(', ')}`);
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, 'expected GET or HEAD');
  return page(request);
}

function plain(status: number, message: string): PageResponse {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${message}\n` };
}
