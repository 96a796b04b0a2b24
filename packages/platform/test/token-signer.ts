import { createHmac, generateKeyPairSync, type JsonWebKey, type KeyObject, sign } from 'node:crypto';

/** The year 2100, in seconds. */
export const farSeconds = 4_102_444_800;

/** An issuer's key pair, which signs any claims, with headers that no library would write. */
export interface TestKey {
  readonly algorithm: 'RS256' | 'ES256';
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  readonly pem: string;
  /** The public key as a member of a key set. */
  jwk(more?: object): JsonWebKey;
  /** Returns a token with `{ alg }` and `{ sub: 'anna', exp }`, and with the given header and claims over them. */
  token(claims?: object, header?: object): string;
}

export function createTestKey(kind: 'rsa' | 'ec', options: { bits?: number; curve?: string } = {}): TestKey {
  const { publicKey, privateKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: options.bits ?? 2_048 })
      : generateKeyPairSync('ec', { namedCurve: options.curve ?? 'prime256v1' });
  const algorithm = kind === 'rsa' ? 'RS256' : 'ES256';
  return {
    algorithm,
    publicKey,
    privateKey,
    pem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    jwk: (more = {}) => ({ ...publicKey.export({ format: 'jwk' }), ...more }),
    token(claims, header) {
      const signed = signingInput({ alg: algorithm, ...header }, claims);
      const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return `${signed}.${signature.toString('base64url')}`;
    },
  };
}

/** Returns a token of HS256, or of the algorithm in `header`, with any bytes as the secret. */
export function secretToken(secret: string | Buffer, claims?: object, header?: object): string {
  const signed = signingInput({ alg: 'HS256', ...header }, claims);
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

function signingInput(header: object, claims: object = {}): string {
  return [header, { sub: 'anna', exp: farSeconds, ...claims }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
}

export const keySetText = (...keys: readonly object[]): string => JSON.stringify({ keys });
