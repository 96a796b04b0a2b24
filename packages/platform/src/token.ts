import { shown, TailraceError } from '@tailrace/protocol/error';
import { assertPattern } from '@tailrace/protocol/pattern';
import * as jose from 'jose';
import { type Clock, systemClock } from './clock.ts';
import { LruCache } from './lru.ts';

/** What a token lets its bearer do. */
export interface Claims {
  /** Who it was issued to; `sub`. */
  readonly subject: string;
  /** Patterns of the devices it may send readings of. */
  readonly publish: readonly string[];
  /** Patterns of the devices it may see. */
  readonly subscribe: readonly string[];
  /** Epoch ms; `exp`. Undefined: never. */
  readonly expiresAt?: number;
}

export interface TokenVerifier {
  /**
   * The claims of a valid token. Rejects with `unauthorized` and a sentence that says which way it is not valid; the token itself is
   * never in it beyond its first characters.
   */
  verify(token: string): Promise<Claims>;
  /** The claims of a token that was verified before and has not expired. For the path where a promise is too much. */
  cached(token: string): Claims | undefined;
}

export interface TokenVerifierOptions {
  /** Shared secret of HS256, at least 32 bytes (RFC 7518, section 3.2). A shorter one throws `invalid_config`. */
  readonly secret: string;
  readonly clock?: Clock;
  /** How many verified tokens are remembered. Default: 4,096, about 2 MB of ordinary tokens. */
  readonly cacheMax?: number;
}

const tokenBytesMax = 8 * 1024;
const patternsMax = 256;
const subjectCharactersMax = 200;
const secretBytesMin = 32;

/** How signatures are checked. HS256 with a shared secret is the first; a set of public keys by URL is another of these. */
interface SignatureKeys {
  readonly algorithms: readonly string[];
  readonly keyFor: (header: jose.JWTHeaderParameters) => Promise<jose.CryptoKey | Uint8Array>;
}

/** Verifies JSON Web Tokens (RFC 7519) and remembers those it found good. */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const clock = options.clock ?? systemClock;
  const keys = sharedSecretKeys(options.secret);
  const verified = new LruCache<string, Claims>(options.cacheMax ?? 4_096);

  function cached(token: string): Claims | undefined {
    const claims = verified.get(token);
    if (claims?.expiresAt !== undefined && claims.expiresAt <= clock.now()) {
      verified.delete(token);
      return undefined;
    }
    return claims;
  }

  return {
    cached,
    async verify(token) {
      const known = cached(token);
      if (known) return known;
      const claims = await claimsFrom(token, keys, clock.now());
      verified.set(token, claims);
      return claims;
    },
  };
}

function sharedSecretKeys(secret: string): SignatureKeys {
  const key = secretKey(secret);
  return { algorithms: ['HS256'], keyFor: async () => key };
}

function secretKey(secret: string): Uint8Array {
  const key = new TextEncoder().encode(secret);
  if (key.byteLength >= secretBytesMin) return key;
  throw new TailraceError(
    'invalid_config',
    `the token secret has ${key.byteLength} bytes; HS256 needs at least ${secretBytesMin}: make one with openssl rand -base64 48`,
  );
}

async function claimsFrom(token: string, keys: SignatureKeys, nowMs: number): Promise<Claims> {
  if (token.length > tokenBytesMax)
    throw unauthorized(`has ${token.length} bytes; at most ${tokenBytesMax} are taken`, token);
  try {
    const { payload } = await jose.jwtVerify(token, keys.keyFor, {
      algorithms: [...keys.algorithms],
      currentDate: new Date(nowMs),
    });
    return claimsFromPayload(payload, token);
  } catch (error) {
    if (error instanceof TailraceError) throw error;
    throw unauthorized(sentenceFor(error, token, keys, nowMs), token, error);
  }
}

