import type { Queryable } from '@tailrace/database/database';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Requester } from './requester.ts';

/*
 * What people create under an ID of their choice, with versions: scenes, schedules, triggers, groups, targets and
 * routes of notifications.
 */

/** Of `pg_advisory_xact_lock` with two keys, which no other code uses. */
const lockKey = 7_201;

/**
 * Lets no other transaction create or change what has this ID until this one is finished. A row that does not exist yet
 * cannot be locked: of two people who create the same, one would replace what the other has just stored.
 */
export async function lockId(transaction: Queryable, kind: string, id: string): Promise<void> {
  await transaction.query('SELECT pg_advisory_xact_lock($1::int, hashtext($2))', [lockKey, `${kind}/${id}`]);
}

/** Returns whether something is of the tenant of the requester, who may be of all. */
export function isOwn({ tenant }: Pick<Requester, 'tenant'>, { tenant: owner }: { readonly tenant: string }): boolean {
  return tenant === '' || tenant === owner;
}

/** Returns what was found under an ID. Throws `not_found` for nothing, and for something of another tenant. */
export function ownOf<T extends { readonly tenant: string }>(
  requester: Pick<Requester, 'tenant'>,
  kind: string,
  id: string,
  found: T | undefined,
): T {
  if (found !== undefined && isOwn(requester, found)) return found;
  throw new TailraceError('not_found', `${kind}: expected an existing one, got ${shown(id)}`);
}

/**
 * Throws `conflict` if a person has edited another version than the stored one; 0: none is stored. Undefined: any.
 */
export function assertVersion(kind: string, id: string, edited: number | undefined, stored = 0): void {
  if (edited === undefined || edited === stored) return;
  throw new TailraceError('conflict', `${kind} ${id}: expected the version ${edited}, got ${stored}`);
}
