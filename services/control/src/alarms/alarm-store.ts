import type { Queryable } from '@tailrace/database/database';
import { lowestPriority } from '../notifications/alarm-notice.ts';
import type { RefusedAction, StoredTransition } from './alarm-event.ts';

/* Statements of the reader of alarms. The rules are in alarm-reader.ts. */

/** How far the events of a partition are stored. */
export interface AlarmPosition {
  readonly partition: number;
  /** Of the topic of events; '': nothing was read. */
  readonly epoch: string;
  readonly next: number;
  readonly owner: number;
  readonly isRestored: boolean;
}

/** Adds the positions of partitions that have none. */
export async function createPositions(queryable: Queryable, partitions: number): Promise<void> {
  const sql = `INSERT INTO alarm_positions (partition) SELECT generate_series(0, $1::integer - 1)
    ON CONFLICT (partition) DO NOTHING`;
  await queryable.query(sql, [partitions]);
}

/** Resolves with the positions that this process has until `untilMs`: those it had, and those that no other one has. */
export async function claimPositions(
  queryable: Queryable,
  worker: string,
  partitions: number,
  { nowMs, untilMs }: { readonly nowMs: number; readonly untilMs: number },
): Promise<readonly AlarmPosition[]> {
  const sql = `UPDATE alarm_positions SET holder = $1, until_ms = $2
    WHERE (holder = $1 OR until_ms < $3) AND partition < $4
    RETURNING partition, epoch, next, owner, is_restored AS "isRestored"`;
  return (await queryable.query<AlarmPosition>(sql, [worker, untilMs, nowMs, partitions])).rows;
}

/** Another process may have the positions at once. */
export async function releasePositions(queryable: Queryable, worker: string): Promise<void> {
  await queryable.query('UPDATE alarm_positions SET until_ms = 0 WHERE holder = $1', [worker]);
}

/** Locks a position until the commit. Resolves with false if another process has changed it. */
export async function lockPosition(queryable: Queryable, position: AlarmPosition): Promise<boolean> {
  const { partition, epoch, next, isRestored } = position;
  const sql = `SELECT 1 FROM alarm_positions
    WHERE partition = $1 AND epoch = $2 AND next = $3 AND is_restored = $4 FOR UPDATE`;
  return (await queryable.query(sql, [partition, epoch, next, isRestored])).rowCount === 1;
}

/** Stores a position that is locked. */
export async function storePosition(queryable: Queryable, position: AlarmPosition): Promise<void> {
  const { partition, epoch, next, owner, isRestored } = position;
  const sql = 'UPDATE alarm_positions SET epoch = $2, next = $3, owner = $4, is_restored = $5 WHERE partition = $1';
  await queryable.query(sql, [partition, epoch, next, owner, isRestored]);
}

/** Resolves with the number of the last transition of these rules at these devices. */
export async function knownNumbers(
  queryable: Queryable,
  epoch: string,
  transitions: readonly StoredTransition[],
): Promise<readonly { readonly device: string; readonly rule: string; readonly number: number }[]> {
  if (transitions.length === 0) return [];
  const sql = `SELECT device, rule, number FROM alarms
    JOIN (SELECT DISTINCT * FROM unnest($2::text[], $3::text[]) AS asked (device, rule)) AS asked USING (device, rule)
    WHERE epoch = $1`;
  const devices = transitions.map(({ device }) => device);
  const rules = transitions.map(({ rule }) => rule);
  return (await queryable.query<{ device: string; rule: string; number: number }>(sql, [epoch, devices, rules])).rows;
}