function claimsFromPayload(payload: jose.JWTPayload, token: string): Claims {
  const { sub, exp } = payload;
  if (typeof sub !== 'string' || sub === '' || sub.length > subjectCharactersMax) {
    throw unauthorized(
      `has ${shown(sub)} as its subject (sub); a text of 1 to ${subjectCharactersMax} characters is right`,
      token,
    );
  }
  return Object.freeze({
    subject: sub,
    publish: patternsFrom(payload, 'publish', token),
    subscribe: patternsFrom(payload, 'subscribe', token),
    ...(exp === undefined ? {} : { expiresAt: exp * 1000 }),
  });
}

/** A claim that is missing grants nothing. */
function patternsFrom(payload: jose.JWTPayload, claim: 'publish' | 'subscribe', token: string): readonly string[] {
  const value = payload[claim] ?? [];
  if (!Array.isArray(value) || value.length > patternsMax) {
    throw unauthorized(`has ${shown(value)} as ${claim}; a list of at most ${patternsMax} patterns is right`, token);
  }
  for (const pattern of value) {
    try {
      assertPattern(pattern);
    } catch (error) {
      throw unauthorized(`grants ${claim} on what is no pattern: ${(error as Error).message}`, token, error);
    }
  }
  return Object.freeze(value as string[]);
}

/** jose's errors in our words: each says what to do about it. */
function sentenceFor(error: unknown, token: string, keys: SignatureKeys, nowMs: number): string {
  if (error instanceof jose.errors.JWTExpired) {
    return `expired at ${timeText(error.payload.exp)}; it is ${new Date(nowMs).toISOString()} here: get a new one`;
  }
  if (error instanceof jose.errors.JWTClaimValidationFailed) {
    if (error.claim === 'nbf' && error.reason === 'check_failed') {
      return `is not valid before ${timeText(error.payload.nbf)}; it is ${new Date(nowMs).toISOString()} here: wait, or check the clocks`;
    }
    return `has a claim that is not right: ${error.claim} is ${shown(error.payload[error.claim])}`;
  }
  if (error instanceof jose.errors.JOSEAlgNotAllowed) {
    return `is signed with the algorithm ${algorithmOf(token)}; ${keys.algorithms.join(', ')} is taken`;
  }
  if (error instanceof jose.errors.JWSSignatureVerificationFailed) {
    return 'is signed with another key than the one of this server, or was changed on the way';
  }
  return 'is malformed; three parts of base64url joined by dots (a JSON Web Token) are right';
}

function algorithmOf(token: string): string {
  try {
    return shown(jose.decodeProtectedHeader(token).alg);
  } catch {
    return 'of an unreadable header';
  }
}

function timeText(seconds: unknown): string {
  const time = new Date(Number(seconds) * 1000);
  return Number.isNaN(time.getTime()) ? shown(seconds) : time.toISOString();
}

/** The first characters are the header's, the same in every token: enough to find it, too little to use it. */
function unauthorized(fault: string, token: string, cause?: unknown): TailraceError {
  return new TailraceError('unauthorized', `the token ${shown(token.slice(0, 6))}… ${fault}`, { cause });
}

export interface TokenIssue {
  readonly secret: string;
  readonly subject: string;
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** Whole seconds are kept, rounded up. */
  readonly expiresInMs: number;
  readonly clock?: Clock;
}

/** A token for the demo, the simulator and tests. Throws `invalid_pattern` or `invalid_config` rather than issue one that would not be taken. */
export async function issueToken(issue: TokenIssue): Promise<string> {
  const { subject, publish, subscribe, expiresInMs } = issue;
  const key = secretKey(issue.secret);
  for (const pattern of [...publish, ...subscribe]) assertPattern(pattern);
  const nowMs = (issue.clock ?? systemClock).now();
  return new jose.SignJWT({ publish: [...publish], subscribe: [...subscribe] })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(subject)
    .setIssuedAt(Math.floor(nowMs / 1000))
    .setExpirationTime(Math.ceil((nowMs + expiresInMs) / 1000))
    .sign(key);
}
