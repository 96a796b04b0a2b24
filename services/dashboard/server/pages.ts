import type { Socket } from 'node:net';
import { fastifyStatic } from '@fastify/static';
import { registerConnectionMetrics } from '@tailrace/platform/connection-metrics';
import { Connections } from '@tailrace/platform/connections';
import { headBytesMax, isEndOfClient, rawAnswer, refusalOf } from '@tailrace/platform/http-refusal';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import { connectOrigins, controlOrigins, securityHeaders } from './security-headers.ts';

/** Settings of the page, as of `configSchema`. */
export interface PagesConfig {
  /** Of each node, separated by commas; empty: `streamPort` of the host in the address bar. */
  readonly streamUrl: string;
  readonly publicIngestUrl: string;
  /** Of the API of control; empty: `controlPort` of the host in the address bar, none without it. */
  readonly controlUrl: string;
  readonly demoToken: string;
  /** Ports where the page finds streams and ingest if their URLs are empty. Default: 8081 and 8082. */
  readonly streamPort?: number;
  readonly ingestPort?: number;
  /** Port where the page finds control if its URL is empty. Default: none. */
  readonly controlPort?: number;
}

export interface PagesOptions {
  readonly config: PagesConfig;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** The built page. */
  readonly folder: string;
}

/**
 * The page is small and its requests are few. A new connection is always accepted: at the limit it replaces one that
 * has not sent a whole request (see `Connections`). `keepAliveMs` is above the 60 s after which load balancers close
 * their idle connections. A browser has 6 connections at most, for a moment; each close of a connection delays the
 * streams of the same process by some 30 µs.
 */
const limits = {
  bodyBytesMax: 1024,
  headMs: 5_000,
  requestMs: 10_000,
  headCheckMs: 500,
  keepAliveMs: 75_000,
  connectionsMax: 500,
} as const;

/** Serves the built page, `GET /config.json`, which names the URLs of streams and ingest, and health checks. */
export function createPages({ config, logger, metrics, folder }: PagesOptions): FastifyInstance {
  const server = fastify({
    logger: false,
    bodyLimit: limits.bodyBytesMax,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    // Idle connections of browsers would hold up the drain.
    forceCloseConnections: 'idle',
    http: {
      maxHeaderSize: headBytesMax,
      headersTimeout: limits.headMs,
      connectionsCheckingInterval: limits.headCheckMs,
    },
    clientErrorHandler: answerClientError,
  });
  const connections = new Connections(server.server, { connectionsMax: limits.connectionsMax });
  connections.watchRequests(server.server);
  registerConnectionMetrics(metrics, () => connections);

  server.addHook('onRequest', async (request, reply) => {
    const { host } = request.headers;
    const streams = connectOrigins(config.streamUrl, host, config.streamPort);
    reply.headers(securityHeaders([...streams, ...controlOrigins(config.controlUrl, host, config.controlPort)]));
  });
  server.get('/config.json', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    const { streamUrl, streamPort, publicIngestUrl: ingestUrl, ingestPort, demoToken: token } = config;
    const { controlUrl, controlPort } = config;
    return { streamUrl, streamPort, ingestUrl, ingestPort, controlUrl, controlPort, token };
  });
  // For load balancers. While the server drains, Fastify answers 503 to every request.
  const answerHealthCheck = async (_request: unknown, reply: FastifyReply) => {
    reply.header('cache-control', 'no-store');
    return { status: 'ok' };
  };
  server.get('/healthz', answerHealthCheck);
  // HAProxy's default check.
  for (const url of ['/', '/healthz', '*']) server.options(url, answerHealthCheck);
  server.register(fastifyStatic, {
    root: folder,
    index: 'index.html',
    cacheControl: false,
    setHeaders(reply, path) {
      // What has its content's hash in its name never changes; the rest is asked for again, by its ETag.
      reply.header('cache-control', path.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  });
  server.setNotFoundHandler(async (_request, reply) => {
    reply.code(404);
    return { error: { code: 'not_found', message: 'there is no such page; the dashboard is at /' } };
  });
  server.setErrorHandler(async (error: { statusCode?: number; message: string }, request, reply) => {
    const status = error.statusCode ?? 500;
    if (status < 500) {
      reply.code(status);
      return { error: { code: 'invalid_message', message: error.message } };
    }
    logger.error({ error, url: request.url.slice(0, 200) }, 'a page could not be served');
    reply.code(500);
    return { error: { code: 'internal', message: 'internal error; see the server log' } };
  });
  return server;
}

/** Answers bytes that are no HTTP request with an error in JSON, and closes the connection. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || isEndOfClient(error) || !socket.writable) socket.destroy();
  else socket.end(rawAnswer(...refusalOf(error)));
}
