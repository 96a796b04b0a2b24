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

export interface OperatorEndpointsParts {
  readonly operators: Operators;
  readonly revocations: Pick<Revocations, 'entries'>;
  readonly verify: (token: string) => Promise<Claims>;
  /** Nodes that are heard of, this one included. */
  readonly nodes: () => number;
  readonly logger: Logger;
  readonly endpoints: EndpointMetrics;
}

/** A revocation or a notice is far smaller. */
const bodyBytesMax = 16_384;

type Body = Readonly<Record<string, unknown>>;

/**
 * `POST /v1/revocations`, `GET /v1/revocations` and `POST /v1/notice`, for tokens with the role `operator` and without
 * a tenant: what they order is for all. The token comes as `Authorization: Bearer` only; a page to which somebody is
 * led cannot send that.
 */
export function operatorRoutes(parts: OperatorEndpointsParts): readonly Route[] {
  const { operators, revocations, nodes, logger, endpoints } = parts;
  const order = (endpoint: EndpointName, call: (body: Body) => Promise<void>): Route => ({
    method: 'POST',
    path: `/v1/${endpoint}`,
    answer(request) {
      const token = bearerToken(request.header('authorization'));
      return answerOf(logger, 202, endpoints.start(endpoint), async () => {
        const body = await request.body(bodyBytesMax);
        await assertOperator(token, parts);
        await call(bodyFrom(body));
        return { nodes: nodes() };
      });
    },
  });
  return [
    order('revocations', async (body) => operators.revoke(revocationFrom(body))),
    order('notice', async (body) => {
      assertFields(body, ['severity', 'message']);
      await operators.notify(textOf(body, 'severity', 'info'), textOf(body, 'message'));
    }),
    {
      method: 'GET',
      path: '/v1/revocations',
      answer(request) {
        const token = bearerToken(request.header('authorization'));
        return answerOf(logger, 200, endpoints.start('revocations'), async () => {
          await assertOperator(token, parts);
          return { revocations: revocations.entries() };
        });
      },
    },
  ];
}

/** Throws `unauthorized` and `forbidden`. */
async function assertOperator(token: string | undefined, { verify }: OperatorEndpointsParts): Promise<void> {
  if (token === undefined)
    throw new TailraceError('unauthorized', 'there is no token; send the header Authorization: Bearer <token>');
  const { roles = [], tenant } = await verify(token);
  if (!roles.includes('operator'))
    throw new TailraceError('forbidden', `the token has the roles ${shown(roles)}; this is for "operator"`);
  if (tenant !== undefined)
    throw new TailraceError('forbidden', `the token is of the tenant ${shown(tenant)}; this is for all of them`);
}

function bodyFrom(bytes: Buffer): Body {
  // What is not UTF-8 would be decoded to another name: the operator would believe that the token is revoked.
  if (!isUtf8(bytes)) throw new TailraceError('invalid_message', 'the body: expected JSON in UTF-8, got other bytes');
  const text = bytes.toString('utf8');
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Body;
  } catch {
    // The sentence is the same.
  }
  throw new TailraceError('invalid_message', `the body is ${shown(text)}; right is a JSON object`);
}

/** Throws `invalid_message`: a revocation that does not mean what was meant is worse than none. */
function revocationFrom(body: Body): RevocationEntry {
  const ofToken = 'tokenId' in body;
  if (ofToken === 'subject' in body)
    throw new TailraceError(
      'invalid_message',
      'right is {"tokenId":"…"} for one token, or {"subject":"…","issuedBefore":<epoch ms>} for all issued to somebody before a time',
    );
  assertFields(body, ofToken ? ['tokenId', 'expiresAt'] : ['subject', 'issuedBefore', 'expiresAt']);
  const end = body['expiresAt'] === undefined ? {} : { expiresAt: timeOf(body, 'expiresAt') };
  if (ofToken) return { tokenId: textOf(body, 'tokenId'), ...end };
  return { subject: textOf(body, 'subject'), issuedBefore: timeOf(body, 'issuedBefore'), ...end };
}

function assertFields(body: Body, known: readonly string[]): void {
  for (const field of Object.keys(body)) {
    if (known.includes(field)) continue;
    throw new TailraceError('invalid_message', `unknown field ${shown(field)}; right is ${known.join(', ')}`);
  }
}

function textOf(body: Body, field: string, otherwise?: string): string {
  const value = body[field] ?? otherwise;
  if (typeof value === 'string') return value;
  throw new TailraceError('invalid_message', `${field} is ${shown(value)}; right is a text`);
}

function timeOf(body: Body, field: string): number {
  const value = body[field];
  if (typeof value === 'number' && value >= 0 && value <= 8.64e15) return value;
  throw new TailraceError('invalid_message', `${field} is ${shown(value)}; right is a time in epoch milliseconds`);
}
