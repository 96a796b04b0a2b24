import type { AddressInfo, Socket } from 'node:net';
import { fastifySwagger } from '@fastify/swagger';
import { bearerToken } from '@tailrace/platform/bearer-token';
import { clientAddress, proxiesFrom } from '@tailrace/platform/client-address';
import { registerConnectionMetrics } from '@tailrace/platform/connection-metrics';
import { Connections } from '@tailrace/platform/connections';
import { corsFrom } from '@tailrace/platform/cors';
import type { Presented } from '@tailrace/platform/credentials';
import { headBytesMax, isEndOfClient, rawAnswer, refusalOf } from '@tailrace/platform/http-refusal';
import { listenError } from '@tailrace/platform/listen-error';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import type { Claims } from '@tailrace/platform/token-claims';
import { parseTraceparent } from '@tailrace/platform/traceparent';
import { noSpan, type Span } from '@tailrace/platform/tracing';
import { version } from '@tailrace/platform/version';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { type FastifyRequest, fastify } from 'fastify';
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import type { ControlTracing } from '../control-tracing.ts';
import { type Requester, requesterFromClaims } from '../requester.ts';
import { errorAnswer, refusalFrom } from './api-error.ts';
import type { Api } from './api-type.ts';
import { registerDocsPage } from './docs-page.ts';
import { noQuerySchema, requestValidator } from './request-schema.ts';

export type { Api } from './api-type.ts';

export interface ApiSettings {
  readonly host: string;
  readonly port: number;
  readonly trustedProxies: readonly string[];
  readonly bodyBytesMax: number;
  readonly connectionsMax: number;
  /** Web pages whose scripts may send requests; none: all. */
  readonly origins: readonly string[];
}

/** A request with another method than GET. */
export interface ChangingRequest {
  readonly method: string;
  /** Without `/v1/` and its query. */
  readonly path: string;
}

export interface ApiOptions {
  readonly settings: ApiSettings;
  /** Verifies what a client presents, as `CredentialVerifier` does. */
  readonly credentials: {
    cached(presented: Presented): Claims | undefined;
    verify(presented: Presented): Promise<Claims>;
  };
  /** Adds the routes of all parts, each with `api.route({ …, schema })` or its short forms. */
  readonly routes: (api: Api) => void;
  /**
   * Called with the refusal of a request that would change something, before its answer. Resolves when it is in the
   * audit; rejects with the error to answer instead.
   */
  readonly onRefused: (requester: Requester, request: ChangingRequest, error: TailraceError) => Promise<void>;
  readonly tracing: Pick<ControlTracing, 'request'>;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Objects and lists within each other in a body. A rule has at most eight, a scene 20. */
const bodyDepthMax = 64;
/** Of a part of a path, as it is sent: a device path has up to 200. The default of Fastify is 100. */
const paramCharactersMax = 300;
/** Of the path of a refused request, in the audit. */
const pathCharactersMax = 300;
const timeouts = { headMs: 5_000, requestMs: 30_000, headCheckMs: 500, keepAliveMs: 75_000 } as const;
/** What pages may send. */
const corsRequests = {
  methods: 'GET, POST, PUT, PATCH, DELETE',
  headers: 'Authorization, Content-Type, Traceparent',
} as const;
const results = ['ok', 'refused', 'failed'] as const;

/**
 * Creates the HTTP server of control, with everything that its routes share: tokens, limits, errors in the form of the
 * project, metrics, the OpenAPI document `GET /v1/openapi.json`, and its page `GET /v1/docs`.
 */
export async function createApi(options: ApiOptions): Promise<Api> {
  const { settings, credentials, routes, onRefused, tracing, logger, metrics } = options;
  const trusted = proxiesFrom(settings.trustedProxies);
  const api: Api = fastify({
    logger: false,
    bodyLimit: settings.bodyBytesMax,
    requestTimeout: timeouts.requestMs,
    keepAliveTimeout: timeouts.keepAliveMs,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: paramCharactersMax },
    http: {
      maxHeaderSize: headBytesMax,
      headersTimeout: timeouts.headMs,
      connectionsCheckingInterval: timeouts.headCheckMs,
    },
    clientErrorHandler: answerClientError,
  }).withTypeProvider<ZodTypeProvider>();
  api.setValidatorCompiler(requestValidator);
  api.setSerializerCompiler(serializerCompiler);
  const connections = new Connections(api.server, { connectionsMax: settings.connectionsMax, trustedProxies: trusted });
  connections.watchRequests(api.server);
  registerConnectionMetrics(metrics, () => connections);
  const requests = metrics.counters('tailrace_control_requests_total', 'Requests over HTTP, by their result.', {
    values: { result: results },
  });

