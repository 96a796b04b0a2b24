import type { ClientCertificate } from '@tailrace/platform/client-certificate';
import type { Clock } from '@tailrace/platform/clock';
import type { CredentialVerifier, Presented } from '@tailrace/platform/credentials';
import type { Claims } from '@tailrace/platform/token';
import { identityOf } from '@tailrace/platform/token-identity';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Grant } from '../intake/record-from.ts';
import { authWindowMs, type Nonces } from './nonces.ts';

/** Whose session it is, where that follows from the claims. */
export interface SessionIdentity {
  /** The device; of a gateway without one of its own, a path of which it is the only user. */
  readonly device: string;
  readonly isGateway: boolean;
}

/** What a device sends to authenticate, in any protocol. Absent texts are '', an absent time is 0. */
export interface AuthRequest {
  /** Device path; '' if `identify` has it. */
  readonly device: string;
  readonly identify?: (claims: Claims, grant: Grant) => SessionIdentity;
  /**
   * Called once the device is verified, and before its session replaces another one. Returns whether the protocol
   * accepts it; if not, the protocol has closed the connection.
   */
  readonly accepts?: (claims: Claims) => boolean;
  readonly token: string;
  /** Epoch ms by the device's clock, with a nonce. */
  readonly time: number;
  /** 8 to 64 characters. */
  readonly nonce: string;
  /** The one of this connection, instead of time and nonce. */
  readonly challenge: string;
  /** ID of the credential whose secret has signed, instead of a token. */
  readonly keyId: string;
  /** Of the challenge. */
  readonly signature: string;
  /** Random for each boot of the device. */
  readonly instance: string;
}

/** What a connection has beside its messages. */
export interface AuthConnection {
  /** Of its `Authorization`; '' for none. */
  readonly token: string;
  readonly certificate: ClientCertificate | undefined;
  readonly address: string;
}

/** What `Admission` has for devices that authenticate. */
interface AuthAdmission {
  /** Counts a connection whose token waits for keys that are being fetched. */
  enterUnverified(address: string): void;
  leaveUnverified(address: string): void;
  grantOf(claims: Claims): Grant;
}

/** What verifies the tokens, certificates and signatures of devices. */
export type DeviceVerifier = Pick<CredentialVerifier, 'cached' | 'verify' | 'signed' | 'refusedLogin'>;

export interface AuthenticatorOptions {
  readonly credentials: DeviceVerifier;
  readonly nonces: Nonces;
  readonly admission: AuthAdmission;
  readonly clock: Pick<Clock, 'now'>;
}

export type AuthResult = (error: TailraceError | undefined, claims: Claims | undefined) => void;

const nonceCharactersMin = 8;

