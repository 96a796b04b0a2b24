/**
 * Returns the token of `Authorization: Bearer`, with the scheme in any case (RFC 6750, section 2.1); undefined without
 * one.
 */
export function bearerToken(authorization: string): string | undefined {
  if (authorization.length <= 7 || authorization.slice(0, 7).toLowerCase() !== 'bearer ') return undefined;
  return authorization.slice(7).trim() || undefined;
}