  // Browsers do not add the token themselves, as they do with cookies. So pages of any origin may be allowed.
  const cors = corsFrom(settings.origins.length === 0 ? ['*'] : settings.origins, corsRequests);
  const spans = new WeakMap<FastifyRequest, Span>();
  api.decorateRequest('requester', null as unknown as Requester);
  api.addHook('onRequest', async (request, reply) => {
    reply.headers({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
    const { answer, preflight } = cors(request.headers.origin ?? '');
    reply.headers(Object.fromEntries(answer));
    if (request.method === 'OPTIONS') return reply.code(204).headers(Object.fromEntries(preflight)).send();
    // An unknown path is answered without a token, as it names nothing.
    if (request.is404 || request.routeOptions.config.isPublic) return;
    const token = bearerToken(request.headers.authorization ?? '');
    if (token === undefined)
      throw new TailraceError('unauthorized', 'expected the header Authorization: Bearer <token>, got none');
    const presented = { token };
    const claims = credentials.cached(presented) ?? (await credentials.verify(presented));
    const forwarded = request.headers['x-forwarded-for'];
    const address = clientAddress(request.socket.remoteAddress ?? '', String(forwarded ?? ''), trusted);
    const header = String(request.headers['traceparent'] ?? '');
    const traceparent = parseTraceparent(header) ? header : '';
    const span = tracing.request(request.method, request.routeOptions.url ?? '', traceparent);
    if (span !== noSpan) spans.set(request, span);
    request.requester = requesterFromClaims(claims, address, span.traceparent || traceparent);
  });
  // Schemas of nested values are recursive: a body of 30,000 lists within each other would exhaust the stack.
  api.addHook('preValidation', async ({ body }) => {
    if (isDeeper(body, bodyDepthMax))
      throw new TailraceError(
        'invalid_message',
        `body: expected values at most ${bodyDepthMax} deep, got a deeper one`,
      );
  });
  api.addHook('onResponse', async (request, reply) => {
    const { statusCode } = reply;
    const span = spans.get(request);
    span?.set('http.response.status_code', statusCode);
    span?.end();
    requests.with({ result: statusCode < 400 ? 'ok' : statusCode < 500 ? 'refused' : 'failed' }).add();
  });
  api.setNotFoundHandler(async (request) => {
    const expected = 'expected a method and path that exist, as GET /v1/openapi.json has them';
    throw new TailraceError('not_found', `${expected}, got ${shown(`${request.method} ${request.url}`)}`);
  });
  api.setErrorHandler(async (thrown, request, reply) => {
    const { consumes: contentTypes = ['application/json'] } = request.routeOptions.schema ?? {};
    const contentType = String(request.headers['content-type'] ?? '').split(';')[0]!;
    let { error, status } = refusalFrom(thrown, { contentType, contentTypes });
    const { method, requester } = request;
    if (requester !== null && method !== 'GET' && method !== 'HEAD') {
      const path = request.url.replace(/^\/v1\/|\?.*$/g, '').slice(0, pathCharactersMax);
      await onRefused(requester, { method, path }, error).catch((failure: unknown) => {
        ({ error, status } = refusalFrom(failure, { contentType, contentTypes }));
      });
    }
    // Errors of the sender are not recorded.
    if (status >= 500) spans.get(request)?.fail(thrown);
    if (error.code === 'internal')
      logger.error({ error: thrown, method: request.method, path: request.routeOptions.url }, 'a request has failed');
    if (status === 401) reply.header('www-authenticate', 'Bearer');
    if (error.retryable) reply.header('retry-after', '1');
    return reply.code(status).serializer(JSON.stringify).type('application/json').send(errorAnswer(error));
  });

  takeJson(api);
  // Before the document is made: each route refuses what has no effect.
  api.addHook('onRoute', (route) => {
    const { schema } = route;
    if (schema !== undefined && schema.hide !== true) schema.querystring ??= noQuerySchema(schema.body);
  });
  await api.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Tailrace control',
        version,
        description: 'Commands, leases, rules, alarms, scenes, schedules, registry and audit of one installation.',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  await api.register(async (scope) => {
    routes(scope as Api);
    scope.get('/v1/openapi.json', { schema: { hide: true }, config: { isPublic: true } }, async () => api.swagger());
    await registerDocsPage(scope as Api);
  });
  return api;
}

/** Takes bodies in JSON alone. No body is an empty object, so that a request without options needs none. */
function takeJson(api: Api): void {
  const parse = api.getDefaultJsonParser('error', 'error');
  api.removeAllContentTypeParsers();
  api.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else
      parse(request, body, (error, value) => {
        const expected = `body: expected JSON, got ${shown(body)}`;
        done(error && new TailraceError('invalid_message', expected, { cause: error }), value);
      });
  });
  api.addHook('preValidation', async (request) => {
    if (request.routeOptions.schema?.body !== undefined) request.body ??= {};
  });
}

/**
 * Listens for requests. Resolves with the port. Rejects with `address_in_use` and `invalid_config`. `portSetting`: the
 * key of the setting that has the port.
 */
export async function listen(api: Api, { host, port }: ApiSettings, portSetting: string): Promise<number> {
  try {
    await api.listen({ host, port });
  } catch (error) {
    throw listenError({ host, port, portSetting }, (error as NodeJS.ErrnoException).code, error);
  }
  return (api.server.address() as AddressInfo).port;
}

/** Answers bytes that are no HTTP request with an error in JSON, and closes the connection. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || isEndOfClient(error) || !socket.writable) socket.destroy();
  else socket.end(rawAnswer(...refusalOf(error)));
}

/** Returns whether objects and lists are within each other more than `depthMax` times. */
function isDeeper(body: unknown, depthMax: number): boolean {
  let level = [body];
  for (let depth = 0; level.length > 0; depth++) {
    level = level.flatMap((value) => (isContainer(value) ? Object.values(value) : [])).filter(isContainer);
    if (depth >= depthMax) return level.length > 0;
  }
  return false;
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !ArrayBuffer.isView(value);
}
