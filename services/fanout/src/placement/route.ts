import { rightsFrom } from '@tailrace/platform/access';
import { bearerToken } from '@tailrace/platform/bearer-token';
import type { Logger } from '@tailrace/platform/logger';
import type { Claims } from '@tailrace/platform/token';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { assertDevicePath } from '@tailrace/protocol/path';
import { answerOf } from '../endpoint.ts';
import type { EndpointMetrics } from '../endpoint-metrics.ts';
import { queryParameter, type Route } from '../transport.ts';
import type { RingPlacement } from './placement.ts';

/**
 * `GET /v1/route?device=…`: the node that owns a device, so that a client can connect there at once; this node, if the
 * owner takes no clients. Any node answers the request, and any node serves the device.
 */
export function deviceRoute(options: {
  placement: Pick<RingPlacement, 'home'>;
  verify: (token: string) => Promise<Claims>;
  logger: Logger;
  endpoints: EndpointMetrics;
}): Route {
  const { placement, verify, logger, endpoints } = options;
  return {
    method: 'GET',
    path: '/v1/route',
    answer(request) {
      const token = bearerToken(request.header('authorization')) ?? queryParameter(request, 'token') ?? '';
      const device = queryParameter(request, 'device') ?? '';
      return answerOf(logger, 200, endpoints.start('route'), async () =>
        homeOf(device, await verify(token), placement),
      );
    },
  };
}

/** Throws `invalid_path`, `forbidden`, and `unavailable` if the device's partition has no owner now. */
function homeOf(device: string, claims: Claims, placement: Pick<RingPlacement, 'home'>): { node: string; url: string } {
  assertDevicePath(device);
  if (!rightsFrom(claims.subscribe).allowsDevice(device)) {
    throw new TailraceError('forbidden', `device: expected one that the token covers, got ${shown(device)}`);
  }
  const home = placement.home(device);
  if (home === undefined) throw new TailraceError('unavailable', `no node serves ${device} now; try again`);
  return home;
}