/**
 * Authenticates devices, and refuses a recorded `auth` that is sent again. A request is fresh if it repeats the
 * challenge of its connection, or has a time near this server's and a nonce that was not used before.
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /**
   * Calls `done` once, at once if what the device presents is known already. Errors: `invalid_message` without
   * challenge or nonce, `unauthorized`, `forbidden` if the claims do not cover the device, `unavailable` while keys
   * cannot be fetched, and the errors of `enterUnverified`. `limit_reached`: the nonces are full.
   *
   * `challenge`: of the connection; '' if it was used. Undefined: the connection is authenticated already, and only a
   * sender on it can renew its claims, so that the request needs neither challenge nor nonce. Undefined also for MQTT,
   * whose CONNECT has no place for either.
   */
  authenticate(auth: AuthRequest, connection: AuthConnection, challenge: string | undefined, done: AuthResult): void {
    const { credentials, clock } = this.#options;
    const isSigned = auth.signature !== '';
    const presented = isSigned ? undefined : presentedFrom(auth, connection);
    const isFresh = challenge === undefined;
    const stale = isFresh ? undefined : staleReason(auth, challenge, clock.now());
    if (stale !== undefined) {
      if (stale.outcome !== undefined) credentials.refusedLogin(presented, stale.outcome);
      done(stale.error, undefined);
      return;
    }
    if (presented === undefined) {
      let claims: Claims;
      try {
        claims = credentials.signed(auth.keyId, auth.device, challenge ?? '', auth.signature);
      } catch (thrown) {
        done(tailraceErrorFrom(thrown), undefined);
        return;
      }
      this.#verified(auth, presented, claims, isFresh, done);
      return;
    }
    const known = credentials.cached(presented);
    if (known !== undefined) this.#verified(auth, presented, known, isFresh, done);
    else void this.#verify(auth, presented, connection.address, isFresh, done);
  }

  /** Never rejects. */
  async #verify(
    auth: AuthRequest,
    presented: Presented,
    address: string,
    isFresh: boolean,
    done: AuthResult,
  ): Promise<void> {
    const { credentials, admission } = this.#options;
    let isCounted = false;
    let claims: Claims;
    try {
      claims = await credentials
        .verify(presented, () => {
          if (isCounted) return;
          admission.enterUnverified(address);
          isCounted = true;
        })
        .finally(() => {
          if (isCounted) admission.leaveUnverified(address);
        });
    } catch (thrown) {
      done(tailraceErrorFrom(thrown), undefined);
      return;
    }
    this.#verified(auth, presented, claims, isFresh, done);
  }

  /** The nonce counts for a verified sender only, so that others cannot fill the memory. */
  #verified(
    auth: AuthRequest,
    presented: Presented | undefined,
    claims: Claims,
    isFresh: boolean,
    done: AuthResult,
  ): void {
    const { device, challenge, time, nonce } = auth;
    const { admission, nonces, credentials } = this.#options;
    const grant = admission.grantOf(claims);
    if (device === '' ? claims.publish.length === 0 : !grant.allowsDevice(device)) {
      const message = device === '' ? grant.covers : `${shown(device)} is not covered: ${grant.covers}`;
      done(new TailraceError('forbidden', message), undefined);
      return;
    }
    const state = isFresh || challenge !== '' ? 'new' : nonces.take(identityOf(claims), time, nonce);
    if (state === 'new') done(undefined, claims);
    else if (state === 'seen') {
      credentials.refusedLogin(presented, 'replayed');
      done(replayed('nonce: expected one that was not used before'), undefined);
    } else {
      const message = 'this server has as many nonces as it can remember: try again in a minute, or use the challenge';
      done(new TailraceError('limit_reached', message, { retryable: true }), undefined);
    }
  }
}

interface StaleReason {
  /** For the counter of logins; undefined for an invalid message. */
  readonly outcome: 'replayed' | 'clock' | undefined;
  readonly error: TailraceError;
}

/** Returns why the request may be a recorded one; undefined if it is fresh, apart from its nonce. */
function staleReason(
  { challenge, time, nonce }: AuthRequest,
  expected: string,
  nowMs: number,
): StaleReason | undefined {
  if (challenge !== '') {
    if (challenge === expected) return undefined;
    return {
      outcome: 'replayed',
      error: replayed('challenge: expected the one of the hello of this connection, once'),
    };
  }
  if (time === 0 || nonce.length < nonceCharactersMin) {
    const wanted = `the challenge, or time and a nonce of ${nonceCharactersMin} to 64 characters`;
    return { outcome: undefined, error: new TailraceError('invalid_message', `auth: expected ${wanted}, got neither`) };
  }
  if (Math.abs(time - nowMs) <= authWindowMs) return undefined;
  const window = `within ${authWindowMs} ms of the clock of the server, which is at ${nowMs}`;
  const message = `time: expected ${window}, got ${time}; a device without a clock uses the challenge`;
  return { outcome: 'clock', error: new TailraceError('unauthorized', message) };
}

function replayed(message: string): TailraceError {
  return new TailraceError('unauthorized', `${message}, got another: a recorded message is not accepted again`);
}

/** The token of the message, then of the handshake, then the certificate. */
function presentedFrom({ token }: AuthRequest, connection: AuthConnection): Presented {
  if (token !== '') return { token };
  return { token: connection.token, certificate: connection.certificate };
}
