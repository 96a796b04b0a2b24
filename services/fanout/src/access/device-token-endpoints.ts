import { bearerToken } from '@tailrace/platform/bearer-token';
import type { Logger } from '@tailrace/platform/logger';
import type { Claims } from '@tailrace/platform/token';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { assertPattern } from '@tailrace/protocol/pattern';
import { answerOf } from '../endpoint.ts';
import type { EndpointMetrics } from '../endpoint-metrics.ts';
import { type HttpRequest, queryParameter, type Route } from '../transport.ts';
import type { DeviceTokens, TokenRequest } from './device-tokens.ts';
import { assertFields, type Body, bodyBytesMax, bodyFrom, operatorOf, textOf, timeOf } from './operator-request.ts';

export interface DeviceTokenEndpointsOptions {
  readonly deviceTokens: DeviceTokens;
  readonly verify: (token: string) => Promise<Claims>;
  readonly clock: { now(): number };
  readonly logger: Logger;
  readonly endpoints: EndpointMetrics;
}

const path = '/v1/credentials';
const pageMax = 500;
/** The answer has a secret: no cache may store it. */
const noStore = [['cache-control', 'no-store']] as const;

/**
 * `POST /v1/credentials`, `GET /v1/credentials` and `DELETE /v1/credentials/<id>`. They need a token with the role
 * `operator`, from `Authorization: Bearer` only; one with a tenant is for the devices of that tenant.
 */
export function deviceTokenRoutes(options: DeviceTokenEndpointsOptions): readonly Route[] {
  const { deviceTokens, verify, clock, logger, endpoints } = options;
  const answer = (status: number, request: HttpRequest, call: (operator: Claims) => Promise<object>) => {
    const token = bearerToken(request.header('authorization'));
    return answerOf(
      logger,
      status,
      endpoints.start('credentials'),
      async () => await call(await operatorOf(token, verify)),
      noStore,
    );
  };
  return [
    {
      method: 'POST',
      path,
      answer(request) {
        // Requested before the first await, see `HttpRequest.body`.
        const body = request.body(bodyBytesMax);
        body.catch(() => {});
        return answer(201, request, async (operator) =>
          deviceTokens.issue(requestFrom(bodyFrom(await body), clock.now()), operator),
        );
      },
    },
    {
      method: 'GET',
      path,
      answer(request) {
        const channel = queryParameter(request, 'channel') ?? '>';
        const after = queryParameter(request, 'after') ?? '';
        const limit = queryParameter(request, 'limit');
        return answer(200, request, async (operator) => {
          assertPattern(channel);
          return deviceTokens.list(channel, after, limitFrom(limit), operator);
        });
      },
    },
    {
      method: 'DELETE',
      path: `${path}/:id`,
      answer(request) {
        const id = request.path.slice(path.length + 1);
        return answer(202, request, async (operator) => {
          await deviceTokens.revoke(id, operator);
          return { id };
        });
      },
    },
  ];
}

/** Throws `invalid_message`. */
function requestFrom(body: Body, nowMs: number): TokenRequest {
  assertFields(body, ['device', 'gateway', 'expiresAt', 'expiresInMs', 'label']);
  const { gateway = false } = body;
  if (typeof gateway !== 'boolean')
    throw new TailraceError('invalid_message', `gateway: expected true or false, got ${shown(gateway)}`);
  return {
    device: textOf(body, 'device'),
    isGateway: gateway,
    expiresAt: expiryFrom(body, nowMs),
    label: textOf(body, 'label', ''),
  };
}

function expiryFrom(body: Body, nowMs: number): TokenRequest['expiresAt'] {
  const { expiresAt, expiresInMs } = body;
  if (expiresAt !== undefined && expiresInMs !== undefined)
    throw new TailraceError('invalid_message', 'expected expiresAt or expiresInMs, got both');
  if (expiresInMs !== undefined) {
    if (typeof expiresInMs === 'number' && expiresInMs > 0) return nowMs + expiresInMs;
    throw new TailraceError('invalid_message', `expiresInMs: expected a time in ms above 0, got ${shown(expiresInMs)}`);
  }
  return expiresAt === undefined || expiresAt === null ? expiresAt : timeOf(body, 'expiresAt');
}

function limitFrom(text: string | undefined): number {
  if (text === undefined) return pageMax;
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= pageMax) return limit;
  throw new TailraceError('invalid_message', `limit: expected a number from 1 to ${pageMax}, got ${shown(text)}`);
}
