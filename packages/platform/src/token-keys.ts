import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { shown, TailraceError } from '@tailrace/protocol/error';

/** The algorithms of signatures. Each key belongs to exactly one, so that no token selects how its key is used. */
export type TokenAlgorithm = 'HS256' | 'RS256' | 'ES256';

/** A source of keys, for its own algorithms only: a secret for HS256, public keys for RS256 and ES256. */
export type KeySource = SecretSource | PublicKeysSource | JwksUrlSource;

export interface SecretSource {
  /** Shared secret of HS256, at least 32 bytes (RFC 7518, section 3.2). */
  readonly secret: string;
}

export interface PublicKeysSource {
  /**
   * One or more PEM blocks (public keys or certificates), or a JSON Web Key Set (RFC 7517). At most 256 KiB and 64
   * keys.
   */
  readonly publicKeys: string;
}

/** The URL of a JSON Web Key Set that its issuer rotates. Redirects are not followed; at most 256 KiB and 64 keys. */
export interface JwksUrlSource {
  /** http or https, without a user or password. */
  readonly jwksUrl: string;
  /**
   * How long keys are used before they are fetched again. Default: 10 min, for which a withdrawn key may stay in use.
   */
  readonly cacheAgeMs?: number;
  /** Minimum time between two requests, also for tokens with unknown keys. Default: 30 s; without keys at most 5 s. */
  readonly cooldownMs?: number;
  /** For a complete response. Default: 5 s. */
  readonly deadlineMs?: number;
}

/** A key for signatures of one algorithm. The same object as long as its set has it. */
export interface TokenKey {
  readonly algorithm: TokenAlgorithm;
  /** `kid`. Undefined: the key has no ID, and is tried for every token of its algorithm. */
  readonly id: string | undefined;
  readonly key: KeyObject | Uint8Array;
  /** Equal for equal keys of the same ID. */
  readonly fingerprint: string;
  /** Its set no longer has it: tokens signed by it are invalid. */
  withdrawn: boolean;
}

/** The keys of one source. */
export interface KeySet {
  readonly algorithms: readonly TokenAlgorithm[];
  keys(): readonly TokenKey[];
  /** Returns whether the keys are recent enough to be used without `ready`. */
  fresh(): boolean;
  /** Waits for recent keys if they may come. Never rejects. */
  ready(): Promise<void>;
  /** Fetches newer keys, except during the cooldown, and waits for them. Never rejects. */
  renew(): Promise<void>;
  /** Returns why a token with an unknown key may still be valid; undefined: it is not. */
  unavailableReason(): string | undefined;
}

export const keysTextBytesMax = 256 * 1024;
export const keysMax = 64;
/** Of `kid`, in characters. */
export const keyIdCharactersMax = 200;
const secretBytesMin = 32;
const rsaBitsMin = 2_048;
/** A larger one costs more to check than a token is worth. */
const rsaBitsMax = 8_192;

/** Returns keys that never change. */
export function fixedKeys(algorithms: readonly TokenAlgorithm[], keys: readonly TokenKey[]): KeySet {
  const nothing = async () => {};
  return {
    algorithms,
    keys: () => keys,
    fresh: () => true,
    ready: nothing,
    renew: nothing,
    unavailableReason: () => undefined,
  };
}

/** Returns the bytes of a shared secret. Throws `invalid_config` without the secret in the message. */
export function secretKey(secret: string): Uint8Array {
  if (/-----BEGIN |"kty"/.test(secret)) {
    throw new TailraceError(
      'invalid_config',
      'token secret: expected a shared secret, got a PEM or JSON Web Key: set it as tokenPublicKeys',
    );
  }
  const key = new TextEncoder().encode(secret);
  if (key.byteLength >= secretBytesMin) return key;
  throw new TailraceError(
    'invalid_config',
    `token secret: expected at least ${secretBytesMin} bytes (HS256), got ${key.byteLength}: make one with openssl rand -base64 48`,
  );
}

export function secretKeys(secret: string): KeySet {
  return fixedKeys(
    ['HS256'],
    [{ algorithm: 'HS256', id: undefined, key: secretKey(secret), fingerprint: 'secret', withdrawn: false }],
  );
}

export interface KeysFromText {
  readonly keys: readonly TokenKey[];
  /** A message for each key that is not for checking tokens: encryption keys, other algorithms, weak keys. */
  readonly skipped: readonly string[];
}

/** Returns the keys of PEM blocks or of a key set. Throws `invalid_config` if none can be used, or one is private. */
export function publicKeysFromText(text: string): KeysFromText {
  if (text.length > keysTextBytesMax)
    throw invalidKeys(`expected at most ${keysTextBytesMax} bytes, got ${text.length}`);
  return text.trimStart().startsWith('{') ? keysFromJwks(text) : keysFromPem(text);
}

