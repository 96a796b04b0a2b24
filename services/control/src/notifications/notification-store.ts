import type { Queryable } from '@tailrace/database/database';
import { type AlarmNotice, isActive } from './alarm-notice.ts';
import { alertKey } from './alertmanager.ts';
import { type Delivery, type Route, routeSchema } from './route.ts';
import { type Target, targetSchema } from './target.ts';

/* Statements of notifications. The rules are in route.ts, retry-plan.ts and notification-sender.ts. */

/** The channel on which notifications that are due are announced. */
export const notificationChannel = 'tailrace_notifications';

/** A notification that waits, as it is read for sending. */
export interface WaitingNotification {
  readonly position: number;
  readonly notice: AlarmNotice;
  readonly createdMs: number;
  readonly dueMs: number;
  readonly attempts: number;
}

/** What became of notifications of one target. */
export interface Finished {
  readonly positions: readonly number[];
  readonly state: 'sent' | 'dead';
  readonly error: string;
}

/**
 * Resolves with the targets that take notifications, and all routes, each with the targets of its tenant alone: an ID
 * may be that of another tenant, or become one when its target is deleted.
 */
export async function readRouting(
  queryable: Queryable,
): Promise<{ readonly targets: readonly Target[]; readonly routes: readonly Route[] }> {
  const read = (table: string, rest: string) =>
    queryable.query<{ id: string; tenant: string; settings: unknown }>(
      `SELECT id, tenant, settings FROM ${table} ${rest} ORDER BY id`,
    );
  const targets = await read('notification_targets', `WHERE gone = '' AND (settings ->> 'isEnabled')::boolean`);
  const routes = await read('notification_routes', '');
  const tenants = new Map(targets.rows.map(({ id, tenant }) => [id, tenant]));
  return {
    targets: targets.rows.map(({ id, settings }) => ({ ...targetSchema.parse(settings), id })),
    routes: routes.rows.map(({ id, tenant, settings }) => {
      const route = routeSchema.parse(settings);
      return { ...route, id, targets: route.targets.filter((target) => tenants.get(target) === tenant) };
    }),
  };
}

/**
 * Adds the notifications of one transition; those that exist stay as they are. Resolves with how many were added, and
 * how many were dropped: what quiet hours hold back is of no interest when the alarm has changed since.
 */
export async function insertNotifications(
  transaction: Queryable,
  notice: AlarmNotice,
  deliveries: readonly Delivery[],
  nowMs: number,
): Promise<{ readonly added: number; readonly dropped: number }> {
  const counts = { added: 0, dropped: 0 };
  for (const { target, dueMs, isHeld } of deliveries) {
    const { rowCount } = await transaction.query(
      `INSERT INTO notifications (target, transition, alarm_key, notice, created_ms, due_ms, is_held)
       VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7) ON CONFLICT (target, transition) DO NOTHING`,
      [target, notice.id, alertKey(notice), JSON.stringify(notice), nowMs, dueMs, isHeld],
    );
    if (rowCount === 0) continue;
    counts.added++;
    counts.dropped += await dropHeld(transaction, target, notice, nowMs);
  }
  return counts;
}

/** Drops what is held back of an alarm before this transition; a return, too, if the target never had the alarm. */
async function dropHeld(transaction: Queryable, target: string, notice: AlarmNotice, nowMs: number): Promise<number> {
  const drop = `UPDATE notifications SET state = 'dropped', finished_ms = $3`;
  const key = alertKey(notice);
  const { rowCount: dropped } = await transaction.query(
    `${drop} WHERE target = $1 AND alarm_key = $2 AND state = 'waiting' AND is_held AND attempts = 0
       AND transition <> $4`,
    [target, key, nowMs, notice.id],
  );
  if (dropped === 0 || notice.cause !== 'returned') return dropped;
  const { rowCount } = await transaction.query(
    `${drop} WHERE target = $1 AND alarm_key = $2 AND transition = $4 AND NOT EXISTS (
       SELECT FROM notifications AS one
        WHERE one.target = $1 AND one.alarm_key = $2 AND one.transition <> $4 AND one.state IN ('sent', 'waiting')
          AND one.notice ->> 'alarm' = $5)`,
    [target, key, nowMs, notice.id, notice.alarm],
  );
  return dropped + rowCount;
}

