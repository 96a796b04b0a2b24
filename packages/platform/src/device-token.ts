import { hash, randomBytes } from 'node:crypto';

/** The ID and the secret of a device token. */
export interface DeviceToken {
  /** 16 characters of base64url, 96 random bits. */
  readonly id: string;
  /** 43 characters of base64url, 256 random bits. */
  readonly secret: string;
}

/** The prefix of a device token, by which scanners for leaked secrets find it. No JSON Web Token starts with it. */
const prefix = 'tr1_';

/** ID and secret may have `_`, so their lengths separate them. */
const form = /^tr1_([\w-]{16})_([\w-]{43})$/;

export function isDeviceToken(token: string): boolean {
  return token.startsWith(prefix);
}

/** Returns the parts of a device token; undefined for another text. */
export function deviceTokenFrom(token: string): DeviceToken | undefined {
  const [, id, secret] = form.exec(token) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

export function deviceTokenText({ id, secret }: DeviceToken): string {
  return `${prefix}${id}_${secret}`;
}

/** Returns a new token. `random`: returns this many random bytes. */
export function createDeviceToken(random: (bytes: number) => Buffer = randomBytes): DeviceToken {
  return { id: random(12).toString('base64url'), secret: random(32).toString('base64url') };
}

/**
 * Returns what is stored of a secret: the SHA-256 of its text, in base64url. A slow hash for passwords would protect
 * nothing here: a secret of 256 random bits cannot be guessed, and each request verifies one.
 */
export function secretHashOf(secret: string): string {
  return hash('sha256', secret, 'base64url');
}
