import { createHmac, timingSafeEqual } from 'node:crypto';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { CertificateRules } from './certificate-rules.ts';
import type { ClientCertificate } from './client-certificate.ts';
import type { Clock } from './clock.ts';
import { type RefusalKind, refusal, refusalKindOf } from './credential-refusal.ts';
import type { DeviceCredentials, KnownCredential } from './device-credentials.ts';
import { deviceTokenFrom, isDeviceToken, secretHashOf } from './device-token.ts';
import type { Counter } from './measures.ts';
import type { Metrics } from './metrics.ts';
import type { Revocations } from './revocation.ts';
import type { TokenVerifier } from './token.ts';
import { type Claims, isExpired } from './token-claims.ts';

/** What a client presents. A token decides, if there is one. */
export interface Presented {
  /** A JSON Web Token or a device token; undefined or empty for none. */
  readonly token: string | undefined;
  /** Of the TLS handshake of the client, also if that was with a proxy. Used without a token only. */
  readonly certificate?: ClientCertificate | undefined;
}

export interface CredentialVerifierOptions {
  /** Of JSON Web Tokens. */
  readonly tokens: TokenVerifier;
  /** Of device tokens. */
  readonly credentials: Pick<DeviceCredentials, 'find'>;
  /** Of client certificates. Default: none is accepted. */
  readonly rules?: CertificateRules;
  /** Checked at each call. */
  readonly revocations: Pick<Revocations, 'revoked'>;
  readonly clock: Pick<Clock, 'now'>;
  /** As of the tokens: how long an expired credential is accepted. */
  readonly clockToleranceMs: number;
  /** Registers the counter of logins, under the name of the service. Default: not counted. */
  readonly metrics?: Metrics;
}

const kinds = ['jwt', 'token', 'signed', 'certificate'] as const;
type Kind = (typeof kinds)[number];
/**
 * `replayed`, `clock`: a login of a device was refused because it may be a recorded one, or its time is too far from
 * the clock of the server (`refusedLogin`).
 */
const outcomes = ['ok', 'cached', 'invalid', 'expired', 'revoked', 'unavailable', 'replayed', 'clock'] as const;
type Outcome = (typeof outcomes)[number];

/** First line of what a device signs, so that a signature is of no use elsewhere. */
const signatureContext = 'tailrace-device-v1';

/**
 * Verifies what a client presents, and returns its claims: the one check of all protocols. Kinds: JSON Web Tokens;
 * device tokens, which the operators of fanout issue; client certificates, which rules map to devices.
 */
export class CredentialVerifier {
  readonly #options: CredentialVerifierOptions;
  readonly #count: (kind: Kind, outcome: Outcome) => void;

  constructor(options: CredentialVerifierOptions) {
    this.#options = options;
    this.#count = options.metrics === undefined ? () => {} : counterOf(options.metrics);
  }

  /**
   * Returns the claims if that needs no promise: of a valid device token or client certificate, and of a JSON Web Token
   * that was verified before. The same object at each call for one credential. Undefined means that `verify` is to be
   * called.
   */
  cached({ token, certificate }: Presented): Claims | undefined {
    if (!token && certificate !== undefined) {
      const claims = this.#certificateClaims(certificate);
      if (claims instanceof TailraceError) return undefined;
      this.#count('certificate', 'ok');
      return claims;
    }
    if (token !== undefined && isDeviceToken(token)) {
      const credential = this.#credentialOf(token);
      if (credential === undefined || this.#refusalOf(credential) !== undefined) return undefined;
      this.#count('token', 'ok');
      return credential.claims;
    }
    const claims = this.#options.tokens.cached(token ?? '');
    if (claims !== undefined) this.#count('jwt', 'cached');
    return claims;
  }

  /**
   * Resolves with the claims of a valid credential. Rejects with `unauthorized` and the reason, without the secret;
   * with `unavailable` while keys that may verify a JSON Web Token cannot be fetched. `onWait`: see
   * `TokenVerifier.verify`.
   */
  async verify(presented: Presented, onWait?: () => void): Promise<Claims> {
    const kind = kindOf(presented);
    const { token = '', certificate } = presented;
    try {
      let claims: Claims | TailraceError;
      if (kind === 'certificate') claims = this.#certificateClaims(certificate!);
      else if (kind === 'token') claims = this.#claimsOf(token);
      else claims = await this.#options.tokens.verify(token, onWait);
      if (claims instanceof TailraceError) throw claims;
      this.#count(kind, 'ok');
      return claims;
    } catch (error) {
      this.#count(kind, outcomeOf(error));
      throw error;
    }
  }

  /**
   * Returns the claims of a device that proves that it has the secret of a token without sending it. `signature`: the
   * base64url of HMAC-SHA-256 over `tailrace-device-v1\n<device>\n<challenge>`, keyed with the SHA-256 of the text of
   * the secret. `challenge`: of the server, for this connection, used once. Throws `unauthorized`.
   */
  signed(keyId: string, device: string, challenge: string, signature: string): Claims {
    try {
      const credential = this.#options.credentials.find(keyId);
      if (credential === undefined) throw this.#unknown(keyId);
      const key = Buffer.from(credential.secretSha256, 'base64url');
      const text = `${signatureContext}\n${device}\n${challenge}`;
      if (!isEqual(createHmac('sha256', key).update(text).digest('base64url'), signature))
        throw refusal('invalid', `the signature with the device token ${shown(keyId)} is of another secret or text`);
      const refused = this.#refusalOf(credential);
      if (refused !== undefined) throw refused;
      this.#count('signed', 'ok');
      return credential.claims;
    } catch (error) {
      this.#count('signed', outcomeOf(error));
      throw error;
    }
  }

  /**
   * Counts a login that is refused for another reason than its credential. One with a used nonce was verified before,
   * and counts twice. `presented`: undefined for a signature.
   */
  refusedLogin(presented: Presented | undefined, outcome: 'replayed' | 'clock'): void {
    this.#count(presented === undefined ? 'signed' : kindOf(presented), outcome);
  }

  #claimsOf(token: string): Claims {
    const credential = this.#credentialOf(token);
    if (credential === undefined) throw this.#unknown(deviceTokenFrom(token)?.id ?? '');
    const refused = this.#refusalOf(credential);
    if (refused !== undefined) throw refused;
    return credential.claims;
  }

