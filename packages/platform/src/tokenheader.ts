import { bytesFromBase64url } from '@tailrace/protocol/base64url';
import { shown } from '@tailrace/protocol/error';
import { keyIdCharactersMax, type TokenAlgorithm } from './tokenkeys.ts';

/** What a token says about how it is signed: all of it that is listened to. */
export interface TokenHeader {
  readonly algorithm: TokenAlgorithm;
  /** `kid`. */
  readonly keyId: string | undefined;
}

/** An access token or a plain one; anything else (an ID token's kin, a logout token) is meant for another use (RFC 8725, section 3.11). */
const types: ReadonlySet<unknown> = new Set([undefined, 'jwt', 'at+jwt']);

/**
 * The header of a token in the compact form (RFC 7515, section 7.1), whose signature nobody has looked at. Or, as a text, the sentence that says what is
 * wrong with it; undefined: it is no token at all. `taken`: the algorithms for which there are keys.
 */
export function tokenHeaderFrom(token: string, taken: ReadonlySet<TokenAlgorithm>): TokenHeader | string | undefined {
  // The third part of an unsigned one is empty; that it says `none` is the better sentence.
  const parts = /^([\w-]+)\.([\w-]+)\.([\w-]*)$/.exec(token);
  const header = parts === null ? undefined : objectFrom(parts[1]!);
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

function objectFrom(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // It is no JSON; whoever sent it hears so.
  }
  return undefined;
}

/**
 * Whether the part is the one spelling of its bytes. The last character may carry 2 or 4 bits that belong to no byte,
 * which decoders pass over: a signature of 32 bytes would have 4 spellings, one of 256 bytes 16.
 */
function isCanonical(part: string): boolean {
  return bytesFromBase64url(part.slice(part.length - (part.length % 4))) !== undefined;
}
