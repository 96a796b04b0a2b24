import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { shown, TailraceError } from '@tailrace/protocol/error';

/** How a token may be signed. Closed: each key belongs to exactly one of these, so that no token chooses how its key is used. */
export type TokenAlgorithm = 'HS256' | 'RS256' | 'ES256';

/** Where keys come from. A source is for its own algorithms only: a secret for HS256, public keys for RS256 and ES256. */
export type KeySource = SecretSource | PublicKeysSource | JwksUrlSource;

export interface SecretSource {
  /** Shared secret of HS256, at least 32 bytes (RFC 7518, section 3.2). */
  readonly secret: string;
}

export interface PublicKeysSource {
  /** One or more PEM blocks (public keys or certificates), or a JSON Web Key Set (RFC 7517). At most 256 KiB and 64 keys. */
  readonly publicKeys: string;
}

/** A JSON Web Key Set that its issuer publishes and rotates. Redirects are not followed; an answer has at most 256 KiB and 64 keys. */
export interface JwksUrlSource {
  /** http or https, without a user or password. */
  readonly jwksUrl: string;
  /** How long keys are used before the URL is asked again. Default: 10 min: how long a key that was taken back may go on. */
  readonly cacheAgeMs?: number;
  /** Least time from the end of one request to the next, whatever unknown keys tokens name. Default: 30 s; before there are any keys 5 s at most. */
  readonly cooldownMs?: number;
  /** For a whole answer. Default: 5 s. */
  readonly deadlineMs?: number;
}

/** A key that checks signatures of one algorithm. One object as long as its set holds it. */
export interface TokenKey {
  readonly algorithm: TokenAlgorithm;
  /** `kid`. Undefined: the key has no name, and is tried for every token of its algorithm. */
  readonly id: string | undefined;
  readonly key: KeyObject | Uint8Array;
  /** Equal for equal keys of the same name. */
  readonly fingerprint: string;
  /** Its set has dropped it: what it signed does not hold any more. */
  withdrawn: boolean;
}

/** The keys of one source. */
export interface KeySet {
  readonly algorithms: readonly TokenAlgorithm[];
  keys(): readonly TokenKey[];
  /** Whether the keys are recent enough to be used without `ready`. */
  fresh(): boolean;
  /** Waits for recent keys where waiting promises any. Never rejects. */
  ready(): Promise<void>;
  /** Asks for newer keys, as often as the source may be asked; waits for them. Never rejects. */
  renew(): Promise<void>;
  /** Why a token whose key is not here may be good all the same; undefined: it is not. */
  doubt(): string | undefined;
}

export const keysTextBytesMax = 256 * 1024;
export const keysMax = 64;
/** Of `kid`, in characters. */
export const keyIdCharactersMax = 200;
const secretBytesMin = 32;
const rsaBitsMin = 2_048;
/** A larger one costs more to check than a token is worth. */
const rsaBitsMax = 8_192;

/** Keys that stay as they are. */
export function fixedKeys(algorithms: readonly TokenAlgorithm[], keys: readonly TokenKey[]): KeySet {
  const nothing = async () => {};
  return { algorithms, keys: () => keys, fresh: () => true, ready: nothing, renew: nothing, doubt: () => undefined };
}