  /** Returns the claims of a certificate, or why it is refused. */
  #certificateClaims(certificate: ClientCertificate): Claims | TailraceError {
    const { rules, revocations, clock, clockToleranceMs } = this.#options;
    if (rules === undefined)
      return refusal('invalid', 'expected a token, got a client certificate: there are no rules');
    try {
      const claims = rules.claimsOf(certificate);
      const nowMs = clock.now();
      const name = `the client certificate of ${shown(claims.subject)}`;
      if (revocations.revoked(claims)) return refusal('revoked', `${name} was revoked; get a new one`);
      if (isExpired(claims, clockToleranceMs, nowMs))
        return refusal('expired', `${name} expired at ${new Date(claims.expiresAt!).toISOString()}; get a new one`);
      if (claims.issuedAt! > nowMs + clockToleranceMs)
        return refusal('invalid', `${name} is not valid before ${new Date(claims.issuedAt!).toISOString()}`);
      return claims;
    } catch (error) {
      return error as TailraceError;
    }
  }

  /** Returns the credential if the token has its secret. */
  #credentialOf(token: string): KnownCredential | undefined {
    const parts = deviceTokenFrom(token);
    const credential = parts === undefined ? undefined : this.#options.credentials.find(parts.id);
    if (parts === undefined || credential === undefined) return undefined;
    return isEqual(secretHashOf(parts.secret), credential.secretSha256) ? credential : undefined;
  }

  /** A revoked credential is not known any more, but its ID still is. */
  #unknown(id: string): TailraceError {
    if (this.#options.revocations.revoked({ subject: '', tokenId: id }))
      return deviceTokenRefusal('revoked', id, 'was revoked');
    const message = 'the device token is unknown: it expired, was revoked, or was changed on the way; get a new one';
    return refusal('invalid', message);
  }

  /** Called after the proof: a message about a credential is for its bearer only. */
  #refusalOf({ id, claims }: KnownCredential): TailraceError | undefined {
    const { revocations, clock, clockToleranceMs } = this.#options;
    if (revocations.revoked(claims)) return deviceTokenRefusal('revoked', id, 'was revoked');
    if (!isExpired(claims, clockToleranceMs, clock.now())) return undefined;
    return deviceTokenRefusal('expired', id, `expired at ${new Date(claims.expiresAt!).toISOString()}`);
  }
}

function deviceTokenRefusal(kind: RefusalKind, id: string, reason: string): TailraceError {
  return refusal(kind, `the device token ${shown(id)} ${reason}; get a new one`);
}

function kindOf({ token = '', certificate }: Presented): 'jwt' | 'token' | 'certificate' {
  if (token === '' && certificate !== undefined) return 'certificate';
  return isDeviceToken(token) ? 'token' : 'jwt';
}

/** Compares two texts in a time that depends on their lengths only. */
function isEqual(text: string, other: string): boolean {
  const [a, b] = [Buffer.from(text), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function outcomeOf(error: unknown): Outcome {
  return (error as TailraceError).code === 'unauthorized' ? refusalKindOf(error) : 'unavailable';
}

function counterOf(metrics: Metrics): (kind: Kind, outcome: Outcome) => void {
  const family = metrics.counters(
    `tailrace_${metrics.service}_verifications_total`,
    'Verifications of credentials, by kind and outcome.',
    { values: { kind: kinds, outcome: outcomes } },
  );
  const handles = Object.fromEntries(
    kinds.map((kind) => [
      kind,
      Object.fromEntries(outcomes.map((outcome) => [outcome, family.with({ kind, outcome })])),
    ]),
  ) as Record<Kind, Record<Outcome, Counter>>;
  return (kind, outcome) => handles[kind][outcome].add();
}
