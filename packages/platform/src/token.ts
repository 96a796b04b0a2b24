import { shown, TailraceError } from '@tailrace/protocol/error';
import { assertPattern } from '@tailrace/protocol/pattern';
import * as jose from 'jose';
import { type Clock, systemClock } from './clock.ts';
import { type Logger, silentLogger } from './logger.ts';
import type { Revocations } from './revocation.ts';
import { type ClaimRules, type Claims, claimFault, claimsFromPayload, isOver, type Payload } from './token-claims.ts';
import { type TokenHeader, tokenHeaderFrom } from './token-header.ts';
import { identityOf } from './token-identity.ts';
import { jwksUrlKeys } from './token-jwks.ts';
import {
  fixedKeys,
  type KeySet,
  type KeySource,
  publicKeysFromText,
  secretKey,
  secretKeys,
  type TokenKey,
} from './token-keys.ts';
import { VerifiedTokens } from './verified-tokens.ts';

export type { Claims } from './token-claims.ts';
export type { KeySource } from './token-keys.ts';

export interface TokenVerifier {
  /**
   * The claims of a valid token. Rejects with `unauthorized` and a sentence that says which way it is not valid; the token itself is
   * never in it beyond its first characters. Rejects with `unavailable` while the keys that could tell cannot be fetched.
   * `onWait` is called before keys are waited for; what it throws is what `verify` rejects with, and nothing is
   * waited for.
   */
  verify(token: string, onWait?: () => void): Promise<Claims>;
  /**
   * The claims of a token that was verified before, has not expired, and is not revoked. For the path where a promise is too much:
   * undefined says no more than that `verify` is to be asked.
   */
  cached(token: string): Claims | undefined;
}

export interface TokenVerifierOptions {
  /** Short form of `keys: [{ secret }]`; both together are all of them. */
  readonly secret?: string;
  /** Who may have signed: 1 to 8 sources. None at all, or one that is not right, throws `invalid_config`. */
  readonly keys?: readonly KeySource[];
  readonly clock?: Clock;
  /** Hears of keys by URL: that they cannot be fetched, that they changed. Default: nobody. */
  readonly logger?: Logger;
  /**
   * How many verified tokens are kept, at most a sixteenth of them of one identity. Default: 4,096, about 2 MB of
   * ordinary tokens.
   */
  readonly cacheMax?: number;
  /** Demanded of every token, of whichever source. Default: not looked at. */
  readonly issuer?: string | undefined;
  /** Demanded of every token, of whichever source. Default: not looked at. */
  readonly audience?: string | undefined;
  /** By how much the issuer's clock may differ: 0 to 300,000 ms. Default: 0. */
  readonly clockToleranceMs?: number;
  /** Whether a token without `exp` is refused. Default: true. */
  readonly expiryRequired?: boolean;
  /** Asked each time, for remembered tokens, too. */
  readonly revocations?: Pick<Revocations, 'revoked'>;
  /** For key sets by URL. Default: the platform's. */
  readonly fetch?: typeof fetch;
}

const tokenBytesMax = 8 * 1024;
const sourcesMax = 8;
/** Revocations are kept this much longer than the token: what is tolerated must not outlive them. */
const clockToleranceMsMax = 300_000;

/** A token that was found good, and by which key: it holds no longer than the key. */
interface Verified {
  readonly claims: Claims;
  readonly identity: string;
  readonly key: TokenKey;
  readonly keys: KeySet;
}

/**
 * Verifies JSON Web Tokens (RFC 7519, with the advice of RFC 8725) and remembers those it found good. Each key is for one algorithm;
 * a token's header only picks among the keys of its algorithm, and nothing else in it is followed (`jwk`, `jku`, `x5u`).
 */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const clock = options.clock ?? systemClock;
  const keySets = keySetsFrom(options, clock);
  const rules = rulesFrom(options);
  const { revocations } = options;
  const verified = new VerifiedTokens<Verified>(options.cacheMax ?? 4_096);

  function held(token: string): Verified | undefined {
    const entry = verified.get(token);
    if (!entry || !(entry.key.withdrawn || isOver(entry.claims, rules.clockToleranceMs, clock.now()))) return entry;
    verified.delete(token);
    return undefined;
  }

  async function checked(token: string, onWait: (() => void) | undefined): Promise<Verified> {
    const signed = await signedPayload(
      token,
      keySets,
      (key) => payloadSignedBy(token, key, rules, clock.now()),
      onWait,
    );
    try {
      const claims = claimsFromPayload(signed.payload, rules, clock.now());
      const entry = { claims, identity: identityOf(claims), key: signed.key, keys: signed.keys };
      verified.set(token, entry);
      return entry;
    } catch (error) {
      throw unauthorized((error as Error).message, token, (error as Error).cause);
    }
  }

  return {
    cached(token) {
      const entry = held(token);
      if (!entry?.keys.fresh() || revocations?.revoked(entry.claims)) return undefined;
      return entry.claims;
    },
    async verify(token, onWait) {
      let entry = held(token);
      if (entry && !entry.keys.fresh()) {
        onWait?.();
        await entry.keys.ready();
        // Newer keys may be without the one that signed it.
        entry = held(token);
      }
      const { claims } = entry ?? (await checked(token, onWait));
      if (revocations?.revoked(claims)) throw unauthorized('was revoked; get a new one', token);
      return claims;
    },
  };
}