/** Resolves with the targets for which something is due, which no other process sends to until `untilMs`. */
export async function claimTargets(
  queryable: Queryable,
  worker: string,
  { nowMs, untilMs, targetsMax }: { readonly nowMs: number; readonly untilMs: number; readonly targetsMax: number },
): Promise<readonly Target[]> {
  const { rows } = await queryable.query<{ id: string; settings: unknown }>(
    `UPDATE notification_targets SET worker = $1, worker_until_ms = $3
      WHERE id IN (
        SELECT id FROM notification_targets AS target
         WHERE gone = '' AND retry_ms <= $2 AND (worker_until_ms <= $2 OR worker = '')
           AND (settings ->> 'isEnabled')::boolean
           AND (EXISTS (SELECT FROM notifications AS one
                         WHERE one.target = target.id AND one.state = 'waiting' AND one.due_ms <= $2)
                OR EXISTS (SELECT FROM notification_standing AS one
                            WHERE one.target = target.id AND one.resend_ms <= $2))
         LIMIT $4 FOR UPDATE SKIP LOCKED)
     RETURNING id, settings`,
    [worker, nowMs, untilMs, targetsMax],
  );
  return rows.map(({ id, settings }) => ({ ...targetSchema.parse(settings), id }));
}

/** Sends to the target for longer. Resolves with whether this process still may. */
export async function holdTarget(
  queryable: Queryable,
  worker: string,
  target: string,
  { nowMs, untilMs }: { readonly nowMs: number; readonly untilMs: number },
): Promise<boolean> {
  const { rowCount } = await queryable.query(
    `UPDATE notification_targets SET worker_until_ms = $3
      WHERE id = $1 AND worker = $2 AND worker_until_ms > $4 AND gone = ''`,
    [target, worker, untilMs, nowMs],
  );
  return rowCount === 1;
}

export async function releaseTarget(queryable: Queryable, worker: string, target: string): Promise<void> {
  const sql = `UPDATE notification_targets SET worker = '', worker_until_ms = 0 WHERE id = $1 AND worker = $2`;
  await queryable.query(sql, [target, worker]);
}

/** Resolves with the first notifications of a target that are due, in their order. */
export async function dueNotifications(
  queryable: Queryable,
  target: string,
  nowMs: number,
  rowsMax: number,
): Promise<readonly WaitingNotification[]> {
  const { rows } = await queryable.query<WaitingNotification>(
    `SELECT position, notice, created_ms AS "createdMs", due_ms AS "dueMs", attempts FROM notifications
      WHERE target = $1 AND state = 'waiting' AND due_ms <= $2 ORDER BY position LIMIT $3`,
    [target, nowMs, rowsMax],
  );
  return rows;
}

export async function finishNotifications(
  queryable: Queryable,
  target: string,
  { positions, state, error }: Finished,
  nowMs: number,
): Promise<void> {
  await queryable.query(
    `UPDATE notifications SET state = $3, error = $4, finished_ms = $5, attempts = attempts + 1
      WHERE target = $1 AND position = ANY ($2::bigint[]) AND state = 'waiting'`,
    [target, positions, state, error, nowMs],
  );
}

/** Nothing is sent to the target before `retryMs`. */
export async function delayTarget(
  queryable: Queryable,
  target: string,
  positions: readonly number[],
  { error, retryMs }: { readonly error: string; readonly retryMs: number },
): Promise<void> {
  await queryable.query('UPDATE notification_targets SET retry_ms = $2 WHERE id = $1', [target, retryMs]);
  await queryable.query(
    'UPDATE notifications SET attempts = attempts + 1, error = $3 WHERE target = $1 AND position = ANY ($2::bigint[])',
    [target, positions, error],
  );
}

/** The target wants nothing more: what waits for it is dead. Resolves with how many that were. */
export async function endTarget(queryable: Queryable, target: string, gone: string, nowMs: number): Promise<number> {
  await queryable.query('UPDATE notification_targets SET gone = $2 WHERE id = $1', [target, gone]);
  await queryable.query('DELETE FROM notification_standing WHERE target = $1', [target]);
  const { rowCount } = await queryable.query(
    `UPDATE notifications SET state = 'dead', error = $2, finished_ms = $3 WHERE target = $1 AND state = 'waiting'`,
    [target, gone, nowMs],
  );
  return rowCount;
}

// Standing alarms of an Alertmanager

/** Resolves with the last transition that the target has of each of these alarms. */
export async function standingNotices(
  queryable: Queryable,
  target: string,
  keys: readonly string[],
): Promise<ReadonlyMap<string, AlarmNotice>> {
  const { rows } = await queryable.query<{ key: string; notice: AlarmNotice }>(
    'SELECT alarm_key AS key, notice FROM notification_standing WHERE target = $1 AND alarm_key = ANY ($2::text[])',
    [target, keys],
  );
  return new Map(rows.map(({ key, notice }) => [key, notice]));
}

/** Resolves with the targets that have the alarm of a transition as a standing one, whatever their routes are now. */
export async function targetsWith(queryable: Queryable, notice: AlarmNotice): Promise<readonly string[]> {
  const sql = 'SELECT target, notice FROM notification_standing WHERE alarm_key = $1';
  const { rows } = await queryable.query<{ target: string; notice: AlarmNotice }>(sql, [alertKey(notice)]);
  return rows.filter((row) => isActive(row.notice)).map(({ target }) => target);
}