/** The bytes of a shared secret. Throws `invalid_config`; the secret is not in the message. */
export function secretKey(secret: string): Uint8Array {
  if (/-----BEGIN |"kty"/.test(secret)) {
    throw new TailraceError(
      'invalid_config',
      'the token secret is a PEM or JSON Web Key; as a secret it would be known to all who know the key: right is tokenPublicKeys',
    );
  }
  const key = new TextEncoder().encode(secret);
  if (key.byteLength >= secretBytesMin) return key;
  throw new TailraceError(
    'invalid_config',
    `the token secret has ${key.byteLength} bytes; HS256 needs at least ${secretBytesMin}: make one with openssl rand -base64 48`,
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
  /** Those that are not for checking tokens, a sentence each: encryption keys, other algorithms, weak keys. */
  readonly passedOver: readonly string[];
}

/** The keys in PEM blocks or in a key set's JSON. Throws `invalid_config` when there is none to use, or a private one among them. */
export function publicKeysFromText(text: string): KeysFromText {
  if (text.length > keysTextBytesMax) throw ill(`have ${text.length} bytes; at most ${keysTextBytesMax} are read`);
  return text.trimStart().startsWith('{') ? keysFromJwks(text) : keysFromPem(text);
}

/** Environment variables often carry the two characters \n for a line's end. */
function keysFromPem(text: string): KeysFromText {
  const blocks = text.replaceAll('\\n', '\n').match(/-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g) ?? [];
  if (blocks.length === 0)
    throw ill('are neither PEM (-----BEGIN PUBLIC KEY-----) nor a JSON Web Key Set ({"keys":[…]})');
  if (blocks.length > keysMax) throw ill(`are ${blocks.length}; at most ${keysMax} are taken`);
  const keys = blocks.map((block, index) => {
    const label = /BEGIN ([A-Z0-9 ]+)-/.exec(block)![1]!;
    if (label.includes('PRIVATE')) throw privateKey(index);
    if (!['PUBLIC KEY', 'RSA PUBLIC KEY', 'CERTIFICATE'].includes(label)) {
      throw ill(`have ${shown(label)} as number ${index + 1}; PUBLIC KEY or CERTIFICATE is right`);
    }
    const key = imported(index, () => createPublicKey(block));
    return tokenKey(key, undefined, index);
  });
  return { keys, passedOver: [] };
}

type Jwk = Readonly<Record<string, unknown>>;

function keysFromJwks(text: string): KeysFromText {
  const list = listOfJwks(text);
  if (list.length > keysMax) throw ill(`are ${list.length}; at most ${keysMax} are taken`);
  const keys: TokenKey[] = [];
  const passedOver: string[] = [];
  list.forEach((jwk, index) => {
    if ('d' in jwk || jwk['kty'] === 'oct') throw privateKey(index);
    try {
      keys.push(keyFromJwk(jwk, index));
    } catch (error) {
      passedOver.push((error as Error).message);
    }
  });
  if (keys.length > 0) return { keys, passedOver };
  throw ill(`have none to check tokens with${passedOver.length > 0 ? `: ${passedOver[0]}` : ''}`);
}

function listOfJwks(text: string): readonly Jwk[] {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw ill('are not JSON; a JSON Web Key Set {"keys":[…]} is right', error);
  }
  const list = (content as { keys?: unknown } | null)?.keys;
  if (Array.isArray(list) && list.every((jwk) => typeof jwk === 'object' && jwk !== null)) return list as Jwk[];
  throw ill('are no JSON Web Key Set; {"keys":[{"kty":…},…]} is right');
}

function keyFromJwk(jwk: Jwk, index: number): TokenKey {
  const { kty, kid, alg, use, key_ops: operations } = jwk;
  if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > keyIdCharactersMax)) {
    throw ill(`have ${shown(kid)} as the kid of number ${index + 1}`);
  }
  if (use !== undefined && use !== 'sig') throw ill(`have number ${index + 1} for the use ${shown(use)}; sig is right`);
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    throw ill(`have number ${index + 1} for ${shown(operations)}; verify is right`);
  }
  // Only the members of the key itself: whatever else a set may hold has no say in how it is read.
  const { n, e, crv, x, y } = jwk as Record<string, string>;
  const members = kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y };
  if (kty !== 'RSA' && kty !== 'EC')
    throw ill(`have number ${index + 1} of the kind ${shown(kty)}; RSA or EC is right`);
  const key = imported(index, () => createPublicKey({ key: members as Record<string, string>, format: 'jwk' }));
  const made = tokenKey(key, kid, index);
  if (alg === undefined || alg === made.algorithm) return made;
  throw ill(`have number ${index + 1} for the algorithm ${shown(alg)}; ${made.algorithm} is right for its kind`);
}

function imported(index: number, key: () => KeyObject): KeyObject {
  try {
    return key();
  } catch (error) {
    throw ill(`cannot be read: number ${index + 1} is damaged`, error);
  }
}

function tokenKey(key: KeyObject, id: string | undefined, index: number): TokenKey {
  const algorithm = algorithmOf(key, index);
  const hash = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('base64');
  return { algorithm, id, key, fingerprint: `${hash} ${id ?? ''}`, withdrawn: false };
}

/** The one algorithm that a key is for, by what it is; never by what a token says. */
function algorithmOf(
  { asymmetricKeyType: kind, asymmetricKeyDetails: details }: KeyObject,
  index: number,
): TokenAlgorithm {
  if (kind === 'rsa') {
    const bits = details?.modulusLength ?? 0;
    // With an exponent of 1 every text is its own signature.
    if (bits >= rsaBitsMin && bits <= rsaBitsMax && (details?.publicExponent ?? 0n) >= 3n) return 'RS256';
    throw ill(`have an RSA key of ${bits} bits as number ${index + 1}; ${rsaBitsMin} to ${rsaBitsMax} are right`);
  }
  if (kind === 'ec' && details?.namedCurve === 'prime256v1') return 'ES256';
  const what = details?.namedCurve ?? kind;
  throw ill(`have a key of the kind ${shown(what)} as number ${index + 1}; RSA (RS256) or P-256 (ES256) is right`);
}

function privateKey(index: number): TailraceError {
  return ill(`have a private or secret key as number ${index + 1}; only public ones belong here`);
}

function ill(fault: string, cause?: unknown): TailraceError {
  return new TailraceError('invalid_config', `the public keys of tokens ${fault}`, { cause });
}
