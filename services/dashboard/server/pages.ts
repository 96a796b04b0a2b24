import { fastifyStatic } from '@fastify/static';
import type { Log } from '@tailrace/platform/log';
import { type FastifyInstance, fastify } from 'fastify';
import type { DashboardOptions } from './app.ts';
import { connectOrigins, securityHeaders } from './securityheaders.ts';

export interface PagesOptions {
  readonly config: DashboardOptions['config'];
  readonly log: Log;
  /** The built page. */
  readonly folder: string;
}

/** The page is small and asks once: whoever needs more is no browser. */
const limits = { bodyBytesMax: 1024, requestMs: 10_000, headerBytesMax: 16 * 1024, connectionsMax: 2000 } as const;

/** What the dashboard's server answers: the built page, and `GET /config.json`, which tells it where the streams are. */
export function createPages({ config, log, folder }: PagesOptions): FastifyInstance {
  const server = fastify({
    logger: false,
    bodyLimit: limits.bodyBytesMax,
    requestTimeout: limits.requestMs,
    // Idle connections of browsers would hold up the drain.
    forceCloseConnections: 'idle',
    http: { maxHeaderSize: limits.headerBytesMax },
  });
  server.server.maxConnections = limits.connectionsMax;

  server.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders(connectOrigins(config.streamUrl, request.headers.host, config.streamPort)));
  });
  server.get('/config.json', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    const { streamUrl, streamPort, publicIngestUrl: ingestUrl, ingestPort, demoToken: token } = config;
    return { streamUrl, streamPort, ingestUrl, ingestPort, token };
  });
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
    log.error({ error, url: request.url.slice(0, 200) }, 'a page could not be served');
    reply.code(500);
    return { error: { code: 'internal', message: 'internal error; see the server log' } };
  });
  return server;
}
