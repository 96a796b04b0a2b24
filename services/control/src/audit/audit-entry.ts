import { createHash } from 'node:crypto';
import type { Requester } from '../requester.ts';

/** What a person or control itself did, or was refused. Part of the transaction that does it. */
export interface AuditEntry {
  /** Epoch ms by the clock of control. */
  readonly time: number;
  readonly subject: string;
  readonly tokenId: string;
  /** Of the client; '' for work of control itself. */
  readonly address: string;
  /** Noun and verb: `command.accepted`, `lease.taken_over`, `rule.changed`. */
  readonly action: string;
  /** A device path, a pattern, or the kind and ID of what it concerns: `rule/r-17`. */
  readonly target: string;
  readonly result: 'done' | 'refused';
  /** What is needed to understand it; JSON. The journal bounds the whole entry. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** Chains of the audit. Entries of one key are in one chain, so that up to 16 transactions commit side by side. */
export const chainsMax = 16;

/** Returns the chain of the entries of a key, such as a device path. */
export function chainOf(key: string): number {
  return createHash('sha256').update(key).digest()[0]! % chainsMax;
}

/** Returns the hash before the first entry of a chain. */
export function firstHash(chain: number): Buffer {
  return createHash('sha256').update(`tailrace audit chain ${chain}`).digest();
}

/**
 * Returns the hash of an entry: SHA-256 of the hash before it, its number and its content. The database computes the
 * same under the lock of the chain (`append_acts` of migrations/007).
 */
export function hashOf(previous: Uint8Array, number: number, content: string): Buffer {
  return createHash('sha256').update(previous).update(`\n${number}\n${content}`).digest();
}

/** Returns the JSON of an entry, which is stored and hashed as this text. */
export function contentOf(entry: AuditEntry): string {
  const { time, subject, tokenId, address, action, target, result, details } = entry;
  return JSON.stringify({ time, subject, tokenId, address, action, target, result, details });
}

/** Returns an entry about what a requester does. */
export function entryOf(
  requester: Pick<Requester, 'subject' | 'tokenId' | 'address'>,
  act: Pick<AuditEntry, 'time' | 'action' | 'target'> & Partial<Pick<AuditEntry, 'result' | 'details'>>,
): AuditEntry {
  const { subject, tokenId, address } = requester;
  const { time, action, target, result = 'done', details = {} } = act;
  return { time, subject, tokenId, address, action, target, result, details };
}

/** Control itself, for what no person requests: a deadline that has passed, a lease that has expired. */
export const controlItself = { subject: 'control', tokenId: '', address: '' } as const;
