import { isUtf8 } from 'node:buffer';
import type { Claims } from '@tailrace/platform/token';
import { shown, TailraceError } from '@tailrace/protocol/error';

/** Far more than a request of an operator needs. */
export const bodyBytesMax = 16_384;

/** The body of a request. */
export type Body = Readonly<Record<string, unknown>>;

/** Resolves with the claims of an operator of any tenant. Rejects with `unauthorized` and `forbidden`. */
export async function operatorOf(
  token: string | undefined,
  verify: (token: string) => Promise<Claims>,
): Promise<Claims> {
  if (token === undefined)
    throw new TailraceError('unauthorized', 'expected the header Authorization: Bearer <token>, got none');
  const claims = await verify(token);
  const { roles = [] } = claims;
  if (!roles.includes('operator'))
    throw new TailraceError('forbidden', `expected a token with the role "operator", got the roles ${shown(roles)}`);
  return claims;
}

/** Resolves with the claims of an operator of all tenants. Rejects with `unauthorized` and `forbidden`. */
export async function assertOperator(
  token: string | undefined,
  verify: (token: string) => Promise<Claims>,
): Promise<Claims> {
  const claims = await operatorOf(token, verify);
  const { tenant } = claims;
  if (tenant !== undefined)
    throw new TailraceError('forbidden', `expected a token without a tenant, got the tenant ${shown(tenant)}`);
  return claims;
}

/** Returns the JSON object of a body. Throws `invalid_message`. */
export function bodyFrom(bytes: Buffer): Body {
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

/** Throws `invalid_message` for an unknown field: a misspelled one would be ignored. */
export function assertFields(body: Body, known: readonly string[]): void {
  for (const field of Object.keys(body)) {
    if (known.includes(field)) continue;
    throw new TailraceError(
      'invalid_message',
      `expected the fields ${known.join(', ')}, got the unknown field ${shown(field)}`,
    );
  }
}

/** Returns a field with a text. Throws `invalid_message`. */
export function textOf(body: Body, field: string, byDefault?: string): string {
  const value = body[field] ?? byDefault;
  if (typeof value === 'string') return value;
  throw new TailraceError('invalid_message', `${field}: expected a text, got ${shown(value)}`);
}

/** Returns a field with a time, epoch ms. Throws `invalid_message`. */
export function timeOf(body: Body, field: string): number {
  const value = body[field];
  if (typeof value === 'number' && value >= 0 && value <= 8.64e15) return value;
  throw new TailraceError('invalid_message', `${field}: expected a time in epoch ms, got ${shown(value)}`);
}