/** Environment variables often have the two characters \n for a line break. */
function keysFromPem(text: string): KeysFromText {
  const blocks = text.replaceAll('\\n', '\n').match(/-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g) ?? [];
  if (blocks.length === 0)
    throw invalidKeys('expected PEM (-----BEGIN PUBLIC KEY-----) or a JSON Web Key Set ({"keys":[…]})');
  if (blocks.length > keysMax) throw invalidKeys(`expected at most ${keysMax}, got ${blocks.length}`);
  const keys = blocks.map((block, index) => {
    const label = /BEGIN ([A-Z0-9 ]+)-/.exec(block)![1]!;
    if (label.includes('PRIVATE')) throw privateKeyError(index);
    if (!['PUBLIC KEY', 'RSA PUBLIC KEY', 'CERTIFICATE'].includes(label)) {
      throw invalidKey(index, `expected PUBLIC KEY or CERTIFICATE, got ${shown(label)}`);
    }
    const key = imported(index, () => createPublicKey(block));
    return tokenKeyFrom(key, undefined, index);
  });
  return { keys, skipped: [] };
}

type Jwk = Readonly<Record<string, unknown>>;

function keysFromJwks(text: string): KeysFromText {
  const list = listOfJwks(text);
  if (list.length > keysMax) throw invalidKeys(`expected at most ${keysMax}, got ${list.length}`);
  const keys: TokenKey[] = [];
  const skipped: string[] = [];
  list.forEach((jwk, index) => {
    if ('d' in jwk || jwk['kty'] === 'oct') throw privateKeyError(index);
    try {
      keys.push(keyFromJwk(jwk, index));
    } catch (error) {
      skipped.push((error as Error).message);
    }
  });
  if (keys.length > 0) return { keys, skipped };
  throw invalidKeys(`none is for checking tokens${skipped.length > 0 ? `: ${skipped[0]}` : ''}`);
}

function listOfJwks(text: string): readonly Jwk[] {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw invalidKeys('expected a JSON Web Key Set {"keys":[…]}, got invalid JSON', error);
  }
  const list = (content as { keys?: unknown } | null)?.keys;
  if (Array.isArray(list) && list.every((jwk) => typeof jwk === 'object' && jwk !== null)) return list as Jwk[];
  throw invalidKeys('expected a JSON Web Key Set {"keys":[{"kty":…},…]}, got another object');
}

function keyFromJwk(jwk: Jwk, index: number): TokenKey {
  const { kty, kid, alg, use, key_ops: operations } = jwk;
  if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > keyIdCharactersMax)) {
    throw invalidKey(index, `expected a kid of 1 to ${keyIdCharactersMax} characters, got ${shown(kid)}`);
  }
  if (use !== undefined && use !== 'sig') throw invalidKey(index, `expected the use sig, got ${shown(use)}`);
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    throw invalidKey(index, `expected the operation verify, got ${shown(operations)}`);
  }
  // Only the members of the key itself: others must not affect how it is read.
  const { n, e, crv, x, y } = jwk as Record<string, string>;
  const members = kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y };
  if (kty !== 'RSA' && kty !== 'EC') throw invalidKey(index, `expected the type RSA or EC, got ${shown(kty)}`);
  const key = imported(index, () => createPublicKey({ key: members as Record<string, string>, format: 'jwk' }));
  const tokenKey = tokenKeyFrom(key, kid, index);
  if (alg === undefined || alg === tokenKey.algorithm) return tokenKey;
  throw invalidKey(index, `expected the algorithm ${tokenKey.algorithm} for its type, got ${shown(alg)}`);
}

function imported(index: number, key: () => KeyObject): KeyObject {
  try {
    return key();
  } catch (error) {
    throw invalidKey(index, 'expected a valid key, got a damaged one', error);
  }
}

function tokenKeyFrom(key: KeyObject, id: string | undefined, index: number): TokenKey {
  const algorithm = algorithmOf(key, index);
  const hash = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('base64');
  return { algorithm, id, key, fingerprint: `${hash} ${id ?? ''}`, withdrawn: false };
}

/** Returns the one algorithm of a key, by its type; never by a token. */
function algorithmOf(
  { asymmetricKeyType: kind, asymmetricKeyDetails: details }: KeyObject,
  index: number,
): TokenAlgorithm {
  if (kind === 'rsa') {
    const bits = details?.modulusLength ?? 0;
    // With an exponent of 1 every text is its own signature.
    if (bits >= rsaBitsMin && bits <= rsaBitsMax && (details?.publicExponent ?? 0n) >= 3n) return 'RS256';
    throw invalidKey(
      index,
      `expected an RSA key of ${rsaBitsMin} to ${rsaBitsMax} bits, with an exponent of at least 3, got ${bits} bits`,
    );
  }
  if (kind === 'ec' && details?.namedCurve === 'prime256v1') return 'ES256';
  const what = details?.namedCurve ?? kind;
  throw invalidKey(index, `expected RSA (RS256) or P-256 (ES256), got ${shown(what)}`);
}

function privateKeyError(index: number): TailraceError {
  return invalidKey(index, 'expected a public key, got a private or secret key');
}

function invalidKey(index: number, reason: string, cause?: unknown): TailraceError {
  return invalidKeys(`number ${index + 1}: ${reason}`, cause);
}

function invalidKeys(reason: string, cause?: unknown): TailraceError {
  return new TailraceError('invalid_config', `public keys of tokens: ${reason}`, { cause });
}
