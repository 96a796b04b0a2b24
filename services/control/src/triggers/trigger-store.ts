import type { Queryable } from '@tailrace/database/database';
import type { Requester } from '../requester.ts';
import type { SkipReason, TriggerFields } from './trigger.ts';

/* Statements of triggers. The rules are in trigger.ts, triggers.ts and trigger-runs.ts. */

/** Entries of skipped alarms that are kept with a trigger; the audit has all of them. */
const keptSkippedMax = 5;

/** Alarms of one read of the log that started no run, for one reason. */
export interface SkippedAlarms {
  readonly reason: SkipReason;
  readonly count: number;
  /** Event times of the first and the last of them, epoch ms. */
  readonly firstMs: number;
  readonly lastMs: number;
}

export interface StoredTrigger {
  readonly id: string;
  readonly tenant: string;
  readonly version: number;
  /** `pauseReason`: of control, which has paused it; until a person stores it again. */
  readonly fields: TriggerFields & { readonly pauseReason?: string };
  /** Whose rights its runs have: those of who has changed it last. */
  readonly requester: Requester;
  readonly changedBy: string;
  /** Epoch ms. */
  readonly changedMs: number;
  /** When its last run was started, epoch ms. */
  readonly startedMs: number | null;
  /** The newest first. */
  readonly skipped: readonly SkippedAlarms[];
}

const columns = `id, tenant, version, fields, requester, changed_by AS "changedBy", changed_ms AS "changedMs",
  started_ms AS "startedMs", skipped`;

async function triggersOf(queryable: Queryable, rest: string, parameters: readonly unknown[] = []) {
  return (await queryable.query<StoredTrigger>(`SELECT ${columns} FROM triggers ${rest}`, parameters)).rows;
}

/** Resolves with the triggers that a tenant may see, '' for all of them, in the order of their IDs. */
export async function listTriggers(queryable: Queryable, tenant: string): Promise<readonly StoredTrigger[]> {
  return triggersOf(queryable, `WHERE $1 IN ('', tenant) ORDER BY id`, [tenant]);
}

export async function findTrigger(queryable: Queryable, id: string): Promise<StoredTrigger | undefined> {
  return (await triggersOf(queryable, 'WHERE id = $1', [id]))[0];
}

/** Resolves with a trigger that no other transaction changes until this one is finished. */
export async function lockTrigger(transaction: Queryable, id: string): Promise<StoredTrigger | undefined> {
  return (await triggersOf(transaction, 'WHERE id = $1 FOR UPDATE', [id]))[0];
}

/** Resolves with all triggers that are not paused. */
export async function activeTriggers(queryable: Queryable): Promise<readonly StoredTrigger[]> {
  return triggersOf(queryable, 'WHERE NOT is_paused');
}

/** Locks those that are not paused, in the order of their IDs, so that two transactions do not deadlock. */
export async function lockActiveTriggers(
  transaction: Queryable,
  ids: readonly string[],
): Promise<readonly StoredTrigger[]> {
  return triggersOf(transaction, 'WHERE id = ANY ($1::text[]) AND NOT is_paused ORDER BY id FOR UPDATE', [ids]);
}

export async function countTriggers(queryable: Queryable): Promise<number> {
  return (await queryable.query<{ count: number }>('SELECT count(*) AS count FROM triggers')).rows[0]!.count;
}

export async function storeTrigger(transaction: Queryable, trigger: StoredTrigger): Promise<void> {
  const { id, tenant, version, fields, requester, changedBy, changedMs } = trigger;
  await transaction.query(
    `INSERT INTO triggers (id, tenant, version, fields, is_paused, requester, changed_by, changed_ms)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
     ON CONFLICT (id) DO UPDATE SET version = $3, fields = $4, is_paused = $5, requester = $6, changed_by = $7,
       changed_ms = $8`,
    [...[id, tenant, version, JSON.stringify(fields), fields.paused, JSON.stringify(requester), changedBy], changedMs],
  );
}

/** Stores when the last run of a trigger was started, and the last alarms that started none. */
export async function storeTriggered(
  transaction: Queryable,
  { id, startedMs, skipped }: Pick<StoredTrigger, 'id' | 'startedMs' | 'skipped'>,
): Promise<void> {
  const sql = 'UPDATE triggers SET started_ms = $2, skipped = $3 WHERE id = $1';
  await transaction.query(sql, [id, startedMs, JSON.stringify(skipped.slice(0, keptSkippedMax))]);
}

export async function deleteTrigger(transaction: Queryable, id: string): Promise<void> {
  await transaction.query('DELETE FROM triggers WHERE id = $1', [id]);
}

/** Resolves with those of these triggers that have an active run. */
export async function triggersWithActiveRun(
  queryable: Queryable,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const sql = 'SELECT DISTINCT trigger_id AS id FROM scene_runs WHERE trigger_id = ANY ($1::text[]) AND NOT is_final';
  return new Set((await queryable.query<{ id: string }>(sql, [ids])).rows.map(({ id }) => id));
}