function keySetsFrom(
  { secret, keys = [], logger = silentLogger, fetch }: TokenVerifierOptions,
  clock: Clock,
): KeySet[] {
  const sources: readonly KeySource[] = secret === undefined ? keys : [{ secret }, ...keys];
  if (sources.length === 0 || sources.length > sourcesMax) {
    throw new TailraceError(
      'invalid_config',
      `tokens are to be checked with the keys of ${sources.length} sources; 1 to ${sourcesMax} are right: a secret, public keys, or the URL of a key set`,
    );
  }
  return sources.map((source) => {
    if ('secret' in source) return secretKeys(source.secret);
    if ('jwksUrl' in source) return jwksUrlKeys(source, fetch ? { clock, logger, fetch } : { clock, logger });
    const { keys: found, passedOver } = publicKeysFromText(source.publicKeys);
    if (passedOver.length > 0) logger.warn({ passedOver }, 'some public keys are not for checking tokens');
    return fixedKeys([...new Set(found.map((key) => key.algorithm))], found);
  });
}

function rulesFrom(options: TokenVerifierOptions): ClaimRules {
  const { issuer, audience, clockToleranceMs = 0, expiryRequired = true } = options;
  if (clockToleranceMs >= 0 && clockToleranceMs <= clockToleranceMsMax)
    return { issuer, audience, clockToleranceMs, expiryRequired };
  throw new TailraceError(
    'invalid_config',
    `the clock tolerance of tokens is ${shown(clockToleranceMs)} ms; 0 to ${clockToleranceMsMax} is right`,
  );
}

interface Signed {
  readonly payload: Payload;
  readonly key: TokenKey;
  readonly keys: KeySet;
}

/** What one of the keys has signed. First with what is at hand, then with keys that are waited for, then with keys asked for anew. */
async function signedPayload(
  token: string,
  keySets: readonly KeySet[],
  verifyBy: (key: TokenKey) => Promise<Payload | undefined>,
  onWait: (() => void) | undefined,
): Promise<Signed> {
  if (token.length > tokenBytesMax)
    throw unauthorized(`has ${token.length} bytes; at most ${tokenBytesMax} are taken`, token);
  const header = headerOf(token, keySets);
  const sets = keySets.filter(({ algorithms }) => algorithms.includes(header.algorithm));
  const tried = new Set<TokenKey>();
  const attempt = (among: readonly KeySet[]) => firstSigned(header, among, tried, verifyBy);

  let signed = await attempt(sets.filter((keys) => keys.fresh()));
  if (signed) return signed;
  const mayWait = sets.some((keys) => !keys.fresh() || !keys.keys().some((key) => isNamed(key, header)));
  if (mayWait) onWait?.();
  await Promise.all(sets.map((keys) => keys.ready()));
  signed = await attempt(sets);
  if (signed) return signed;
  const unknowing = sets.filter((keys) => !keys.keys().some((key) => isNamed(key, header)));
  await Promise.all(unknowing.map((keys) => keys.renew()));
  signed = await attempt(unknowing);
  if (signed) return signed;

  for (const keys of unknowing) {
    const doubt = keys.doubt();
    if (doubt !== undefined) throw new TailraceError('unavailable', doubt);
  }
  if (tried.size > 0)
    throw unauthorized('is signed with another key than the one of this server, or was changed on the way', token);
  throw unauthorized(`names the key ${shown(header.keyId)} (kid), which is none of this server's`, token);
}

function isNamed(key: TokenKey, { algorithm, keyId }: TokenHeader): boolean {
  return key.algorithm === algorithm && keyId !== undefined && key.id === keyId;
}

