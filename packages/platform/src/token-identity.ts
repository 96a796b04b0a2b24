import type { Claims } from './token-claims.ts';

/**
 * Returns the key under which quotas, budgets and caches count the bearer of a token: issuer (`iss`), tenant and
 * subject (`sub`).
 *
 * The text of a token is no such key. An issuer may sign any number of tokens for one subject, and an ES256 signature
 * (r, s) has a second valid form (r, n − s) that its bearer can compute. `sub` alone is no key either: it is unique
 * within its issuer only (RFC 7519, section 4.1.2).
 *
 * Equal keys mean the same bearer. The key has at most 1,300 characters and is not for people: messages name the
 * subject.
 */
export function identityOf({ issuer, tenant, subject }: Pick<Claims, 'issuer' | 'tenant' | 'subject'>): string {
  // As JSON, because issuer and subject may hold any character that could separate them.
  return JSON.stringify([issuer ?? null, tenant ?? null, subject]);
}
