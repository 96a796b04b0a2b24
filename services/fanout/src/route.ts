import { rightsFrom } from '@tailrace/platform/access';
import type { Log } from '@tailrace/platform/log';
import type { Claims } from '@tailrace/platform/token';
import {
  bearerToken,
  type HttpResponse,
  queryParam,
  respond,
  type WebServer,
  watchAbort,
} from '@tailrace/platform/webserver';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { partitionOf } from '@tailrace/protocol/partition';
import { assertDevicePath } from '@tailrace/protocol/path';
import type { Ring } from './ring.ts';

const json = ['content-type', 'application/json'] as const;

const statuses: Readonly<Record<string, number>> = {
  invalid_path: 400,
  unauthorized: 401,
  forbidden: 403,
  unavailable: 503,
};

/** `GET /v1/route?device=…`: where a device lives, so that a client may connect there at once. Any node says it; any node would serve it. */
export function serveRoute(
  server: WebServer,
  parts: { ring: Pick<Ring, 'owner'>; partitions: number; verify: (token: string) => Promise<Claims>; log: Log },
): void {
  server.app.get(
    '/v1/route',
    server.guarded((res, req) => {
      const token = bearerToken(req) ?? queryParam(req, 'token') ?? '';
      const device = queryParam(req, 'device') ?? '';
      watchAbort(res);
      parts
        .verify(token)
        .then((claims) => respond(res, 200, [json], JSON.stringify(routeOf(device, claims, parts))))
        .catch((thrown: unknown) => {
          const error = tailraceErrorFrom(thrown);
          if (error.code === 'internal') parts.log.error({ error: thrown }, 'a route could not be told');
          refuse(res, error);
        });
    }),
  );
}

/** Throws `invalid_path`, `forbidden`, and `unavailable` where the device's partition has no owner now. */
function routeOf(
  device: string,
  claims: Claims,
  { ring, partitions }: { ring: Pick<Ring, 'owner'>; partitions: number },
): { node: string; url: string } {
  assertDevicePath(device);
  if (!rightsFrom(claims.subscribe).allowsDevice(device)) {
    throw new TailraceError('forbidden', `the token does not let you see ${device}`);
  }
  const owner = ring.owner(partitionOf(device, partitions));
  if (owner === undefined) throw new TailraceError('unavailable', `nobody serves ${device} at this moment; try again`);
  return { node: owner.node, url: owner.url };
}

function refuse(res: HttpResponse, error: TailraceError): void {
  const { code, message } = error;
  const retryAfter = error.retryable ? [['retry-after', '1'] as const] : [];
  respond(res, statuses[code] ?? 500, [json, ...retryAfter], JSON.stringify({ error: { code, message } }));
}
