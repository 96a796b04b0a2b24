import { isUtf8 } from 'node:buffer';
import { bearerToken } from '@tailrace/platform/bearer-token';
import type { Logger } from '@tailrace/platform/logger';
import type { RevocationEntry, Revocations } from '@tailrace/platform/revocation';
import type { Claims } from '@tailrace/platform/token';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { answerOf } from '../endpoint.ts';
import type { EndpointMetrics, EndpointName } from '../endpoint-metrics.ts';
import type { Route } from '../transport.ts';
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

/** Far more than a revocation or a notice needs. */
const bodyBytesMax = 16_384;

type Body = Readonly<Record<string, unknown>>;

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
        await assertOperator(token, options);
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
          await assertOperator(token, options);
          return { revocations: revocations.entries() };
        });
      },
    },
  ];
}

/** Throws `unauthorized` and `forbidden`. */
async function assertOperator(token: string | undefined, { verify }: OperatorEndpointsOptions): Promise<void> {
  if (token === undefined)
    throw new TailraceError('unauthorized', 'expected the header Authorization: Bearer <token>, got none');
  const { roles = [], tenant } = await verify(token);
  if (!roles.includes('operator'))
    throw new TailraceError('forbidden', `expected a token with the role "operator", got the roles ${shown(roles)}`);
  if (tenant !== undefined)
    throw new TailraceError('forbidden', `expected a token without a tenant, got the tenant ${shown(tenant)}`);
}

function bodyFrom(bytes: Buffer): Body {
  // Other bytes would be decoded to another name: the operator would believe that the token is revoked.
  if (!isUtf8(bytes)) throw new TailraceError('invalid_message', 'body: expected JSON in UTF-8, got other bytes');
  const text = bytes.toString('utf8');
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Body;
  } catch {
    // The message is the same.
  }
  throw new TailraceError('invalid_message', `body: expected a JSON object, got ${shown(text)}`);
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

function assertFields(body: Body, known: readonly string[]): void {
  for (const field of Object.keys(body)) {
    if (known.includes(field)) continue;
    throw new TailraceError(
      'invalid_message',
      `expected the fields ${known.join(', ')}, got the unknown field ${shown(field)}`,
    );
  }
}

function textOf(body: Body, field: string, byDefault?: string): string {
  const value = body[field] ?? byDefault;
  if (typeof value === 'string') return value;
  throw new TailraceError('invalid_message', `${field}: expected a text, got ${shown(value)}`);
}

function timeOf(body: Body, field: string): number {
  const value = body[field];
  if (typeof value === 'number' && value >= 0 && value <= 8.64e15) return value;
  throw new TailraceError('invalid_message', `${field}: expected a time in epoch ms, got ${shown(value)}`);
}
