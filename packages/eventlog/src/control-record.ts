import { createHash } from 'node:crypto';
import { type DeviceCredential, isRevokedBy, subjectOf } from '@tailrace/platform/device-credentials';
import { expiryGraceMs, type RevocationEntry, revocationEndMs } from '@tailrace/platform/revocation';
import { tailrace } from '@tailrace/protocol/generated';
import type { LogRecord, NewRecord } from './event-log.ts';

const { ControlRecord } = tailrace.v1;

/** A notice is removed from the topic after this time, ms. Clients get none that is older than a minute. */
const noticeRetentionMs = 3_600_000;

export interface Notice {
  readonly severity: string;
  readonly message: string;
  /** Epoch ms. */
  readonly time: number;
}

/** Whether the commands of all devices are off. */
export interface CommandSwitchState {
  readonly isOff: boolean;
  /** For people; '' for none. */
  readonly reason: string;
  /** Subject of the operator's token. */
  readonly by: string;
  /** Epoch ms. */
  readonly time: number;
}

/**
 * Returns the record of a revocation, notice, credential or command switch. Its key is a hash of its content. So a
 * tombstone removes exactly the content that its writer has read, and not a newer revocation of the same subject that
 * another process appends concurrently.
 */
export function recordFrom(content: tailrace.v1.IControlRecord): NewRecord {
  const value = ControlRecord.encode(content).finish();
  return { key: `${kindOf(content)}/${createHash('sha256').update(value).digest('base64url')}`, value };
}

function kindOf({ revocation, credential, commandSwitch }: tailrace.v1.IControlRecord): string {
  if (revocation != null) return 'revocation';
  if (commandSwitch != null) return 'command-switch';
  return credential == null ? 'notice' : 'credential';
}

/** Returns the content of a record; undefined for a tombstone and an invalid record. */
export function contentOf({ value, unreadable }: LogRecord): tailrace.v1.ControlRecord | undefined {
  if (unreadable !== undefined || value.length === 0) return undefined;
  try {
    return ControlRecord.decode(value);
  } catch {
    return undefined;
  }
}

/** Returns the entry of a revocation record. Without `issuedBefore` it is NaN, which makes the entry invalid. */
export function entryFrom({ tokenId, subject, issuedBefore, expiresAt }: tailrace.v1.IRevocation): RevocationEntry {
  const end = expiresAt == null ? {} : { expiresAt };
  if (tokenId) return { tokenId, ...end };
  return { subject: subject ?? '', issuedBefore: issuedBefore ?? Number.NaN, ...end };
}

/** Returns the message of a credential. */
export function credentialMessage(credential: DeviceCredential): tailrace.v1.IDeviceCredential {
  const { secretSha256, ...fields } = credential;
  return { ...fields, secretSha256: Buffer.from(secretSha256, 'base64url') };
}

/** Returns the credential of a record, possibly invalid: `DeviceCredentials.merge` checks it. */
export function credentialFrom(message: tailrace.v1.IDeviceCredential): DeviceCredential {
  return {
    id: message.id ?? '',
    device: message.device ?? '',
    gateway: message.gateway ?? false,
    secretSha256: Buffer.from(message.secretSha256 ?? []).toString('base64url'),
    issuedAt: message.issuedAt ?? Number.NaN,
    ...(message.expiresAt == null ? {} : { expiresAt: message.expiresAt }),
    issuedBy: message.issuedBy ?? '',
    label: message.label ?? '',
  };
}

/** Returns the notice of a record, with defaults for missing fields. */
export function noticeFrom({ severity, message, time }: tailrace.v1.IOperatorNotice): Notice {
  return { severity: severity ?? 'info', message: message ?? '', time: time ?? 0 };
}

export function switchMessage({ isOff, ...fields }: CommandSwitchState): tailrace.v1.ICommandSwitch {
  return { off: isOff, ...fields };
}

/** Returns the state of a record, with defaults for missing fields. */
export function switchFrom({ off, reason, by, time }: tailrace.v1.ICommandSwitch): CommandSwitchState {
  return { isOff: off ?? false, reason: reason ?? '', by: by ?? '', time: time ?? 0 };
}

/**
 * Returns the keys of records without effect: expired, an old notice, a revoked credential, a revocation that is
 * covered by a longer one, or a command switch before the last one. `live`: in the order of the log.
 */
export function obsoleteKeys(live: ReadonlyMap<string, tailrace.v1.ControlRecord>, nowMs: number): string[] {
  const obsolete: string[] = [];
  const inForce: { readonly key: string; readonly about: string; readonly entry: RevocationEntry }[] = [];
  const credentials: { readonly key: string; readonly credential: DeviceCredential }[] = [];
  /** By token or subject: the entry that expires last. */
  const longest = new Map<string, RevocationEntry>();
  let lastSwitch: string | undefined;
  for (const [key, { revocation, notice, credential, commandSwitch }] of live) {
    if (commandSwitch) {
      if (lastSwitch !== undefined) obsolete.push(lastSwitch);
      lastSwitch = key;
    }
    if (credential) credentials.push({ key, credential: credentialFrom(credential) });
    if (notice && (notice.time ?? 0) + noticeRetentionMs <= nowMs) obsolete.push(key);
    if (!revocation) continue;
    const entry = entryFrom(revocation);
    if (revocationEndMs(entry) <= nowMs) {
      obsolete.push(key);
      continue;
    }
    const about = 'tokenId' in entry ? `token ${entry.tokenId}` : `subject ${entry.subject}`;
    inForce.push({ key, about, entry });
    const other = longest.get(about);
    if (other === undefined || isLonger(entry, other)) longest.set(about, entry);
  }
  for (const { key, about, entry } of inForce) {
    const other = longest.get(about)!;
    if (other !== entry && issuedBeforeOf(entry) <= issuedBeforeOf(other)) obsolete.push(key);
  }
  for (const { key, credential } of credentials) {
    const { id, expiresAt = Number.POSITIVE_INFINITY } = credential;
    const revocations = [longest.get(`token ${id}`), longest.get(`subject ${subjectOf(credential)}`)];
    const isRevoked = revocations.some((entry) => entry !== undefined && isRevokedBy(credential, entry));
    if (isRevoked || expiresAt + expiryGraceMs <= nowMs) obsolete.push(key);
  }
  return obsolete;
}

function isLonger(entry: RevocationEntry, other: RevocationEntry): boolean {
  const [endMs, otherEndMs] = [revocationEndMs(entry), revocationEndMs(other)];
  return endMs === otherEndMs ? issuedBeforeOf(entry) > issuedBeforeOf(other) : endMs > otherEndMs;
}

function issuedBeforeOf(entry: RevocationEntry): number {
  return 'issuedBefore' in entry ? entry.issuedBefore : 0;
}
