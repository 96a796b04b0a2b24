import type { Queryable } from '@tailrace/database/database';
import type { Requester } from '../requester.ts';
import type { ScheduledRun, ScheduleFields, SkippedRuns } from './schedule.ts';

/* Statements of schedules. The rules are in schedule.ts, schedules.ts and schedule-runner.ts. */

/** The channel on which a change of a schedule is announced, by its ID. */
export const scheduleChannel = 'tailrace_schedules';

/** Skipped runs that are kept with a schedule; the audit has all of them. */
const keptSkippedMax = 5;

export interface StoredSchedule extends ScheduleFields {
  readonly id: string;
  readonly tenant: string;
  readonly version: number;
  /** Whose rights its runs have: those of who has changed it last. */
  readonly requester: Requester;
  readonly changedBy: string;
  /** Epoch ms. */
  readonly changedMs: number;
  /** Of control, which has paused it; until a person stores it again. Part of the stored fields. */
  readonly pauseReason?: string;
  /** Undefined: it is paused, or has no more times. */
  readonly next?: ScheduledRun | undefined;
  /** The time of a run that waits for the one before, epoch ms. */
  readonly queuedMs?: number | undefined;
  /** The newest first. */
  readonly skipped: readonly SkippedRuns[];
}

interface ScheduleRow {
  readonly id: string;
  readonly tenant: string;
  readonly version: number;
  readonly fields: ScheduleFields & Pick<StoredSchedule, 'pauseReason'>;
  readonly requester: Requester;
  readonly changedBy: string;
  readonly changedMs: number;
  readonly timeMs: number | null;
  readonly dueMs: number | null;
  readonly queuedMs: number | null;
  readonly skipped: readonly SkippedRuns[];
}

const columns = `id, tenant, version, fields, requester, changed_by AS "changedBy", changed_ms AS "changedMs",
  next_time_ms AS "timeMs", due_ms AS "dueMs", queued_time_ms AS "queuedMs", skipped`;

function scheduleFrom({ fields, timeMs, dueMs, queuedMs, ...row }: ScheduleRow): StoredSchedule {
  return {
    ...row,
    ...fields,
    ...(timeMs === null || dueMs === null ? {} : { next: { timeMs, dueMs } }),
    ...(queuedMs === null ? {} : { queuedMs }),
  };
}

async function schedulesOf(queryable: Queryable, rest: string, parameters: readonly unknown[]) {
  const { rows } = await queryable.query<ScheduleRow>(`SELECT ${columns} FROM schedules ${rest}`, parameters);
  return rows.map(scheduleFrom);
}

/** Resolves with the schedules that a tenant may see, '' for all of them, in the order of their IDs. */
export async function listSchedules(queryable: Queryable, tenant: string): Promise<readonly StoredSchedule[]> {
  return schedulesOf(queryable, `WHERE $1 IN ('', tenant) ORDER BY id`, [tenant]);
}

export async function findSchedule(queryable: Queryable, id: string): Promise<StoredSchedule | undefined> {
  return (await schedulesOf(queryable, 'WHERE id = $1', [id]))[0];
}

/** Resolves with a schedule that no other transaction changes until this one is finished. */
export async function lockSchedule(transaction: Queryable, id: string): Promise<StoredSchedule | undefined> {
  return (await schedulesOf(transaction, 'WHERE id = $1 FOR UPDATE', [id]))[0];
}

/**
 * Resolves with schedules that have something to start, on which no other transaction works, locked; the one that is
 * due first comes first. One with a queued run has something to start when no run of it is active.
 */
export async function lockDueSchedules(
  transaction: Queryable,
  nowMs: number,
  limit: number,
): Promise<readonly StoredSchedule[]> {
  return schedulesOf(
    transaction,
    `WHERE due_ms <= $1 OR (queued_time_ms IS NOT NULL AND NOT EXISTS
       (SELECT 1 FROM scene_runs WHERE schedule = schedules.id AND NOT is_final))
     ORDER BY due_ms NULLS FIRST LIMIT $2 FOR UPDATE SKIP LOCKED`,
    [nowMs, limit],
  );
}

/** Resolves with the time at which the next schedule is due, epoch ms; infinite: none is. */
export async function nextDueMs(queryable: Queryable): Promise<number> {
  const { rows } = await queryable.query<{ next: number | null }>('SELECT min(due_ms) AS next FROM schedules');
  return rows[0]?.next ?? Number.POSITIVE_INFINITY;
}

export async function countSchedules(queryable: Queryable): Promise<number> {
  return (await queryable.query<{ count: number }>('SELECT count(*) AS count FROM schedules')).rows[0]!.count;
}

/** Stores what people write, and wakes the processes that start runs. */
export async function storeSchedule(transaction: Queryable, schedule: StoredSchedule): Promise<void> {
  const { id, tenant, version, requester, changedBy, changedMs, next, queuedMs, skipped, ...fields } = schedule;
  await transaction.query(
    `INSERT INTO schedules (id, tenant, version, fields, requester, changed_by, changed_ms, next_time_ms, due_ms,
       queued_time_ms, skipped)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     ON CONFLICT (id) DO UPDATE SET version = $3, fields = $4, requester = $5, changed_by = $6, changed_ms = $7,
       next_time_ms = $8, due_ms = $9, queued_time_ms = $10, skipped = $11`,
    [
      ...[id, tenant, version, JSON.stringify(fields), JSON.stringify(requester), changedBy, changedMs],
      ...[next?.timeMs, next?.dueMs, queuedMs, JSON.stringify(skipped)],
    ],
  );
  await transaction.notify(scheduleChannel, id);
}

/** What follows from a decision about a schedule. */
export type ScheduleProgress = Pick<StoredSchedule, 'id' | 'next' | 'queuedMs' | 'skipped'>;

/** Stores what follows from decisions, in one statement. */
export async function storeDecisions(transaction: Queryable, schedules: readonly ScheduleProgress[]): Promise<void> {
  if (schedules.length === 0) return;
  const rows = schedules.map(({ id, next, queuedMs, skipped }) => ({
    ...{ id, timeMs: next?.timeMs, dueMs: next?.dueMs, queuedMs, skipped: skipped.slice(0, keptSkippedMax) },
  }));
  await transaction.query(
    `UPDATE schedules SET next_time_ms = new."timeMs", due_ms = new."dueMs", queued_time_ms = new."queuedMs",
       skipped = new.skipped
     FROM jsonb_to_recordset($1::jsonb) AS new (id text, "timeMs" double precision, "dueMs" double precision,
       "queuedMs" double precision, skipped jsonb)
     WHERE schedules.id = new.id`,
    [JSON.stringify(rows)],
  );
}

export async function deleteSchedule(transaction: Queryable, id: string): Promise<void> {
  await transaction.query('DELETE FROM schedules WHERE id = $1', [id]);
}