async function firstSigned(
  { algorithm, keyId }: TokenHeader,
  among: readonly KeySet[],
  tried: Set<TokenKey>,
  verifyBy: (key: TokenKey) => Promise<Payload | undefined>,
): Promise<Signed | undefined> {
  for (const keys of among) {
    for (const key of keys.keys()) {
      // The key's own algorithm decides, not the token's: a public key never serves as a secret.
      if (key.algorithm !== algorithm || tried.has(key)) continue;
      if (keyId !== undefined && key.id !== undefined && key.id !== keyId) continue;
      tried.add(key);
      const payload = await verifyBy(key);
      if (payload) return { payload, key, keys };
    }
  }
  return undefined;
}

/**
 * Returns the payload if the key has signed it, else undefined. jose checks the signature, `exp`, `nbf`, `iss` and
 * `aud`; `claimsFromPayload` checks the rest. Throws `unauthorized` for a claim.
 */
async function payloadSignedBy(
  token: string,
  { key, algorithm }: TokenKey,
  rules: ClaimRules,
  nowMs: number,
): Promise<Payload | undefined> {
  const { issuer, audience, clockToleranceMs, expiryRequired } = rules;
  try {
    const { payload } = await jose.jwtVerify(token, key, {
      algorithms: [algorithm],
      currentDate: new Date(nowMs),
      clockTolerance: clockToleranceMs / 1_000,
      requiredClaims: expiryRequired ? ['exp'] : [],
      ...(issuer !== undefined && { issuer }),
      ...(audience !== undefined && { audience }),
    });
    return payload;
  } catch (error) {
    if (error instanceof jose.errors.JWSSignatureVerificationFailed) return undefined;
    const isOfClaim = error instanceof jose.errors.JWTClaimValidationFailed || error instanceof jose.errors.JWTExpired;
    throw unauthorized(isOfClaim ? claimFault(error, rules, nowMs) : malformed, token, error);
  }
}

const malformed = 'is malformed; three parts of base64url joined by dots (a JSON Web Token) are right';

function headerOf(token: string, keySets: readonly KeySet[]): TokenHeader {
  const taken = new Set(keySets.flatMap(({ algorithms }) => algorithms));
  const header = tokenHeaderFrom(token, decodedHeader(token), taken);
  if (typeof header === 'object') return header;
  throw unauthorized(header ?? malformed, token);
}

/** Returns the header, whose signature is not checked; undefined if it is not a JSON object in base64url. */
function decodedHeader(token: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return jose.decodeProtectedHeader(token);
  } catch {
    return undefined;
  }
}

/** The first characters are the header's, the same in every token: enough to find it, too little to use it. */
function unauthorized(fault: string, token: string, cause?: unknown): TailraceError {
  return new TailraceError('unauthorized', `the token ${shown(token.slice(0, 6))}… ${fault}`, { cause });
}

export interface TokenIssue
  extends Pick<Claims, 'subject' | 'tokenId' | 'tenant' | 'roles' | 'publish' | 'subscribe' | 'command'> {
  readonly secret: string;
  readonly issuer?: string;
  readonly audience?: string;
  /** Whole seconds are kept, rounded up. */
  readonly expiresInMs: number;
  readonly clock?: Clock;
}

/** A token for the demo, the simulator and tests. Throws `invalid_pattern` or `invalid_config` rather than issue one that would not be taken. */
export async function issueToken(issue: TokenIssue): Promise<string> {
  const { publish, subscribe, command, roles, tenant, tokenId, issuer, audience } = issue;
  const key = secretKey(issue.secret);
  for (const pattern of [...publish, ...subscribe, ...(command ?? [])]) assertPattern(pattern);
  const nowMs = (issue.clock ?? systemClock).now();
  const payload = {
    publish,
    subscribe,
    sub: issue.subject,
    iat: Math.floor(nowMs / 1000),
    exp: Math.ceil((nowMs + issue.expiresInMs) / 1000),
    ...(command && { command }),
    ...(roles && { roles }),
    ...(tenant !== undefined && { tenant }),
    ...(tokenId !== undefined && { jti: tokenId }),
    ...(issuer !== undefined && { iss: issuer }),
    ...(audience !== undefined && { aud: audience }),
  };
  assertTaken(structuredClone(payload));
  return new jose.SignJWT(payload as jose.JWTPayload).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(key);
}

/** Its form only: a token that is over already is what some tests want. */
function assertTaken(payload: Payload): void {
  const { exp, iat, ...timeless } = payload;
  try {
    claimsFromPayload(timeless, { clockToleranceMs: 0, expiryRequired: false }, 0);
  } catch (error) {
    throw new TailraceError('invalid_config', `the token to issue ${(error as Error).message}`, { cause: error });
  }
}
