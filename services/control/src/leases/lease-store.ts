import type { Queryable } from '@tailrace/database/database';
import { isValid, type Lease, overlaps, scopesOver } from './lease.ts';

const columns = 'scope, token, holder, acquired_ms AS acquired, until_ms AS until';

/** Of `pg_advisory_xact_lock`: any number that no other code uses. */
const lockKey = 7_201_001;

/** Lets no other transaction change leases until this one is finished: overlaps are of any two rows. */
export async function lockLeases(transaction: Queryable): Promise<void> {
  await transaction.query('SELECT pg_advisory_xact_lock($1)', [lockKey]);
}

/** Resolves with all leases that overlap with a scope, also expired ones. */
export async function overlappingLeases(queryable: Queryable, scope: string): Promise<readonly Lease[]> {
  const prefix = scope.endsWith('>') ? scope.slice(0, -1) : '';
  const sql = `SELECT ${columns} FROM leases
    WHERE scope = ANY ($1::text[]) OR ($2 <> '' AND starts_with(scope, $2)) ORDER BY scope`;
  const { rows } = await queryable.query<Lease>(sql, [scopesOver(scope), prefix]);
  return rows.filter((lease) => overlaps(lease.scope, scope));
}

/** Resolves with the valid lease that covers a device; undefined if there is none. */
export async function leaseOver(queryable: Queryable, device: string, nowMs: number): Promise<Lease | undefined> {
  const sql = `SELECT ${columns} FROM leases WHERE scope = ANY ($1::text[])`;
  const { rows } = await queryable.query<Lease>(sql, [scopesOver(device)]);
  return rows.find((lease) => isValid(lease, nowMs));
}

/** Returns the same for a part of a statement, as JSON. `scopes`: those over the device; `nowMs`: the time. */
export function validLeaseSql(scopes: string, nowMs: string): string {
  return `(SELECT to_jsonb(valid) FROM (
    SELECT ${columns} FROM leases WHERE scope = ANY (${scopes}) AND until_ms > ${nowMs} LIMIT 1) AS valid)`;
}

/** Stores a lease. Resolves with it and its token: a new one if it is 0. */
export async function storeLease(transaction: Queryable, lease: Lease): Promise<Lease> {
  const { scope, token, holder, acquired, until } = lease;
  const sql = `INSERT INTO leases (scope, token, holder, acquired_ms, until_ms)
    VALUES ($1, CASE WHEN $2::bigint = 0 THEN nextval('lease_tokens') ELSE $2::bigint END, $3, $4, $5)
    ON CONFLICT (scope) DO UPDATE
      SET token = excluded.token, holder = excluded.holder, acquired_ms = excluded.acquired_ms, until_ms = excluded.until_ms
    RETURNING ${columns}`;
  const { rows } = await transaction.query<Lease>(sql, [scope, token, holder, acquired, until]);
  return rows[0]!;
}

export async function removeLeases(transaction: Queryable, scopes: readonly string[]): Promise<void> {
  await transaction.query('DELETE FROM leases WHERE scope = ANY ($1::text[])', [scopes]);
}

/** Resolves with the number of leases of a subject. */
export async function countHeld(queryable: Queryable, holder: string): Promise<number> {
  const sql = 'SELECT count(*) AS held FROM leases WHERE holder = $1';
  return (await queryable.query<{ held: number }>(sql, [holder])).rows[0]?.held ?? 0;
}

/** Resolves with leases whose time has passed. */
export async function expiredLeases(queryable: Queryable, nowMs: number, max: number): Promise<readonly Lease[]> {
  const sql = `SELECT ${columns} FROM leases WHERE until_ms <= $1 ORDER BY until_ms LIMIT $2`;
  return (await queryable.query<Lease>(sql, [nowMs, max])).rows;
}

/** Resolves with valid leases, by scope. */
export async function listLeases(queryable: Queryable, nowMs: number): Promise<readonly Lease[]> {
  const sql = `SELECT ${columns} FROM leases WHERE until_ms > $1 ORDER BY scope LIMIT 10000`;
  return (await queryable.query<Lease>(sql, [nowMs])).rows;
}