/** Resolves with standing alarms that are to be sent again. */
export async function dueStanding(
  queryable: Queryable,
  target: string,
  nowMs: number,
  rowsMax: number,
): Promise<readonly AlarmNotice[]> {
  const { rows } = await queryable.query<{ notice: AlarmNotice }>(
    'SELECT notice FROM notification_standing WHERE target = $1 AND resend_ms <= $2 ORDER BY resend_ms LIMIT $3',
    [target, nowMs, rowsMax],
  );
  return rows.map(({ notice }) => notice);
}

/** The target has these alarms, and receives them again. */
export async function putStanding(
  queryable: Queryable,
  target: string,
  notices: readonly AlarmNotice[],
  resendMs: number,
): Promise<void> {
  if (notices.length === 0) return;
  await queryable.query(
    `INSERT INTO notification_standing (target, alarm_key, notice, resend_ms)
     SELECT $1, key, notice::jsonb, $4 FROM unnest($2::text[], $3::text[]) AS one (key, notice)
     ON CONFLICT (target, alarm_key) DO UPDATE SET notice = excluded.notice, resend_ms = excluded.resend_ms`,
    [target, notices.map(alertKey), notices.map((notice) => JSON.stringify(notice)), resendMs],
  );
}

export async function deleteStanding(queryable: Queryable, target: string, keys: readonly string[]): Promise<void> {
  const sql = 'DELETE FROM notification_standing WHERE target = $1 AND alarm_key = ANY ($2::text[])';
  if (keys.length > 0) await queryable.query(sql, [target, keys]);
}

// Bounds

/** What waits, over all targets. */
export async function countWaiting(
  queryable: Queryable,
): Promise<{ readonly rows: number; readonly ofOne: number; readonly oldestMs: number | undefined }> {
  const { rows } = await queryable.query<{ rows: number; ofOne: number; oldest: number | null }>(
    `SELECT coalesce(sum(rows), 0)::bigint AS rows, coalesce(max(rows), 0) AS "ofOne", min(oldest) AS oldest
       FROM (SELECT count(*) AS rows, min(due_ms) AS oldest FROM notifications
              WHERE state = 'waiting' GROUP BY target) AS targets`,
  );
  const [found] = rows;
  return { rows: found?.rows ?? 0, ofOne: found?.ofOne ?? 0, oldestMs: found?.oldest ?? undefined };
}

/** What waits for a target, and what became of the rest. */
export interface TargetProgress {
  readonly waiting: number;
  readonly dead: number;
  /** Epoch ms; null: nothing was sent in the time for which that is kept. */
  readonly lastSentMs: number | null;
  /** Of a notification that waits after a failed attempt, else of the newest dead letter; null: there is none. */
  readonly lastError: string | null;
  /** When it is tried again, epoch ms. */
  readonly retryMs: number;
}

export async function targetProgress(queryable: Queryable, target: string): Promise<TargetProgress> {
  const sql = `SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting, count(*) FILTER (WHERE state = 'dead') AS dead,
      max(finished_ms) FILTER (WHERE state = 'sent') AS "lastSentMs",
      (SELECT retry_ms FROM notification_targets WHERE id = $1) AS "retryMs",
      (SELECT error FROM notifications WHERE target = $1 AND error <> '' AND state IN ('waiting', 'dead')
        ORDER BY state DESC, position DESC LIMIT 1) AS "lastError"
    FROM notifications WHERE target = $1`;
  return (await queryable.query<TargetProgress>(sql, [target])).rows[0]!;
}

/** Makes the oldest notifications of targets with more than `waitingMax` dead letters. Resolves with their number. */
export async function trimWaiting(queryable: Queryable, waitingMax: number, nowMs: number): Promise<number> {
  const { rowCount } = await queryable.query(
    `UPDATE notifications SET state = 'dead', finished_ms = $2, error = $3
      WHERE (target, position) IN (
        SELECT target, position FROM (
          SELECT target, position, row_number() OVER (PARTITION BY target ORDER BY position DESC) AS place
            FROM notifications WHERE state = 'waiting') AS ranked
         WHERE place > $1)`,
    [waitingMax, nowMs, `expected at most ${waitingMax} notifications that wait for the target, got more`],
  );
  return rowCount;
}

/** Removes what was sent or dropped before `sentBeforeMs`, and dead letters before `deadBeforeMs`. */
export async function removeOld(
  queryable: Queryable,
  { sentBeforeMs, deadBeforeMs }: { readonly sentBeforeMs: number; readonly deadBeforeMs: number },
): Promise<void> {
  await queryable.query(
    `DELETE FROM notifications
      WHERE (finished_ms < $1 AND state IN ('sent', 'dropped')) OR (finished_ms < $2 AND state = 'dead')`,
    [sentBeforeMs, deadBeforeMs],
  );
}
