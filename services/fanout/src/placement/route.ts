import { rightsFrom } from '@tailrace/platform/access';
import type { Log } from '@tailrace/platform/log';
import type { Claims } from '@tailrace/platform/token';
import { bearerToken, queryParam, type WebServer, watchAbort } from '@tailrace/platform/webserver';
import { TailraceError } from '@tailrace/protocol/error';
import { assertDevicePath } from '@tailrace/protocol/path';
import { answerWith } from '../endpoint.ts';
import type { EndpointMetrics } from '../endpointmetrics.ts';
import type { RingPlacement } from './placement.ts';

/** `GET /v1/route?device=…`: where a device lives, so that a client may connect there at once; this node, where clients cannot be sent there. Any node says it; any node would serve it. */
export function serveRoute(
  server: WebServer,
  parts: {
    placement: Pick<RingPlacement, 'home'>;
    verify: (token: string) => Promise<Claims>;
    log: Log;
    endpoints: EndpointMetrics;
  },
): void {
  server.app.get(
    '/v1/route',
    server.guarded((res, req) => {
      const token = bearerToken(req) ?? queryParam(req, 'token') ?? '';
      const device = queryParam(req, 'device') ?? '';
      watchAbort(res);
      void answerWith(res, parts.log, 200, parts.endpoints.begin('route'), async () =>
        routeOf(device, await parts.verify(token), parts),
      );
    }),
  );
}

/** Throws `invalid_path`, `forbidden`, and `unavailable` where the device's partition has no owner now. */
function routeOf(
  device: string,
  claims: Claims,
  { placement }: { placement: Pick<RingPlacement, 'home'> },
): { node: string; url: string } {
  assertDevicePath(device);
  if (!rightsFrom(claims.subscribe).allowsDevice(device)) {
    throw new TailraceError('forbidden', `the token does not let you see ${device}`);
  }
  const home = placement.home(device);
  if (home === undefined) throw new TailraceError('unavailable', `nobody serves ${device} at this moment; try again`);
  return home;
}