/** Adds transitions to the history, and makes the last one of each rule at each device its current one. */
export async function storeTransitions(
  queryable: Queryable,
  { partition, epoch }: Pick<AlarmPosition, 'partition' | 'epoch'>,
  transitions: readonly StoredTransition[],
  nowMs: number,
): Promise<void> {
  if (transitions.length === 0) return;
  await queryable.query(
    `INSERT INTO alarm_transitions (epoch, id, device, rule, state, cause, priority, at_ms, stored_ms, transition)
     SELECT $2, one ->> 'id', one ->> 'device', one ->> 'rule', one ->> 'state', coalesce(one ->> 'cause', ''),
       coalesce((one ->> 'priority')::integer, $4), (one ->> 'time')::double precision, $3, one
     FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS list (one, place) ORDER BY place
     ON CONFLICT (epoch, id) DO NOTHING`,
    [JSON.stringify(transitions), epoch, nowMs, lowestPriority],
  );
  const last = new Map(transitions.map((transition) => [`${transition.device} ${transition.rule}`, transition]));
  await queryable.query(
    `INSERT INTO alarms AS known
       (device, rule, partition, epoch, number, state, priority, changed_ms, activated_ms, stored_ms, transition)
     SELECT one ->> 'device', one ->> 'rule', $2, $3, (one ->> 'number')::bigint, one ->> 'state',
       coalesce((one ->> 'priority')::integer, $5), (one ->> 'time')::double precision,
       coalesce(one ->> 'activated', one ->> 'time')::double precision, $4, one
     FROM jsonb_array_elements($1::jsonb) AS list (one)
     ON CONFLICT (device, rule) DO UPDATE SET partition = excluded.partition, epoch = excluded.epoch,
       number = excluded.number, state = excluded.state, priority = excluded.priority,
       changed_ms = excluded.changed_ms, activated_ms = excluded.activated_ms, stored_ms = excluded.stored_ms,
       transition = excluded.transition
       WHERE known.epoch <> excluded.epoch OR known.number < excluded.number`,
    [JSON.stringify([...last.values()]), partition, epoch, nowMs, lowestPriority],
  );
}

/** Resolves with those that were not stored before. */
export async function storeRefused(
  queryable: Queryable,
  refused: readonly RefusedAction[],
  nowMs: number,
): Promise<readonly RefusedAction[]> {
  if (refused.length === 0) return [];
  const { rows } = await queryable.query<{ action: string }>(
    `INSERT INTO alarm_refusals (action, device, rule, code, message, stored_ms)
     SELECT action, device, rule, code, message, $2
     FROM jsonb_to_recordset($1::jsonb) AS new (action text, device text, rule text, code text, message text)
     ON CONFLICT (action) DO NOTHING RETURNING action`,
    [JSON.stringify(refused), nowMs],
  );
  const stored = new Set(rows.map(({ action }) => action));
  return refused.filter(({ action }) => stored.delete(action));
}

/** Removes the alarms of a partition that an earlier topic of events had, and this one has not. */
export async function removeOtherEpochs(
  queryable: Queryable,
  { partition, epoch }: Pick<AlarmPosition, 'partition' | 'epoch'>,
): Promise<number> {
  const sql = 'DELETE FROM alarms WHERE partition = $1 AND epoch <> $2';
  return (await queryable.query(sql, [partition, epoch])).rowCount;
}

/** Removes what was stored before a time, but no alarm that is not normal. Resolves with the number of rows. */
export async function removeOldAlarms(queryable: Queryable, beforeMs: number, rowsMax: number): Promise<number> {
  const removed = await Promise.all(
    (
      [
        ['alarm_transitions', 'position', ''],
        ['alarm_refusals', 'action', ''],
        ['alarms', 'position', `AND state = 'normal'`],
      ] as const
    ).map(([table, key, condition]) =>
      queryable.query(
        `DELETE FROM ${table} WHERE ${key} IN (SELECT ${key} FROM ${table} WHERE stored_ms < $1 ${condition}
           ORDER BY stored_ms LIMIT $2)`,
        [beforeMs, rowsMax],
      ),
    ),
  );
  return removed.reduce((sum, { rowCount }) => sum + rowCount, 0);
}
