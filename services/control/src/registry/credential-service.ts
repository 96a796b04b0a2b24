import type { Queryable, Transaction } from '@tailrace/database/database';
import type { Timer } from '@tailrace/platform/clock';
import { type DeviceCredentials, publishedBy, subjectOf } from '@tailrace/platform/device-credentials';
import { createDeviceToken, deviceTokenText, secretHashOf } from '@tailrace/platform/device-token';
import type { Revocations } from '@tailrace/platform/revocation';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { assertDevicePath } from '@tailrace/protocol/path';
import { controlItself, entryOf } from '../audit/audit-entry.ts';
import { act, type ControlContext, orRefused } from '../control-context.ts';
import type { Act, OutboxRecord } from '../journal.ts';
import { assertMayCommand, assertMaySee, assertRole, type Requester } from '../requester.ts';
import {
  credentialRecord,
  listCredentials,
  lockCredential,
  lockDueCredentials,
  removeExpired,
  revocationRecord,
  type StoredCredential,
  storeCredential,
} from './credential-store.ts';
import { lockDevice } from './device-store.ts';

/**
 * Tokens of a device in use, and as many that were replaced and are still valid. The same as in fanout, whose operators
 * issue tokens, too.
 */
const perDeviceMax = 10;
/** Interval of the checks for tokens whose overlap has expired, ms. */
const checkMs = 1_000;
/** Tokens that one check revokes. */
const revocationsMax = 100;
/** Interval of the deletions of expired and revoked tokens, and how long they are kept, ms. */
const cleanMs = 600_000;
const keptMs = 30 * 86_400_000;

export interface CredentialRequest {
  /** Whether the token is also for the devices below the path. */
  readonly isGateway: boolean;
  readonly label: string;
  /** How long it is valid, ms. */
  readonly expiresInMs: number;
}

/** The answer to a request: the only place of the token. */
export interface IssuedCredential {
  readonly credential: StoredCredential;
  readonly token: string;
  readonly publish: readonly string[];
}

export interface CredentialServiceOptions {
  readonly context: ControlContext;
  /** What this process has read of the topic of control. */
  readonly known: Pick<DeviceCredentials, 'isFull' | 'ofDevice'>;
  readonly revocations: Pick<Revocations, 'revoked'>;
}

/**
 * Issues, rotates and revokes the tokens of devices of the registry. A token and its revocation reach all processes
 * through the topic of control, by the outbox in the transaction of the audit entry.
 */
export class CredentialService {
  readonly #options: CredentialServiceOptions;
  #timers: Timer[] = [];
  #pass: Promise<void> | undefined;

  constructor(options: CredentialServiceOptions) {
    this.#options = options;
  }

  /** Revokes the tokens whose overlap after a rotation has expired. */
  start(): void {
    const { clock } = this.#options.context;
    this.#timers = [clock.every(checkMs, () => void this.#revokeDue()), clock.every(cleanMs, () => void this.#clean())];
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    await this.#pass;
  }

  /**
   * Resolves with the tokens of a device that have not expired, those of fanout too. Rejects with `forbidden`.
   */
  async list(requester: Requester, device: string): Promise<readonly StoredCredential[]> {
    assertDevicePath(device);
    assertRole(requester, 'engineer');
    assertMaySee(requester, device);
    const { context } = this.#options;
    return await this.#ofDevice(context.database, device, context.clock.now());
  }

