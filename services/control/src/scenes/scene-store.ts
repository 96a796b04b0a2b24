import type { Queryable } from '@tailrace/database/database';
import type { Requester } from '../requester.ts';
import type { ScenePlan } from './plan.ts';
import type { Scene, SceneFields, SceneValues } from './scene.ts';
import type { RunState, SceneRun } from './scene-run.ts';

/* Statements of scenes and their runs. The rules are in scenes.ts and scene-runner.ts. */

/** The channel on which runs that have something to do are announced, by their IDs; several of them by ''. */
export const runChannel = 'tailrace_scene_runs';

export interface StoredScene extends Scene {
  readonly tenant: string;
  readonly changedBy: string;
  /** Epoch ms. */
  readonly changedMs: number;
}

type SceneRow = Omit<StoredScene, keyof SceneFields> & { readonly fields: SceneFields };

const sceneColumns = 'id, tenant, version, fields, changed_by AS "changedBy", changed_ms AS "changedMs"';
const sceneFrom = ({ fields, ...row }: SceneRow): StoredScene => ({ ...row, ...fields });

/** Resolves with the scenes that a tenant may see, '' for all of them, in the order of their IDs. */
export async function listScenes(queryable: Queryable, tenant: string): Promise<readonly StoredScene[]> {
  const sql = `SELECT ${sceneColumns} FROM scenes WHERE $1 IN ('', tenant) ORDER BY id`;
  return (await queryable.query<SceneRow>(sql, [tenant])).rows.map(sceneFrom);
}

export async function findScenes(queryable: Queryable, ids: readonly string[]): Promise<readonly StoredScene[]> {
  if (ids.length === 0) return [];
  const sql = `SELECT ${sceneColumns} FROM scenes WHERE id = ANY ($1::text[])`;
  return (await queryable.query<SceneRow>(sql, [ids])).rows.map(sceneFrom);
}

/** Resolves with the IDs of the scenes that run a scene themselves. */
export async function callersOf(queryable: Queryable, id: string): Promise<readonly string[]> {
  const sql = `SELECT id FROM scenes WHERE jsonb_path_exists(fields, '$.**.scene ? (@ == $id)', jsonb_build_object('id', $1::text))
    ORDER BY id`;
  return (await queryable.query<{ id: string }>(sql, [id])).rows.map((row) => row.id);
}

export async function countScenes(queryable: Queryable): Promise<number> {
  return (await queryable.query<{ count: number }>('SELECT count(*) AS count FROM scenes')).rows[0]!.count;
}

/** Until the end of the transaction, no other one changes a scene: a circle could come of two changes. */
export async function lockScenes(transaction: Queryable): Promise<void> {
  await transaction.query('LOCK TABLE scenes IN SHARE ROW EXCLUSIVE MODE');
}

export async function storeScene(transaction: Queryable, scene: StoredScene): Promise<void> {
  const { id, tenant, version, changedBy, changedMs, ...fields } = scene;
  const parameters = [id, version, JSON.stringify(fields), changedBy, changedMs];
  await transaction.query(
    `INSERT INTO scenes (id, version, fields, changed_by, changed_ms, tenant) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (id) DO UPDATE SET version = $2, fields = $3, changed_by = $4, changed_ms = $5`,
    [...parameters, tenant],
  );
  await transaction.query(
    'INSERT INTO scene_versions (scene, version, fields, changed_by, changed_ms) VALUES ($1, $2, $3, $4, $5)',
    parameters,
  );
}

/** The versions stay, so that the number of a later scene with the same ID goes on from them. */
export async function deleteScene(transaction: Queryable, id: string): Promise<void> {
  await transaction.query('DELETE FROM scenes WHERE id = $1', [id]);
}

export async function lastVersion(queryable: Queryable, id: string): Promise<number> {
  const sql = 'SELECT coalesce(max(version), 0) AS version FROM scene_versions WHERE scene = $1';
  return (await queryable.query<{ version: number }>(sql, [id])).rows[0]!.version;
}

export const runCauses = ['api', 'schedule', 'alarm', 'undo'] as const;
export type RunCause = (typeof runCauses)[number];

