import { shown, TailraceError } from '@tailrace/protocol/error';
import { assertPattern } from '@tailrace/protocol/pattern';
import * as jose from 'jose';
import { type Clock, systemClock } from './clock.ts';
import { type RefusalKind, refusal, refusalKindOf } from './credential-refusal.ts';
import { type Logger, silentLogger } from './logger.ts';
import type { Revocations } from './revocation.ts';
import {
  type ClaimRules,
  type Claims,
  claimsFromPayload,
  isExpired,
  type Payload,
  refusedClaimReason,
} from './token-claims.ts';
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
   * Resolves with the claims of a valid token. Rejects with `unauthorized` and the reason; the message has only the
   * first characters of the token. Rejects with `unavailable` while keys that may verify it cannot be fetched. `onWait`
   * is called before keys are waited for; if it throws, `verify` rejects with that error without waiting.
   */
  verify(token: string, onWait?: () => void): Promise<Claims>;
  /**
   * Returns the claims of a token that was verified before, has not expired, and is not revoked. For hot paths without
   * a promise; undefined means that `verify` is to be called.
   */
  cached(token: string): Claims | undefined;
}

export interface TokenVerifierOptions {
  /** Short form of `keys: [{ secret }]`, in addition to `keys`. */
  readonly secret?: string;
  /** 1 to 8 sources of keys. Without any, or with an invalid one, throws `invalid_config`. */
  readonly keys?: readonly KeySource[];
  readonly clock?: Clock;
  /** Logs changes and errors of keys by URL. Default: none. */
  readonly logger?: Logger;
  /**
   * The number of verified tokens that are cached, at most a sixteenth of them of one identity. Default: 4,096, about 2
   * MB of ordinary tokens.
   */
  readonly cacheMax?: number;
  /** Required of every token, of any source. Default: any. */
  readonly issuer?: string | undefined;
  /** Required of every token, of any source. Default: any. */
  readonly audience?: string | undefined;
  /** Tolerance for differences of the issuer's clock: 0 to 300,000 ms. Default: 0. */
  readonly clockToleranceMs?: number;
  /** Whether a token without `exp` is refused. Default: true. */
  readonly expiryRequired?: boolean;
  /** Called each time, also for cached tokens. */
  readonly revocations?: Pick<Revocations, 'revoked'>;
  /** For key sets by URL. Default: the platform's. */
  readonly fetch?: typeof fetch;
}

const tokenBytesMax = 8 * 1024;
const sourcesMax = 8;
/** Revocations are kept for this time after the expiry of the token, so that they cover the tolerance. */
const clockToleranceMsMax = 300_000;

/** A verified token and its key: it is valid as long as the key. */
interface Verified {
  readonly claims: Claims;
  readonly identity: string;
  readonly key: TokenKey;
  readonly keys: KeySet;
}

/**
 * Verifies JSON Web Tokens (RFC 7519, with the advice of RFC 8725) and caches the valid ones. Each key is for one
 * algorithm. A token's header selects among the keys of its algorithm; other fields are ignored (`jwk`, `jku`, `x5u`).
 */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const clock = options.clock ?? systemClock;
  const keySets = keySetsFrom(options, clock);
  const rules = rulesFrom(options);
  const { revocations } = options;
  const verified = new VerifiedTokens<Verified>(options.cacheMax ?? 4_096);

  function cachedEntry(token: string): Verified | undefined {
    const entry = verified.get(token);
    if (!entry || !(entry.key.withdrawn || isExpired(entry.claims, rules.clockToleranceMs, clock.now()))) return entry;
    verified.delete(token);
    return undefined;
  }

  async function checked(token: string, onWait: (() => void) | undefined): Promise<Verified> {
    if (token === '') {
      const message = 'expected a token, as in the header "Authorization: Bearer <token>", got none';
      throw new TailraceError('unauthorized', message);
    }
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
      throw unauthorized((error as Error).message, token, (error as Error).cause, refusalKindOf(error));
    }
  }

  return {
    cached(token) {
      const entry = cachedEntry(token);
      if (!entry?.keys.fresh() || revocations?.revoked(entry.claims)) return undefined;
      return entry.claims;
    },
    async verify(token, onWait) {
      let entry = cachedEntry(token);
      if (entry && !entry.keys.fresh()) {
        onWait?.();
        await entry.keys.ready();
        // The newer keys may not include the one that signed it.
        entry = cachedEntry(token);
      }
      const { claims } = entry ?? (await checked(token, onWait));
      if (revocations?.revoked(claims)) throw unauthorized('was revoked; get a new one', token, undefined, 'revoked');
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
      `sources of the keys of tokens: expected 1 to ${sourcesMax}, got ${sources.length}: set a secret, public keys, or the URL of a key set`,
    );
  }
  return sources.map((source) => {
    if ('secret' in source) return secretKeys(source.secret);
    if ('jwksUrl' in source) return jwksUrlKeys(source, fetch ? { clock, logger, fetch } : { clock, logger });
    const { keys: found, skipped } = publicKeysFromText(source.publicKeys);
    if (skipped.length > 0) logger.warn({ skipped }, 'some public keys are not for checking tokens');
    return fixedKeys([...new Set(found.map((key) => key.algorithm))], found);
  });
}

