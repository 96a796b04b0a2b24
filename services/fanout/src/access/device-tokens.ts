import type { ControlTopic } from '@tailrace/eventlog/control-topic';
import type { Clock } from '@tailrace/platform/clock';
import {
  type DeviceCredential,
  type DeviceCredentials,
  labelCharactersMax,
  publishedBy,
} from '@tailrace/platform/device-credentials';
import { createDeviceToken, deviceTokenText, secretHashOf } from '@tailrace/platform/device-token';
import type { Revocations } from '@tailrace/platform/revocation';
import type { Claims } from '@tailrace/platform/token';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { assertDevicePath, tenantOf } from '@tailrace/protocol/path';
import { patternCovers, patternMatches } from '@tailrace/protocol/pattern';
import { isPlainText } from '@tailrace/protocol/text';
import { mistakenUnitOf } from '@tailrace/protocol/time-unit';

/** An operator, as far as it decides which devices they may issue tokens for. */
export type Operator = Pick<Claims, 'subject' | 'tenant'>;

/** A request for a device token. */
export interface TokenRequest {
  readonly device: string;
  /** Whether the token is also for the devices below the path. */
  readonly isGateway: boolean;
  /** Epoch ms; null: never; undefined: `defaultLifeMs` from now. */
  readonly expiresAt: number | null | undefined;
  readonly label: string;
}

/** The answer to a request: the only place of the token. */
export interface IssuedToken {
  readonly id: string;
  readonly token: string;
  readonly device: string;
  readonly publish: readonly string[];
  /** Epoch ms. Undefined: never. */
  readonly expiresAt?: number;
}

/** A credential in a list, without the hash of its secret. */
export type ListedToken = Omit<DeviceCredential, 'secretSha256'>;

export interface TokenPage {
  readonly credentials: readonly ListedToken[];
  readonly next?: string;
}

const dayMs = 86_400_000;
const defaultLifeMs = 365 * dayMs;
/** Ten years. */
const lifeMsMax = 3_653 * dayMs;
/** Enough for a rotation, and for a backup. Two nodes that issue at the same time may exceed it. */
const tokensPerDeviceMax = 10;

export interface DeviceTokensOptions {
  readonly clock: Pick<Clock, 'now'>;
  readonly control: Pick<ControlTopic, 'issue' | 'revoke'>;
  readonly credentials: Pick<DeviceCredentials, 'isFull' | 'countOf' | 'find' | 'page'>;
  readonly revocations: Pick<Revocations, 'revoked'>;
  /** Whether tokens that never expire are refused. */
  readonly expiryRequired: boolean;
  /** Returns this many random bytes. Default: the system's. */
  readonly random?: (bytes: number) => Buffer;
}

/** Issues, lists and revokes the tokens of devices, for operators. An operator of a tenant sees only its devices. */
export class DeviceTokens {
  readonly #options: DeviceTokensOptions;

  constructor(options: DeviceTokensOptions) {
    this.#options = options;
  }

  /**
   * Resolves with a new token when it is durable and this node has read it. Rejects with `invalid_path`,
   * `invalid_message`, `forbidden` for a device of another tenant, `limit_reached`, and as `ControlTopic.issue` does.
   */
  async issue(request: TokenRequest, operator: Operator): Promise<IssuedToken> {
    const { clock, control, credentials, random } = this.#options;
    const { device, isGateway: gateway, label } = request;
    assertDevicePath(device);
    assertOwn(device, operator);
    if (label.length > labelCharactersMax || !isPlainText(label))
      throw invalid(`label: expected at most ${labelCharactersMax} characters without control characters`, label);
    const issuedAt = clock.now();
    const expiresAt = this.#expiryOf(request.expiresAt, issuedAt);
    if (credentials.countOf(device) >= tokensPerDeviceMax)
      throw new TailraceError(
        'limit_reached',
        `device tokens of ${device}: expected at most ${tokensPerDeviceMax}, got one more: revoke one that is not used`,
      );
    if (credentials.isFull)
      throw new TailraceError(
        'limit_reached',
        'the server has as many device tokens as credentialsMax allows: revoke some, or raise it',
      );
    const { id, secret } = createDeviceToken(random);
    const end = expiresAt === undefined ? {} : { expiresAt };
    await control.issue({
      id,
      device,
      gateway,
      secretSha256: secretHashOf(secret),
      issuedAt,
      ...end,
      issuedBy: operator.subject,
      label,
    });
    return { id, token: deviceTokenText({ id, secret }), device, publish: publishedBy({ device, gateway }), ...end };
  }

  /** Returns a page of the tokens whose devices the pattern covers, by ID, see `DeviceCredentials.page`. */
  list(pattern: string, after: string, limit: number, { tenant }: Operator): TokenPage {
    const isListed = ({ device }: DeviceCredential) =>
      patternMatches(pattern, device) && (tenant === undefined || tenantOf(device) === tenant);
    const { credentials, next } = this.#options.credentials.page(after, limit, isListed);
    return { credentials: credentials.map(listed), ...(next === undefined ? {} : { next }) };
  }

  /**
   * Resolves when the revocation is durable; at once for a token that is revoked already. Rejects with `not_found` for
   * an unknown ID, also for that of another tenant, and as `ControlTopic.revoke` does.
   */
  async revoke(id: string, operator: Operator): Promise<void> {
    const { control, credentials, revocations } = this.#options;
    const credential = credentials.find(id);
    if (credential === undefined && revocations.revoked({ subject: '', tokenId: id })) return;
    if (credential === undefined || !isOwn(credential.device, operator))
      throw new TailraceError('not_found', `expected the ID of a device token, got ${shown(id)}`);
    const { expiresAt } = credential;
    await control.revoke({ tokenId: id, ...(expiresAt === undefined ? {} : { expiresAt }) });
  }

  #expiryOf(requested: number | null | undefined, nowMs: number): number | undefined {
    if (requested === undefined) return nowMs + defaultLifeMs;
    if (requested === null) {
      if (!this.#options.expiryRequired) return undefined;
      throw invalid('expiresAt: expected a time, because tokenExpiryRequired is set', requested);
    }
    const unit = mistakenUnitOf(requested);
    if (unit !== undefined) throw invalid(`expiresAt: expected epoch ms, not ${unit}`, requested);
    if (requested <= nowMs || requested > nowMs + lifeMsMax)
      throw invalid('expiresAt: expected a time in the future, at most ten years from now', requested);
    return requested;
  }
}

function listed({ id, device, gateway, issuedAt, expiresAt, issuedBy, label }: DeviceCredential): ListedToken {
  return { id, device, gateway, issuedAt, issuedBy, ...(expiresAt === undefined ? {} : { expiresAt }), label };
}

function isOwn(device: string, { tenant }: Operator): boolean {
  return tenant === undefined || device === tenant || patternCovers(`${tenant}.>`, device);
}

function assertOwn(device: string, operator: Operator): void {
  if (isOwn(device, operator)) return;
  throw new TailraceError(
    'forbidden',
    `device: expected one of the tenant ${shown(operator.tenant)} of the operator, got ${shown(device)}`,
  );
}

function invalid(expected: string, value: unknown): TailraceError {
  return new TailraceError('invalid_message', `${expected}, got ${shown(value)}`);
}