/** A run as the store has it. */
export interface StoredRun {
  readonly id: string;
  readonly position: number;
  readonly scene: string;
  readonly tenant: string;
  readonly state: RunState | 'preparing';
  readonly cause: RunCause;
  /** Whose rights it has. */
  readonly requester: Requester;
  /** Fencing token of the lease that they hold; 0: none. */
  readonly lease: number;
  readonly params: SceneValues;
  /** The second person, who has confirmed it. */
  readonly approver: Requester | null;
  readonly plan: ScenePlan | null;
  readonly snapshot: SceneRun['snapshot'] | null;
  readonly progress: RunProgress | null;
  /** Why it has failed before its first step; ''. */
  readonly code: string;
  readonly message: string;
  readonly createdMs: number;
  readonly changedMs: number;
  readonly undoOf: string | null;
  /** The same key is the same run. */
  readonly key: string | null;
  readonly schedule: string | null;
  readonly scheduleTimeMs: number | null;
  /** ID of the trigger, and the alarm, that have started it. */
  readonly trigger: string | null;
  readonly alarm: { readonly id: string; readonly device: string; readonly rule: string } | null;
}

/** The fields of a run that events change, but for its state. */
export type RunProgress = Pick<SceneRun, 'steps' | 'compensation' | 'notReversed' | 'stop'>;

const runColumns = `id, position, scene, tenant, state, cause, requester, lease, params, approver, plan, snapshot, progress,
  code, message, created_ms AS "createdMs", changed_ms AS "changedMs", undo_of AS "undoOf", schedule,
  schedule_time_ms AS "scheduleTimeMs", trigger_id AS trigger, alarm, run_key AS key`;

export type NewRun = Pick<StoredRun, 'id' | 'scene' | 'tenant' | 'cause' | 'requester' | 'params' | 'createdMs'> &
  Partial<Pick<StoredRun, 'lease' | 'plan' | 'undoOf' | 'schedule' | 'scheduleTimeMs' | 'trigger' | 'alarm'>> & {
    /** The same key is the same run. */
    readonly key?: string | undefined;
  };

/** Inserts a run, which is due at once. Resolves with false if its key or its scheduled time has one. */
export async function insertRun(transaction: Queryable, run: NewRun): Promise<boolean> {
  return (await insertRuns(transaction, [run])).size > 0;
}

/** As `insertRun`, of several runs, in one statement. Resolves with the IDs of those that were inserted. */
export async function insertRuns(transaction: Queryable, runs: readonly NewRun[]): Promise<ReadonlySet<string>> {
  if (runs.length === 0) return new Set();
  const rows = runs.map(({ key, lease = 0, ...run }) => ({ ...run, lease, runKey: key }));
  const { rows: inserted } = await transaction.query<{ id: string }>(
    `INSERT INTO scene_runs (id, scene, tenant, state, cause, requester, lease, params, plan, created_ms, changed_ms,
       due_ms, undo_of, schedule, schedule_time_ms, run_key, trigger_id, alarm)
     SELECT id, scene, tenant, 'preparing', cause, requester, lease, params, plan, "createdMs", "createdMs",
       0, "undoOf", schedule, "scheduleTimeMs", "runKey", trigger, alarm
     FROM jsonb_to_recordset($1::jsonb) AS new (id text, scene text, tenant text, cause text, requester jsonb,
       lease bigint, params jsonb, plan jsonb, "createdMs" double precision, "undoOf" text, schedule text,
       "scheduleTimeMs" double precision, "runKey" text, trigger text, alarm jsonb)
     ON CONFLICT DO NOTHING RETURNING id`,
    [JSON.stringify(rows)],
  );
  if (inserted.length > 0) await transaction.notify(runChannel, inserted.length === 1 ? inserted[0]!.id : '');
  return new Set(inserted.map(({ id }) => id));
}

async function runsOf(queryable: Queryable, rest: string, parameters: readonly unknown[]): Promise<StoredRun[]> {
  return (await queryable.query<StoredRun>(`SELECT ${runColumns} FROM scene_runs ${rest}`, parameters)).rows.slice();
}

export async function findRun(queryable: Queryable, id: string): Promise<StoredRun | undefined> {
  return (await findRuns(queryable, [id])).get(id);
}

/** As `findRun`, of several ones, by ID. */
export async function findRuns(queryable: Queryable, ids: readonly string[]): Promise<ReadonlyMap<string, StoredRun>> {
  return byId(await runsOf(queryable, 'WHERE id = ANY ($1::text[])', [ids]));
}

function byId(runs: readonly StoredRun[]): ReadonlyMap<string, StoredRun> {
  return new Map(runs.map((run) => [run.id, run]));
}

