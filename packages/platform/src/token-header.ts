import { bytesFromBase64url } from '@tailrace/protocol/base64url';
import { shown } from '@tailrace/protocol/error';
import { keyIdCharactersMax, type TokenAlgorithm } from './token-keys.ts';

/** The part of a token's header that is used. */
export interface TokenHeader {
  readonly algorithm: TokenAlgorithm;
  /** `kid`. */
  readonly keyId: string | undefined;
}

/** Access tokens and untyped ones; other types, as of logout tokens, are for another use (RFC 8725, section 3.11). */
const types: ReadonlySet<unknown> = new Set([undefined, 'jwt', 'at+jwt']);

/**
 * Returns the header of a token in the compact form (RFC 7515, section 7.1), whose signature is not checked; or the
 * reason why it is refused; or undefined for anything but a token. `header`: decoded. `accepted`: the algorithms with
 * keys.
 */
export function tokenHeaderFrom(
  token: string,
  header: Readonly<Record<string, unknown>> | undefined,
  accepted: ReadonlySet<TokenAlgorithm>,
): TokenHeader | string | undefined {
  // The third part of an unsigned token is empty; it is refused for its algorithm `none`.
  const parts = /^([\w-]+)\.([\w-]+)\.([\w-]*)$/.exec(token);
  if (parts === null || header === undefined) return undefined;
  if (!parts.slice(1).every(isCanonical))
    return 'is not in canonical base64url (RFC 4648, section 3.5): expected the last character of each part to have no bits left over';
  const { alg, typ, kid } = header;
  if (!accepted.has(alg as TokenAlgorithm))
    return `is signed with the algorithm ${shown(alg)}; expected ${[...accepted].join(', ')}`;
  // Unknown extensions must be refused (RFC 7515, section 4.1.11), and none is known.
  if ('crit' in header) return `requires the extensions ${shown(header['crit'])} (crit); expected none`;
  if (!types.has(typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : typ))
    return `is of the type ${shown(typ)} (typ); expected JWT or at+jwt`;
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > keyIdCharactersMax))
    return `names the key ${shown(kid)} (kid); expected a text of at most ${keyIdCharactersMax} characters`;
  return { algorithm: alg as TokenAlgorithm, keyId: kid };
}

/**
 * Returns whether the part is the canonical encoding of its bytes. The last character may have 2 or 4 bits that belong
 * to no byte, which decoders ignore: a signature of 32 bytes would have 4 encodings, one of 256 bytes 16.
 */
function isCanonical(part: string): boolean {
  return bytesFromBase64url(part.slice(part.length - (part.length % 4))) !== undefined;
}
