import type { Queryable } from '@tailrace/database/database';
import { credentialMessage, recordFrom } from '@tailrace/eventlog/control-record';
import { type DeviceCredential, subjectOf } from '@tailrace/platform/device-credentials';
import type { RevocationEntry } from '@tailrace/platform/revocation';
import type { OutboxRecord } from '../journal.ts';

/* Statements of the tokens of devices, and their records for the log. The rules are in credential-service.ts. */

/** Ten years. */
export const credentialLifeMsMax = 3_653 * 86_400_000;

/** A token of a device without its secret. */
export interface StoredCredential {
  readonly id: string;
  readonly device: string;
  readonly isGateway: boolean;
  readonly label: string;
  /** Epoch ms, as all times. */
  readonly issuedMs: number;
  readonly issuedBy: string;
  readonly expiresMs: number | null;
  /** When it is revoked, after a rotation. */
  readonly revokeMs: number | null;
  readonly revokedMs: number | null;
}

const columns = `id, device, is_gateway AS "isGateway", label, issued_ms AS "issuedMs", issued_by AS "issuedBy",
  expires_ms AS "expiresMs", revoke_ms AS "revokeMs", revoked_ms AS "revokedMs"`;

async function credentialsOf(queryable: Queryable, rest: string, parameters: readonly unknown[]) {
  const sql = `SELECT ${columns} FROM device_credentials ${rest}`;
  return (await queryable.query<StoredCredential>(sql, parameters)).rows;
}

/** Resolves with the tokens of a path that have not expired, the newest first. */
export async function listCredentials(
  queryable: Queryable,
  device: string,
  nowMs: number,
): Promise<readonly StoredCredential[]> {
  const rest = 'WHERE device = $1 AND (expires_ms IS NULL OR expires_ms > $2) ORDER BY issued_ms DESC, id';
  return credentialsOf(queryable, rest, [device, nowMs]);
}

/** Resolves with a token that no other transaction changes until this one is finished. */
export async function lockCredential(transaction: Queryable, id: string): Promise<StoredCredential | undefined> {
  return (await credentialsOf(transaction, 'WHERE id = $1 FOR UPDATE', [id]))[0];
}

/** Resolves with tokens that are to be revoked now, and that no other process revokes, locked. */
export async function lockDueCredentials(
  transaction: Queryable,
  nowMs: number,
  limit: number,
): Promise<readonly StoredCredential[]> {
  const rest = `WHERE revoke_ms <= $1 AND revoked_ms IS NULL ORDER BY revoke_ms LIMIT $2 FOR UPDATE SKIP LOCKED`;
  return credentialsOf(transaction, rest, [nowMs, limit]);
}

export async function storeCredential(transaction: Queryable, credential: StoredCredential): Promise<void> {
  const { id, device, isGateway, label, issuedMs, issuedBy, expiresMs, revokeMs, revokedMs } = credential;
  await transaction.query(
    `INSERT INTO device_credentials (id, device, is_gateway, label, issued_ms, issued_by, expires_ms, revoke_ms, revoked_ms)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (id) DO UPDATE SET revoke_ms = $8, revoked_ms = $9`,
    [id, device, isGateway, label, issuedMs, issuedBy, expiresMs, revokeMs, revokedMs],
  );
}

/** Revokes all tokens of a path, those that others have issued too. Resolves with the record for the log. */
export async function revokeAllOf(transaction: Queryable, device: string, nowMs: number): Promise<OutboxRecord> {
  const sql = 'UPDATE device_credentials SET revoked_ms = $2 WHERE device = $1 AND revoked_ms IS NULL';
  await transaction.query(sql, [device, nowMs]);
  // Also one of this millisecond.
  const issuedBefore = nowMs + 1;
  return revocationRecord({
    ...{ subject: subjectOf({ device }), issuedBefore, expiresAt: nowMs + credentialLifeMsMax },
  });
}

/** Deletes tokens that have expired, or were revoked, before a time. */
export async function removeExpired(queryable: Queryable, beforeMs: number, limit: number): Promise<void> {
  const sql = `DELETE FROM device_credentials WHERE id IN
    (SELECT id FROM device_credentials WHERE expires_ms < $1 OR revoked_ms < $1 LIMIT $2)`;
  await queryable.query(sql, [beforeMs, limit]);
}

/** Returns the record by which every process knows a token. */
export function credentialRecord(credential: DeviceCredential): OutboxRecord {
  return { topic: 'control', ...recordFrom({ credential: credentialMessage(credential) }) };
}

/** Returns the record by which every process refuses tokens, and closes their sessions. */
export function revocationRecord(revocation: RevocationEntry): OutboxRecord {
  return { topic: 'control', ...recordFrom({ revocation }) };
}