export async function findRunByKey(queryable: Queryable, key: string): Promise<StoredRun | undefined> {
  return (await runsOf(queryable, 'WHERE run_key = $1', [key]))[0];
}

/** Resolves with a run that no other transaction changes until this one is finished. */
export async function lockRun(transaction: Queryable, id: string): Promise<StoredRun | undefined> {
  return (await runsOf(transaction, 'WHERE id = $1 FOR UPDATE', [id]))[0];
}

/** As `lockRun`, of several ones, by ID. Without final ones, and those on which another process works. */
export async function tryLockRuns(
  transaction: Queryable,
  ids: readonly string[],
  worker: string,
  nowMs: number,
): Promise<ReadonlyMap<string, StoredRun>> {
  const rest = `WHERE id = ANY ($1::text[]) AND NOT is_final AND (claimed_by IN ('', $2) OR claimed_until_ms < $3)
    FOR UPDATE SKIP LOCKED`;
  return byId(await runsOf(transaction, rest, [ids, worker, nowMs]));
}

/**
 * Lets other processes work on runs that were claimed, after their commands were submitted. Not on one that a
 * transaction has locked: it wakes the run, or the next pass releases it.
 */
export async function releaseRuns(queryable: Queryable, ids: readonly string[], worker: string): Promise<void> {
  const sql = `UPDATE scene_runs SET claimed_by = '' WHERE id IN (
    SELECT id FROM scene_runs WHERE id = ANY ($1::text[]) AND claimed_by = $2 FOR UPDATE SKIP LOCKED)`;
  await queryable.query(sql, [ids, worker]);
}

/** Resolves with runs that are due, and when the next one is, epoch ms; infinite: none is active. */
export async function dueRuns(
  queryable: Queryable,
  nowMs: number,
  limit: number,
): Promise<{ readonly due: readonly string[]; readonly nextMs: number }> {
  const { rows } = await queryable.query<{ id: string; due_ms: number }>(
    'SELECT id, due_ms FROM scene_runs WHERE NOT is_final ORDER BY due_ms, position LIMIT $1',
    [limit],
  );
  const due = rows.filter((row) => row.due_ms <= nowMs).map(({ id }) => id);
  return { due, nextMs: rows.find((row) => row.due_ms > nowMs)?.due_ms ?? Number.POSITIVE_INFINITY };
}

export interface RunFilter {
  readonly tenant: string;
  readonly scene?: string | undefined;
  readonly schedule?: string | undefined;
  readonly isActive?: boolean | undefined;
  /** Only of an earlier position. */
  readonly before?: number | undefined;
  readonly limit: number;
}

/** Resolves with runs, the newest first. */
export async function listRuns(queryable: Queryable, filter: RunFilter): Promise<readonly StoredRun[]> {
  const { tenant, scene, schedule, isActive, before, limit } = filter;
  return runsOf(
    queryable,
    `WHERE $1 IN ('', tenant) AND ($2::text IS NULL OR scene = $2) AND ($3::text IS NULL OR schedule = $3)
       AND ($4::boolean IS NULL OR is_final <> $4) AND ($5::bigint IS NULL OR position < $5)
     ORDER BY position DESC LIMIT $6`,
    [tenant, scene, schedule, isActive, before, limit],
  );
}

/** Resolves with the IDs of the active runs of schedules, by schedule. */
export async function activeRunsOf(
  queryable: Queryable,
  schedules: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const sql = `SELECT schedule, array_agg(id ORDER BY position) AS runs FROM scene_runs
    WHERE schedule = ANY ($1::text[]) AND NOT is_final GROUP BY schedule`;
  const { rows } = await queryable.query<{ schedule: string; runs: readonly string[] }>(sql, [schedules]);
  return new Map(rows.map(({ schedule, runs }) => [schedule, runs]));
}

/** Resolves with the number of active runs, up to `max`. */
export async function countActiveRuns(queryable: Queryable, max: number): Promise<number> {
  const sql = 'SELECT count(*) AS count FROM (SELECT 1 FROM scene_runs WHERE NOT is_final LIMIT $1) AS counted';
  return (await queryable.query<{ count: number }>(sql, [max])).rows[0]!.count;
}

/** Resolves with whether a run was undone, or is being undone. */
export async function isUndone(queryable: Queryable, id: string): Promise<boolean> {
  const sql = `SELECT 1 FROM scene_runs WHERE undo_of = $1 AND (NOT is_final OR state = 'done')`;
  return (await queryable.query(sql, [id])).rowCount > 0;
}