  /**
   * Resolves with a new token, durably. All processes accept it within a second. Rejects with `not_found` for a device
   * that is not in the registry, `conflict` for one that is decommissioned, `forbidden`, and `limit_reached`.
   */
  async issue(requester: Requester, device: string, request: CredentialRequest): Promise<IssuedCredential> {
    return await this.#asEngineer(requester, device, 'issue', async (transaction) => {
      const nowMs = this.#options.context.clock.now();
      await this.#assertIssuable(transaction, device);
      await this.#assertBelowLimit(transaction, device, 'in use', nowMs);
      const { issued, record } = await this.#create(transaction, requester, device, request, nowMs);
      const { id, expiresMs } = issued.credential;
      const details = { credential: id, expiresMs, label: request.label, gateway: request.isGateway };
      return {
        result: issued,
        acts: [credentialAct(requester, nowMs, 'credential.issued', device, details, [record])],
      };
    });
  }

  /**
   * Resolves with a token that replaces another one, which is valid for `overlapMs` more. Rejects as `issue`, and with
   * `not_found` for an unknown or revoked token.
   */
  async rotate(
    requester: Requester,
    device: string,
    id: string,
    { overlapMs, expiresInMs }: { readonly overlapMs: number; readonly expiresInMs: number },
  ): Promise<IssuedCredential> {
    return await this.#asEngineer(requester, device, 'rotate', async (transaction) => {
      const nowMs = this.#options.context.clock.now();
      const former = await this.#active(transaction, device, id, nowMs);
      const { isGateway, label } = former;
      await this.#assertIssuable(transaction, device);
      // The new token takes the place of the former one, which is valid for a while or revoked at once.
      if (overlapMs > 0) await this.#assertBelowLimit(transaction, device, 'replaced', nowMs);
      const request = { isGateway, label, expiresInMs };
      const { issued, record } = await this.#create(transaction, requester, device, request, nowMs);
      const isRevoked = overlapMs === 0;
      const revokeMs = nowMs + overlapMs;
      await storeCredential(transaction, { ...former, revokeMs, revokedMs: isRevoked ? nowMs : null });
      const records = isRevoked ? [record, revocationOf(former)] : [record];
      const details = { credential: issued.credential.id, replaces: id, overlapMs };
      return {
        result: issued,
        acts: [credentialAct(requester, nowMs, 'credential.rotated', device, details, records)],
      };
    });
  }

  /** Revokes a token, whose sessions are closed within a second. Nothing happens if it is revoked already. */
  async revoke(requester: Requester, device: string, id: string): Promise<void> {
    await this.#asEngineer(requester, device, 'revoke', async (transaction) => {
      const nowMs = this.#options.context.clock.now();
      const known = await this.#find(transaction, device, id, nowMs);
      if (known.revokedMs !== null) return { result: undefined, acts: [] };
      await storeCredential(transaction, { ...known, revokedMs: nowMs });
      const acts = [
        credentialAct(requester, nowMs, 'credential.revoked', device, { credential: id }, [revocationOf(known)]),
      ];
      return { result: undefined, acts };
    });
  }

  async #asEngineer<T>(
    requester: Requester,
    device: string,
    requested: string,
    work: (transaction: Transaction) => Promise<{ readonly result: T; readonly acts: readonly Act[] }>,
  ): Promise<T> {
    assertDevicePath(device);
    const { context } = this.#options;
    const refused = { action: 'credential.refused', target: device, details: { requested } };
    return await orRefused(context, requester, refused, async () => {
      assertRole(requester, 'engineer');
      // The holder of the token publishes as the device.
      assertMayCommand(requester, device);
      return await act(context, work);
    });
  }

  /** Rejects for a device that gets no token. Locks it, so that two requests do not exceed its limit. */
  async #assertIssuable(transaction: Transaction, device: string): Promise<void> {
    const found = await lockDevice(transaction, device);
    if (found === undefined)
      throw new TailraceError('not_found', `device: expected one of the registry, got ${shown(device)}`);
    if (found.state !== 'active')
      throw new TailraceError('conflict', `device ${device}: expected an active one, got one that is ${found.state}`);
    if (this.#options.known.isFull)
      throw new TailraceError(
        'limit_reached',
        'the server has as many device tokens as credentialsMax allows: revoke some, or raise it',
      );
  }

  /** `state`: of the tokens that are counted. */
  async #assertBelowLimit(
    transaction: Transaction,
    device: string,
    state: 'in use' | 'replaced',
    nowMs: number,
  ): Promise<void> {
    const counted = (await this.#ofDevice(transaction, device, nowMs)).filter(
      ({ revokedMs, revokeMs }) => revokedMs === null && (revokeMs === null) === (state === 'in use'),
    );
    if (counted.length < perDeviceMax) return;
    const advice = state === 'in use' ? 'one that is not used' : 'one of them, or rotate with overlapMs 0';
    throw new TailraceError(
      'limit_reached',
      `device tokens of ${device} that are ${state}: expected at most ${perDeviceMax}, got one more: revoke ${advice}`,
    );
  }

  async #create(
    transaction: Transaction,
    requester: Requester,
    device: string,
    { isGateway, label, expiresInMs }: CredentialRequest,
    nowMs: number,
  ): Promise<{ readonly issued: IssuedCredential; readonly record: OutboxRecord }> {
    const publish = publishedBy({ device, gateway: isGateway });
    // The token of a gateway is also for all devices below it.
    for (const pattern of publish) assertMayCommand(requester, pattern);
    const { id, secret } = createDeviceToken();
    const expiresMs = nowMs + expiresInMs;
    const credential: StoredCredential = {
      ...{ id, device, isGateway, label, issuedMs: nowMs, issuedBy: requester.subject, expiresMs },
      ...{ revokeMs: null, revokedMs: null },
    };
    await storeCredential(transaction, credential);
    const record = credentialRecord({
      ...{ id, device, gateway: isGateway, secretSha256: secretHashOf(secret), issuedAt: nowMs, expiresAt: expiresMs },
      ...{ issuedBy: requester.subject, label },
    });
    return { issued: { credential, token: deviceTokenText({ id, secret }), publish }, record };
  }

  async #find(transaction: Transaction, device: string, id: string, nowMs: number): Promise<StoredCredential> {
    await lockCredential(transaction, id);
    const found = (await this.#ofDevice(transaction, device, nowMs)).find((each) => each.id === id);
    if (found !== undefined) return found;
    throw new TailraceError('not_found', `credential: expected the ID of one of ${device}, got ${shown(id)}`);
  }

  async #active(transaction: Transaction, device: string, id: string, nowMs: number): Promise<StoredCredential> {
    const found = await this.#find(transaction, device, id, nowMs);
    if (found.revokedMs === null && found.revokeMs === null) return found;
    throw new TailraceError('conflict', `credential ${id}: expected one that is in use, got one that was replaced`);
  }

  /** Those of the store, and those that an operator has issued by fanout. */
  async #ofDevice(queryable: Queryable, device: string, nowMs: number): Promise<readonly StoredCredential[]> {
    const { known, revocations } = this.#options;
    const subject = subjectOf({ device });
    const stored = (await listCredentials(queryable, device, nowMs)).map((each) => {
      const { id, issuedMs } = each;
      const isRevoked = revocations.revoked({ subject, tokenId: id, issuedAt: issuedMs });
      // By an operator of fanout.
      return isRevoked && each.revokedMs === null ? { ...each, revokedMs: nowMs } : each;
    });
    const ids = new Set(stored.map(({ id }) => id));
    const others = known
      .ofDevice(device)
      .filter(({ id, expiresAt = Number.POSITIVE_INFINITY }) => !ids.has(id) && expiresAt > nowMs)
      .map(({ id, gateway, label, issuedAt, issuedBy, expiresAt }) => ({
        ...{ id, device, isGateway: gateway, label, issuedMs: issuedAt, issuedBy, expiresMs: expiresAt ?? null },
        ...{ revokeMs: null, revokedMs: null },
      }));
    return [...stored, ...others];
  }

  #revokeDue(): Promise<void> {
    this.#pass ??= this.#revokeAllDue().finally(() => {
      this.#pass = undefined;
    });
    return this.#pass;
  }

  /** Never rejects. */
  async #revokeAllDue(): Promise<void> {
    const { context } = this.#options;
    try {
      await act(context, async (transaction) => {
        const nowMs = context.clock.now();
        const due = await lockDueCredentials(transaction, nowMs, revocationsMax);
        for (const each of due) await storeCredential(transaction, { ...each, revokedMs: nowMs });
        const acts = due.map((each) =>
          credentialAct(controlItself, nowMs, 'credential.revoked', each.device, { credential: each.id }, [
            revocationOf(each),
          ]),
        );
        return { result: undefined, acts };
      });
    } catch (error) {
      const level = tailraceErrorFrom(error).retryable ? 'debug' : 'error';
      context.logger[level]({ error }, 'replaced tokens of devices cannot be revoked, retrying');
    }
  }

  /** Never rejects. */
  async #clean(): Promise<void> {
    const { database, clock } = this.#options.context;
    await removeExpired(database, clock.now() - keptMs, 10_000).catch(() => undefined);
  }
}

function revocationOf({ id, expiresMs }: StoredCredential): OutboxRecord {
  return revocationRecord({ tokenId: id, ...(expiresMs === null ? {} : { expiresAt: expiresMs }) });
}

function credentialAct(
  actor: Pick<Requester, 'subject' | 'tokenId' | 'address'>,
  time: number,
  action: string,
  device: string,
  details: Readonly<Record<string, unknown>>,
  records: readonly OutboxRecord[],
): Act {
  return { key: device, entry: entryOf(actor, { time, action, target: device, details }), records };
}
