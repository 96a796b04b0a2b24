import { bytesFromBase64url } from '@tailrace/protocol/base64url';
import { shown } from '@tailrace/protocol/error';
import { keyIdCharactersMax, type TokenAlgorithm } from './token-keys.ts';

/** What a token says about how it is signed: all of it that is listened to. */
export interface TokenHeader {
  readonly algorithm: TokenAlgorithm;
  /** `kid`. */
  readonly keyId: string | undefined;
}

/** An access token or a plain one; anything else (an ID token's kin, a logout token) is meant for another use (RFC 8725, section 3.11). */
const types: ReadonlySet<unknown> = new Set([undefined, 'jwt', 'at+jwt']);

/**
 * Returns the header of a token in the compact form (RFC 7515, section 7.1), whose signature is not checked; a text
 * that says what is wrong with it; or undefined for what is not a token. `header`: decoded. `taken`: the algorithms for
 * which there are keys.
 */
export function tokenHeaderFrom(
  token: string,
  header: Readonly<Record<string, unknown>> | undefined,
  taken: ReadonlySet<TokenAlgorithm>,
): TokenHeader | string | undefined {
  // The third part of an unsigned one is empty; that it says `none` is the better sentence.
  const parts = /^([\w-]+)\.([\w-]+)\.([\w-]*)$/.exec(token);
  if (parts === null || header === undefined) return undefined;
  if (!parts.slice(1).every(isCanonical))
    return 'is not in canonical base64url (RFC 4648, section 3.5): expected the last character of each part to have no bits left over';
  const { alg, typ, kid } = header;
  if (!taken.has(alg as TokenAlgorithm))
    return `is signed with the algorithm ${shown(alg)}; ${[...taken].join(', ')} is taken`;
  // Whoever does not know an extension must refuse (RFC 7515, section 4.1.11), and none is known.
  if ('crit' in header) return `demands the extensions ${shown(header['crit'])} (crit), none of which is known here`;
  if (!types.has(typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : typ))
    return `is of the type ${shown(typ)} (typ); JWT or at+jwt is right`;
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > keyIdCharactersMax))
    return `names the key ${shown(kid)} (kid); a text of at most ${keyIdCharactersMax} characters is right`;
  return { algorithm: alg as TokenAlgorithm, keyId: kid };
}

/**
 * Whether the part is the one spelling of its bytes. The last character may carry 2 or 4 bits that belong to no byte,
 * which decoders pass over: a signature of 32 bytes would have 4 spellings, one of 256 bytes 16.
 */
function isCanonical(part: string): boolean {
  return bytesFromBase64url(part.slice(part.length - (part.length % 4))) !== undefined;
}
