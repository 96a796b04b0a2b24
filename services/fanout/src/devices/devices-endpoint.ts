import { bearerToken } from '@tailrace/platform/bearer-token';
import { corsFrom } from '@tailrace/platform/cors';
import type { Logger } from '@tailrace/platform/logger';
import type { Claims } from '@tailrace/platform/token';
import { identityOf } from '@tailrace/platform/token-identity';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { assertDevicePath } from '@tailrace/protocol/path';
import { grantFrom } from '../access/grant.ts';
import { type Coroutine, runCoroutine } from '../catch-up/coroutine.ts';
import type { WorkQueue, WorkScheduler } from '../catch-up/work-scheduler.ts';
import { answerOf } from '../endpoint.ts';
import type { EndpointMetrics } from '../endpoint-metrics.ts';
import type { Route } from '../transport.ts';
import type { DeviceDirectory, DeviceListing } from './device-directory.ts';
import { devicesPerPageMax } from './device-list-message.ts';
import type { DeviceQuery } from './device-page.ts';

export interface DevicesEndpointOptions {
  readonly directory: Pick<DeviceDirectory, 'list'>;
  readonly verify: (token: string) => Promise<Claims>;
  /** The work of a request is charged to the user of its token. */
  readonly work: Pick<WorkScheduler, 'queue'>;
  /** Web pages whose scripts may send requests; none: all. */
  readonly origins: readonly string[];
  readonly logger: Logger;
  readonly endpoints: EndpointMetrics;
}

const limitDefault = 100;

/** `GET /v1/devices`: the list of devices of all nodes, page by page. */
export function deviceListRoutes(options: DevicesEndpointOptions): readonly Route[] {
  const { directory, verify, work, origins, logger, endpoints } = options;
  // Browsers do not add the token themselves, as they do with cookies. So pages of any origin may be allowed.
  const cors = corsFrom(origins.length === 0 ? ['*'] : origins, { methods: 'GET', headers: 'Authorization' });
  const list: Route = {
    method: 'GET',
    path: '/v1/devices',
    answer(request) {
      const query = new URLSearchParams(request.query);
      const token = bearerToken(request.header('authorization')) ?? query.get('token') ?? '';
      const params = {
        channel: query.get('channel') ?? undefined,
        after: query.get('after') ?? undefined,
        limit: query.get('limit') ?? undefined,
      };
      const headers = [['cache-control', 'no-store'] as const, ...cors(request.header('origin')).answer];
      const body = async () => {
        const claims = await verify(token);
        const requested = deviceQueryFrom(params, claims);
        const queue = work.queue(identityOf(claims), 'client');
        try {
          return await runCoroutine(queue, bodySteps(directory, queue, requested), () => !request.isAborted);
        } finally {
          queue.close();
        }
      };
      return answerOf(logger, 200, endpoints.start('devices'), body, headers);
    },
  };
  const preflight: Route = {
    method: 'OPTIONS',
    path: '/v1/devices',
    answer(request) {
      const { answer, preflight } = cors(request.header('origin'));
      return { status: 204, headers: [...answer, ...preflight], body: '' };
    },
  };
  return [list, preflight];
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
  const error = channel === undefined ? undefined : grantFrom(claims).channelError(channel);
  if (error !== undefined) throw error;
  const patterns = channel === undefined ? disjointPatterns(claims.subscribe) : [channel];
  if (patterns.length === 0) {
    throw new TailraceError('forbidden', 'token: expected patterns in its claim subscribe, got none');
  }
  // Counts visit every partition, and are the same for each page.
  return { patterns, after, limit: Number(limit), counts: after === '' };
}

/**
 * Returns the patterns that no other pattern covers: they cover the same devices, each once. Costs one look-up for each
 * segment, because clients request lists often.
 */
export function disjointPatterns(patterns: readonly string[]): string[] {
  const different = new Set(patterns);
  if (different.has('>')) return ['>'];
  return [...different].filter((pattern) => !liesInOther(pattern, different));
}

/** Whether another one of the patterns covers this one. None of them is `>`. */
function liesInOther(pattern: string, patterns: ReadonlySet<string>): boolean {
  for (let end = pattern.indexOf('.'); end !== -1; end = pattern.indexOf('.', end + 1)) {
    const outer = `${pattern.slice(0, end + 1)}>`;
    if (outer !== pattern && patterns.has(outer)) return true;
  }
  return false;
}

/** Lists the devices and encodes the body. */
function* bodySteps(
  directory: DevicesEndpointOptions['directory'],
  queue: WorkQueue,
  query: DeviceQuery,
): Coroutine<string> {
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