function rulesFrom(options: TokenVerifierOptions): ClaimRules {
  const { issuer, audience, clockToleranceMs = 0, expiryRequired = true } = options;
  if (clockToleranceMs >= 0 && clockToleranceMs <= clockToleranceMsMax)
    return { issuer, audience, clockToleranceMs, expiryRequired };
  throw new TailraceError(
    'invalid_config',
    `clock tolerance of tokens: expected 0 to ${clockToleranceMsMax} ms, got ${shown(clockToleranceMs)}`,
  );
}

interface Signed {
  readonly payload: Payload;
  readonly key: TokenKey;
  readonly keys: KeySet;
}

/**
 * Returns the payload that a key has signed: tries the fresh keys, then waits for recent ones, then fetches newer ones.
 */
async function signedPayload(
  token: string,
  keySets: readonly KeySet[],
  verifyBy: (key: TokenKey) => Promise<Payload | undefined>,
  onWait: (() => void) | undefined,
): Promise<Signed> {
  if (token.length > tokenBytesMax)
    throw unauthorized(`has ${token.length} bytes; expected at most ${tokenBytesMax} bytes`, token);
  const header = headerOf(token, keySets);
  const sets = keySets.filter(({ algorithms }) => algorithms.includes(header.algorithm));
  const tried = new Set<TokenKey>();
  const tryKeys = (among: readonly KeySet[]) => firstSigned(header, among, tried, verifyBy);

  let signed = await tryKeys(sets.filter((keys) => keys.fresh()));
  if (signed) return signed;
  const mayWait = sets.some((keys) => !keys.fresh() || !keys.keys().some((key) => isNamed(key, header)));
  if (mayWait) onWait?.();
  await Promise.all(sets.map((keys) => keys.ready()));
  signed = await tryKeys(sets);
  if (signed) return signed;
  const withoutKey = sets.filter((keys) => !keys.keys().some((key) => isNamed(key, header)));
  await Promise.all(withoutKey.map((keys) => keys.renew()));
  signed = await tryKeys(withoutKey);
  if (signed) return signed;

  for (const keys of withoutKey) {
    const reason = keys.unavailableReason();
    if (reason !== undefined) throw new TailraceError('unavailable', reason);
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
      // The key's own algorithm decides, not the token's: a public key is never used as a secret.
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
    const kind = error instanceof jose.errors.JWTExpired ? 'expired' : 'invalid';
    throw unauthorized(isOfClaim ? refusedClaimReason(error, rules, nowMs) : malformed, token, error, kind);
  }
}

const malformed = 'is malformed; expected three parts of base64url joined by dots (a JSON Web Token)';

function headerOf(token: string, keySets: readonly KeySet[]): TokenHeader {
  const accepted = new Set(keySets.flatMap(({ algorithms }) => algorithms));
  const header = tokenHeaderFrom(token, decodedHeader(token), accepted);
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

/** The message has the first characters of the token: enough to identify it, too few to use it. */
function unauthorized(reason: string, token: string, cause?: unknown, kind: RefusalKind = 'invalid'): TailraceError {
  return refusal(kind, `the token ${shown(token.slice(0, 6))}… ${reason}`, cause);
}

export interface TokenIssue
  extends Pick<
    Claims,
    'subject' | 'tokenId' | 'tenant' | 'roles' | 'publish' | 'subscribe' | 'command' | 'receiveCommands'
  > {
  readonly secret: string;
  readonly issuer?: string;
  readonly audience?: string;
  /** Rounded up to whole seconds. */
  readonly expiresInMs: number;
  readonly clock?: Clock;
}

/**
 * Issues a token for the demo, the simulator and tests. Rejects with `invalid_pattern` or `invalid_config` for claims
 * that a verifier would not accept.
 */
export async function issueToken(issue: TokenIssue): Promise<string> {
  const { publish, subscribe, command, receiveCommands, roles, tenant, tokenId, issuer, audience } = issue;
  const key = secretKey(issue.secret);
  for (const pattern of [...publish, ...subscribe, ...(command ?? []), ...(receiveCommands ?? [])])
    assertPattern(pattern);
  const nowMs = (issue.clock ?? systemClock).now();
  const payload = {
    publish,
    subscribe,
    sub: issue.subject,
    iat: Math.floor(nowMs / 1000),
    exp: Math.ceil((nowMs + issue.expiresInMs) / 1000),
    ...(command && { command }),
    ...(receiveCommands && { receiveCommands }),
    ...(roles && { roles }),
    ...(tenant !== undefined && { tenant }),
    ...(tokenId !== undefined && { jti: tokenId }),
    ...(issuer !== undefined && { iss: issuer }),
    ...(audience !== undefined && { aud: audience }),
  };
  assertAcceptable(structuredClone(payload));
  return new jose.SignJWT(payload as jose.JWTPayload).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(key);
}

/** Checks the form only: some tests issue expired tokens. */
function assertAcceptable(payload: Payload): void {
  const { exp, iat, ...timeless } = payload;
  try {
    claimsFromPayload(timeless, { clockToleranceMs: 0, expiryRequired: false }, 0);
  } catch (error) {
    throw new TailraceError('invalid_config', `the token to issue ${(error as Error).message}`, { cause: error });
  }
}
