import { corsFrom } from '@tailrace/platform/cors';
import type { Log } from '@tailrace/platform/log';
import type { Claims } from '@tailrace/platform/token';
import { identityOf } from '@tailrace/platform/token-identity';
import {
  bearerToken,
  type HttpRequest,
  type HttpResponse,
  queryParam,
  respond,
  type WebServer,
  watchAbort,
} from '@tailrace/platform/webserver';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { assertDevicePath } from '@tailrace/protocol/path';
import { grantFrom } from '../access/grant.ts';
import { drive, type Steps } from '../catchup/steps.ts';
import type { WorkQueue, WorkScheduler } from '../catchup/work-scheduler.ts';
import { answerWith } from '../endpoint.ts';
import type { EndpointMetrics } from '../endpointmetrics.ts';
import type { DeviceDirectory, DeviceListing } from './device-directory.ts';
import { devicesPerPageMax } from './device-list-message.ts';
import type { DeviceQuery } from './device-page.ts';

export interface DevicesEndpointParts {
  readonly directory: Pick<DeviceDirectory, 'list'>;
  readonly verify: (token: string) => Promise<Claims>;
  /** The work of a request is charged to the user of its token. */
  readonly work: Pick<WorkScheduler, 'queue'>;
  /** Web pages whose scripts may send requests; none: all. */
  readonly origins: readonly string[];
  readonly log: Log;
  readonly endpoints: EndpointMetrics;
}

const limitDefault = 100;

/** Serves `GET /v1/devices`: the list of devices of all nodes, page by page. */
export function serveDevices(server: WebServer, parts: DevicesEndpointParts): void {
  const { directory, verify, work, origins, log, endpoints } = parts;
  // No browser adds the token by itself, as it does with cookies, so pages of any origin may be allowed.
  const cors = corsFrom(origins.length === 0 ? ['*'] : origins, { methods: 'GET', headers: 'Authorization' });
  server.app.get(
    '/v1/devices',
    server.guarded((res: HttpResponse, req: HttpRequest) => {
      const token = bearerToken(req) ?? queryParam(req, 'token') ?? '';
      const params = {
        channel: queryParam(req, 'channel'),
        after: queryParam(req, 'after'),
        limit: queryParam(req, 'limit'),
      };
      const headers = [['cache-control', 'no-store'] as const, ...cors(req.getHeader('origin')).answer];
      let isAborted = false;
      watchAbort(res, () => {
        isAborted = true;
      });
      void answerWith(
        res,
        log,
        200,
        endpoints.begin('devices'),
        async () => {
          const claims = await verify(token);
          const query = deviceQueryFrom(params, claims);
          const queue = work.queue(identityOf(claims), 'client');
          try {
            return await drive(queue, bodySteps(directory, queue, query), () => !isAborted);
          } finally {
            queue.close();
          }
        },
        headers,
      );
    }),
  );
  server.app.options(
    '/v1/devices',
    server.guarded((res: HttpResponse, req: HttpRequest) => {
      const { answer, preflight } = cors(req.getHeader('origin'));
      respond(res, 204, [...answer, ...preflight]);
    }),
  );
}

/** Throws `invalid_pattern`, `invalid_path`, `invalid_message` and `forbidden`. */
export function deviceQueryFrom(
  params: {
    readonly channel?: string | undefined;
    readonly after?: string | undefined;
    readonly limit?: string | undefined;
  },
  claims: Pick<Claims, 'subscribe' | 'expiresAt'>,
): DeviceQuery {
  const { channel, after = '', limit = String(limitDefault) } = params;
  if (after !== '') assertDevicePath(after);
  if (!/^\d{1,4}$/.test(limit) || Number(limit) > devicesPerPageMax) {
    throw new TailraceError('invalid_message', `limit: expected 0 to ${devicesPerPageMax}, got ${shown(limit)}`);
  }
  const fault = channel === undefined ? undefined : grantFrom(claims).faultOf(channel);
  if (fault !== undefined) throw fault;
  const patterns = channel === undefined ? disjointPatterns(claims.subscribe) : [channel];
  if (patterns.length === 0) throw new TailraceError('forbidden', 'the token does not let you see any device');
  // Counts cost a look at every partition, and are the same with each page.
  return { patterns, after, limit: Number(limit), counts: after === '' };
}

/**
 * Returns the patterns that lie in no other one: they cover the same devices, each once. Costs a look-up for each
 * segment: a client requests lists as often as it likes.
 */
export function disjointPatterns(patterns: readonly string[]): string[] {
  const different = new Set(patterns);
  if (different.has('>')) return ['>'];
  return [...different].filter((pattern) => !liesInOther(pattern, different));
}

/** Whether one of the patterns that is not this one covers it. None of them is `>`. */
function liesInOther(pattern: string, patterns: ReadonlySet<string>): boolean {
  for (let end = pattern.indexOf('.'); end !== -1; end = pattern.indexOf('.', end + 1)) {
    const outer = `${pattern.slice(0, end + 1)}>`;
    if (outer !== pattern && patterns.has(outer)) return true;
  }
  return false;
}

/** Lists the devices and makes the body, which is work, too. */
function* bodySteps(directory: DevicesEndpointParts['directory'], queue: WorkQueue, query: DeviceQuery): Steps<string> {
  const listing = yield* directory.list(queue, query);
  yield undefined;
  return JSON.stringify(bodyOf(listing, query));
}

function bodyOf({ devices, count, notOnline, next, missing }: DeviceListing, { counts }: DeviceQuery): object {
  return {
    devices: devices.map(({ path, state, receivedMs }) =>
      receivedMs === 0 ? { device: path, state } : { device: path, state, received: receivedMs },
    ),
    next,
    ...(counts ? { count, notOnline } : {}),
    ...(missing.length === 0 ? {} : { missing }),
  };
}
