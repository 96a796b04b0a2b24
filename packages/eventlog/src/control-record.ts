import { createHash } from 'node:crypto';
import { type RevocationEntry, revocationEndMs } from '@tailrace/platform/revocation';
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

/**
 * Returns the record of a revocation or notice. Its key is a hash of its content. So a tombstone removes exactly the
 * content that its writer has read, and not a newer revocation of the same subject that another process appends
 * concurrently.
 */
export function recordFrom(content: tailrace.v1.IControlRecord): NewRecord {
  const value = ControlRecord.encode(content).finish();
  const kind = content.revocation == null ? 'notice' : 'revocation';
  return { key: `${kind}/${createHash('sha256').update(value).digest('base64url')}`, value };
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

/** Returns the notice of a record, with defaults for missing fields. */
export function noticeFrom({ severity, message, time }: tailrace.v1.IOperatorNotice): Notice {
  return { severity: severity ?? 'info', message: message ?? '', time: time ?? 0 };
}

/** Returns the keys of records without effect: expired, an old notice, or covered by a longer revocation. */
export function obsoleteKeys(live: ReadonlyMap<string, tailrace.v1.ControlRecord>, nowMs: number): string[] {
  const obsolete: string[] = [];
  const inForce: { readonly key: string; readonly about: string; readonly entry: RevocationEntry }[] = [];
  /** By token or subject: the entry that expires last. */
  const longest = new Map<string, RevocationEntry>();
  for (const [key, { revocation, notice }] of live) {
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
  return obsolete;
}

function isLonger(entry: RevocationEntry, other: RevocationEntry): boolean {
  const [endMs, otherEndMs] = [revocationEndMs(entry), revocationEndMs(other)];
  return endMs === otherEndMs ? issuedBeforeOf(entry) > issuedBeforeOf(other) : endMs > otherEndMs;
}

function issuedBeforeOf(entry: RevocationEntry): number {
  return 'issuedBefore' in entry ? entry.issuedBefore : 0;
}