/** A run after an event. */
export interface RunChange {
  readonly run: SceneRun;
  readonly isFinal: boolean;
  readonly nowMs: number;
  /** When it is worked on again, epoch ms. */
  readonly dueMs: number;
  /** The process that submits its commands, which others leave alone until a time. Default: as it is. */
  readonly claim?: { readonly worker: string; readonly untilMs: number };
}

/** Stores runs after their events. */
export async function storeRuns(transaction: Queryable, changes: readonly RunChange[]): Promise<void> {
  if (changes.length === 0) return;
  const items = changes.map(({ run, isFinal, nowMs, dueMs, claim }) => {
    const { id, plan, snapshot, state, by, ...progress } = run;
    return { id, plan, snapshot, state, progress, isFinal, nowMs, dueMs, ...claim };
  });
  await transaction.query(
    `UPDATE scene_runs SET state = change.state, is_final = change."isFinal", progress = change.progress,
         changed_ms = change."nowMs", due_ms = change."dueMs",
         plan = coalesce(scene_runs.plan, change.plan), snapshot = coalesce(scene_runs.snapshot, change.snapshot),
         claimed_by = coalesce(change.worker, claimed_by),
         claimed_until_ms = coalesce(change."untilMs", claimed_until_ms)
       FROM jsonb_to_recordset($1::jsonb) AS change (id text, state text, "isFinal" boolean, progress jsonb,
         "nowMs" double precision, "dueMs" double precision, plan jsonb, snapshot jsonb, worker text,
         "untilMs" double precision)
      WHERE scene_runs.id = change.id`,
    [JSON.stringify(items)],
  );
}

/** Stores that a run has failed before its first step. */
export async function failRun(
  transaction: Queryable,
  id: string,
  error: { readonly code: string; readonly message: string },
  nowMs: number,
): Promise<void> {
  await transaction.query(
    `UPDATE scene_runs SET state = 'failed', is_final = true, code = $2, message = $3, changed_ms = $4 WHERE id = $1`,
    [id, error.code, error.message, nowMs],
  );
}

/** Notes who has confirmed a run. */
export async function storeApprover(transaction: Queryable, id: string, approver: Requester): Promise<void> {
  await transaction.query('UPDATE scene_runs SET approver = $2 WHERE id = $1', [id, JSON.stringify(approver)]);
}

export async function postponeRun(queryable: Queryable, id: string, dueMs: number): Promise<void> {
  await queryable.query('UPDATE scene_runs SET due_ms = $2 WHERE id = $1 AND NOT is_final', [id, dueMs]);
}

/** Deletes the oldest final runs beyond a number. Resolves with the number of deleted ones. */
export async function deleteOldRuns(queryable: Queryable, keptMax: number, limit: number): Promise<number> {
  const sql = `DELETE FROM scene_runs WHERE id IN (SELECT id FROM scene_runs WHERE is_final AND position <=
      (SELECT position FROM scene_runs WHERE is_final ORDER BY position DESC OFFSET $1 LIMIT 1)
    ORDER BY position LIMIT $2)`;
  return (await queryable.query(sql, [keptMax, limit])).rowCount;
}

/** State of a command of a run, from the table of commands. */
export interface RunCommand {
  readonly id: string;
  readonly key: string;
  readonly state: string;
  readonly awaits: string;
  readonly isFinal: boolean;
  readonly code: string;
  readonly message: string;
  /** Who has canceled it after it was requested of a node; ''. */
  readonly cancelBy: string;
}

/** Resolves with the commands that senders have submitted under these keys, by key. */
export async function runCommands(
  queryable: Queryable,
  keys: readonly { readonly sender: string; readonly key: string }[],
): Promise<ReadonlyMap<string, RunCommand>> {
  if (keys.length === 0) return new Map();
  const sql = `SELECT id, key, state, awaits, is_final AS "isFinal", code, message,
      cancel_by AS "cancelBy"
    FROM commands JOIN unnest($1::text[], $2::text[]) AS wanted (sender, key) USING (sender, key)`;
  const senders = keys.map(({ sender }) => sender);
  const { rows } = await queryable.query<RunCommand>(sql, [senders, keys.map(({ key }) => key)]);
  return new Map(rows.map((row) => [row.key, row]));
}
