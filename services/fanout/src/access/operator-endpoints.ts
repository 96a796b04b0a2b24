import { bearerToken } from '@tailrace/platform/bearer-token';
import type { Logger } from '@tailrace/platform/logger';
import type { RevocationEntry, Revocations } from '@tailrace/platform/revocation';
import type { Claims } from '@tailrace/platform/token';
import { TailraceError } from '@tailrace/protocol/error';
import { answerOf } from '../endpoint.ts';
import type { EndpointMetrics, EndpointName } from '../endpoint-metrics.ts';
import type { Route } from '../transport.ts';
import { assertFields, assertOperator, type Body, bodyBytesMax, bodyFrom, textOf, timeOf } from './operator-request.ts';
import type { Operators } from './operators.ts';

export interface OperatorEndpointsOptions {
  readonly operators: Operators;
  readonly revocations: Pick<Revocations, 'entries'>;
  readonly verify: (token: string) => Promise<Claims>;
  /** Number of nodes whose announcements arrive, this one included. */
  readonly nodes: () => number;
  readonly logger: Logger;
  readonly endpoints: EndpointMetrics;
}

/**
 * `POST /v1/revocations`, `GET /v1/revocations` and `POST /v1/notice`. They need a token with the role `operator` and
 * without a tenant, because they affect all tenants. The token is read from `Authorization: Bearer` only: a page of
 * another origin cannot make a browser send that (CSRF).
 */
export function operatorRoutes(options: OperatorEndpointsOptions): readonly Route[] {
  const { operators, revocations, nodes, logger, endpoints } = options;
  const post = (endpoint: EndpointName, call: (body: Body) => Promise<void>): Route => ({
    method: 'POST',
    path: `/v1/${endpoint}`,
    answer(request) {
      const token = bearerToken(request.header('authorization'));
      return answerOf(logger, 202, endpoints.start(endpoint), async () => {
        const body = await request.body(bodyBytesMax);
        await assertOperator(token, options.verify);
        await call(bodyFrom(body));
        return { nodes: nodes() };
      });
    },
  });
  return [
    post('revocations', async (body) => operators.revoke(revocationFrom(body))),
    post('notice', async (body) => {
      assertFields(body, ['severity', 'message']);
      await operators.notify(textOf(body, 'severity', 'info'), textOf(body, 'message'));
    }),
    {
      method: 'GET',
      path: '/v1/revocations',
      answer(request) {
        const token = bearerToken(request.header('authorization'));
        return answerOf(logger, 200, endpoints.start('revocations'), async () => {
          await assertOperator(token, options.verify);
          return { revocations: revocations.entries() };
        });
      },
    },
  ];
}

/** Throws `invalid_message`: a revocation of something else than the operator meant is worse than none. */
function revocationFrom(body: Body): RevocationEntry {
  const ofToken = 'tokenId' in body;
  if (ofToken === 'subject' in body)
    throw new TailraceError(
      'invalid_message',
      'expected {"tokenId":"…"} for one token, or {"subject":"…","issuedBefore":<epoch ms>} for all tokens of a subject issued before a time',
    );
  assertFields(body, ofToken ? ['tokenId', 'expiresAt'] : ['subject', 'issuedBefore', 'expiresAt']);
  const end = body['expiresAt'] === undefined ? {} : { expiresAt: timeOf(body, 'expiresAt') };
  if (ofToken) return { tokenId: textOf(body, 'tokenId'), ...end };
  return { subject: textOf(body, 'subject'), issuedBefore: timeOf(body, 'issuedBefore'), ...end };
}
