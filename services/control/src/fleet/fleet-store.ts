import type { Queryable } from '@tailrace/database/database';
import type { Requester } from '../requester.ts';
import type { FleetCounts, FleetDeviceState, FleetState } from './fleet-command.ts';
import type { StoredRequest } from './fleet-request.ts';

/* Statements of fleet commands. The rules are in fleet-command.ts, fleet-service.ts and fleet-runner.ts. */

/** A fleet command as the store has it. */
export interface StoredFleet {
  readonly id: string;
  readonly position: number;
  readonly sender: string;
  readonly key: string;
  readonly content: string;
  readonly tenant: string;
  readonly scope: string;
  readonly request: StoredRequest;
  /** Whose rights it has. */
  readonly requester: Requester;
  /** The second person; null: none. */
  readonly approver: Requester | null;
  readonly canceler: Requester | null;
  /** Whether one of its commands needs a second person. */
  readonly isMarked: boolean;
  /** Number of its devices. */
  readonly devices: number;
  readonly state: FleetState;
  readonly isFinal: boolean;
  readonly number: number;
  readonly message: string;
  readonly nextMs: number;
  readonly createdMs: number;
  readonly changedMs: number;
}

const columns = `id, position, sender, key, content, tenant, scope, request, requester, approver, canceler,
  is_marked AS "isMarked", devices, state, is_final AS "isFinal", number, message, next_ms AS "nextMs",
  created_ms AS "createdMs", changed_ms AS "changedMs"`;

async function fleetsOf(queryable: Queryable, rest: string, parameters: readonly unknown[]): Promise<StoredFleet[]> {
  return (await queryable.query<StoredFleet>(`SELECT ${columns} FROM fleet_commands ${rest}`, parameters)).rows.slice();
}

export async function findFleet(queryable: Queryable, id: string): Promise<StoredFleet | undefined> {
  return (await fleetsOf(queryable, 'WHERE id = $1', [id]))[0];
}

/** Resolves with fleet commands by ID. */
export async function findFleets(
  queryable: Queryable,
  ids: readonly string[],
): Promise<ReadonlyMap<string, StoredFleet>> {
  const fleets = await fleetsOf(queryable, 'WHERE id = ANY ($1::text[])', [ids]);
  return new Map(fleets.map((fleet) => [fleet.id, fleet]));
}

export async function findFleetByKey(
  queryable: Queryable,
  sender: string,
  key: string,
): Promise<StoredFleet | undefined> {
  return (await fleetsOf(queryable, 'WHERE sender = $1 AND key = $2', [sender, key]))[0];
}

/** Resolves with a fleet command that no other transaction changes until this one is finished. */
export async function lockFleet(transaction: Queryable, id: string): Promise<StoredFleet | undefined> {
  return (await fleetsOf(transaction, 'WHERE id = $1 FOR UPDATE', [id]))[0];
}

/** As `lockFleet`; undefined also for a final one, and for one on which another process works. */
export async function tryLockFleet(
  transaction: Queryable,
  id: string,
  worker: string,
  nowMs: number,
): Promise<StoredFleet | undefined> {
  const rest = `WHERE id = $1 AND NOT is_final AND (claimed_by IN ('', $2) OR claimed_until_ms < $3)
    FOR UPDATE SKIP LOCKED`;
  return (await fleetsOf(transaction, rest, [id, worker, nowMs]))[0];
}

export interface FleetDevice {
  readonly place: number;
  readonly device: string;
  readonly via: string;
}

export type NewFleet = Omit<StoredFleet, 'position' | 'approver' | 'canceler' | 'number' | 'message' | 'nextMs'>;

/** Inserts a fleet command with its devices. Resolves with false if the sender has used the key before. */
export async function insertFleet(
  transaction: Queryable,
  fleet: NewFleet,
  devices: readonly FleetDevice[],
  dueMs: number,
): Promise<boolean> {
  const { id, sender, key, content, tenant, scope, request, requester, isMarked, state, createdMs } = fleet;
  const { rowCount } = await transaction.query(
    `INSERT INTO fleet_commands (id, sender, key, content, tenant, scope, request, requester, is_marked, devices, state,
       created_ms, changed_ms, next_ms, due_ms)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $12, $13) ON CONFLICT (sender, key) DO NOTHING`,
    [
      ...[id, sender, key, content, tenant, scope, JSON.stringify(request), JSON.stringify(requester), isMarked],
      ...[devices.length, state, createdMs, dueMs],
    ],
  );
  if (rowCount === 0) return false;
  await transaction.query(
    `INSERT INTO fleet_command_devices (fleet, place, device, via, changed_ms)
     SELECT $1, place, device, via, $5 FROM unnest($2::integer[], $3::text[], $4::text[]) AS each (place, device, via)`,
    [
      id,
      devices.map(({ place }) => place),
      devices.map(({ device }) => device),
      devices.map(({ via }) => via),
      createdMs,
    ],
  );
  return true;
}

export interface FleetChange {
  readonly state: FleetState;
  readonly isFinal: boolean;
  readonly message: string;
}

/** Stores a transition. The next step is due at once, and the rate starts again. */
export async function storeFleetChange(
  transaction: Queryable,
  { id, number }: StoredFleet,
  { state, isFinal, message }: FleetChange,
  nowMs: number,
): Promise<void> {
  await transaction.query(
    `UPDATE fleet_commands SET state = $2, is_final = $3, message = CASE WHEN $4 = '' THEN message ELSE $4 END,
       number = $5, changed_ms = $6, due_ms = $6, next_ms = greatest(next_ms, $6) WHERE id = $1`,
    [id, state, isFinal, message, number + 1, nowMs],
  );
}

/** Stores the second person who confirms a fleet command, or the person who cancels it. */
export async function storePerson(
  transaction: Queryable,
  id: string,
  column: 'approver' | 'canceler',
  person: Requester,
): Promise<void> {
  const sql = `UPDATE fleet_commands SET ${column} = $2 WHERE id = $1`;
  await transaction.query(sql, [id, JSON.stringify(person)]);
}

/** Claims a fleet command for a process, and stores when its next device and its next step are due, epoch ms. */
export async function claimFleet(
  queryable: Queryable,
  id: string,
  claim: { readonly worker: string; readonly untilMs: number; readonly nextMs: number; readonly dueMs: number },
): Promise<void> {
  const sql = `UPDATE fleet_commands SET claimed_by = $2, claimed_until_ms = $3, next_ms = $4, due_ms = $5 WHERE id = $1`;
  await queryable.query(sql, [id, claim.worker, claim.untilMs, claim.nextMs, claim.dueMs]);
}

/** Releases the claim of a process. */
export async function releaseFleet(queryable: Queryable, id: string, worker: string): Promise<void> {
  await queryable.query(`UPDATE fleet_commands SET claimed_by = '' WHERE id = $1 AND claimed_by = $2`, [id, worker]);
}

/** Resolves with fleet commands that are due, and when the next one is; infinite: none is open. */
export async function dueFleets(
  queryable: Queryable,
  nowMs: number,
  limit: number,
): Promise<{ readonly due: readonly string[]; readonly nextMs: number; readonly open: number }> {
  const { rows } = await queryable.query<{ id: string; due_ms: number }>(
    'SELECT id, due_ms FROM fleet_commands WHERE NOT is_final ORDER BY due_ms, position LIMIT $1',
    [limit],
  );
  const due = rows.filter((row) => row.due_ms <= nowMs).map(({ id }) => id);
  const nextMs = rows.find((row) => row.due_ms > nowMs)?.due_ms ?? Number.POSITIVE_INFINITY;
  return { due, nextMs, open: rows.length };
}

export async function countOpenFleets(queryable: Queryable): Promise<number> {
  const sql = 'SELECT count(*) AS open FROM fleet_commands WHERE NOT is_final';
  return (await queryable.query<{ open: number }>(sql)).rows[0]!.open;
}

/** Resolves with the counts of the devices, by fleet command. */
export async function fleetCounts(
  queryable: Queryable,
  ids: readonly string[],
): Promise<ReadonlyMap<string, FleetCounts>> {
  const sql = `SELECT fleet, state, is_final AS "isFinal", count(*) AS count FROM fleet_command_devices
    WHERE fleet = ANY ($1::text[]) GROUP BY fleet, state, is_final`;
  const { rows } = await queryable.query<{ fleet: string; state: FleetDeviceState; isFinal: boolean; count: number }>(
    sql,
    [ids],
  );
  return new Map(ids.map((id) => [id, countsOf(rows.filter(({ fleet }) => fleet === id))]));
}

function countsOf(
  rows: readonly { readonly state: FleetDeviceState; readonly isFinal: boolean; readonly count: number }[],
): FleetCounts {
  const byState: Partial<Record<FleetDeviceState, number>> = {};
  let open = 0;
  let finished = 0;
  let failed = 0;
  for (const { state, isFinal, count } of rows) {
    byState[state] = (byState[state] ?? 0) + count;
    if (!isFinal && state !== 'pending') open += count;
    if (!isFinal || state === 'skipped') continue;
    finished += count;
    if (state === 'failed' || state === 'expired' || state === 'unconfirmed') failed += count;
  }
  return { byState, open, finished, failed };
}

/** Resolves with the next devices that have no command, in their order. */
export async function nextDevices(
  queryable: Queryable,
  id: string,
  nowMs: number,
  limit: number,
): Promise<readonly (FleetDevice & { readonly triedMs: number | null })[]> {
  const sql = `SELECT place, device, via, tried_ms AS "triedMs" FROM fleet_command_devices
    WHERE fleet = $1 AND state = 'pending' AND not_before_ms <= $2 ORDER BY place LIMIT $3`;
  return (await queryable.query<FleetDevice & { triedMs: number | null }>(sql, [id, nowMs, limit])).rows;
}

/** Records that a command could not be submitted, and when it is tried again. */
export async function noteTried(
  queryable: Queryable,
  id: string,
  place: number,
  nowMs: number,
  notBeforeMs: number,
): Promise<void> {
  const sql = `UPDATE fleet_command_devices SET tried_ms = coalesce(tried_ms, $3), not_before_ms = $4
    WHERE fleet = $1 AND place = $2 AND state = 'pending'`;
  await queryable.query(sql, [id, place, nowMs, notBeforeMs]);
}

/** Records that the command of a device is refused for good, if the fleet command is running. */
export async function noteRefused(
  queryable: Queryable,
  id: string,
  place: number,
  refusal: { readonly code: string; readonly message: string; readonly nowMs: number },
): Promise<void> {
  const sql = `UPDATE fleet_command_devices SET state = 'failed', is_final = true, code = $3, message = $4, changed_ms = $5
    WHERE fleet = $1 AND place = $2 AND state = 'pending'
      AND EXISTS (SELECT 1 FROM fleet_commands WHERE id = $1 AND state = 'running')`;
  await queryable.query(sql, [id, place, refusal.code, refusal.message, refusal.nowMs]);
}

/** Skips the devices that have no command. */
export async function skipPending(transaction: Queryable, id: string, nowMs: number): Promise<void> {
  const sql = `UPDATE fleet_command_devices SET state = 'skipped', is_final = true, changed_ms = $2
    WHERE fleet = $1 AND state = 'pending'`;
  await transaction.query(sql, [id, nowMs]);
}

/** Resolves with commands that await the second person, or, with `isCanceled`, that are to be canceled. */
export async function commandsToDecide(
  queryable: Queryable,
  id: string,
  isCanceled: boolean,
  limit: number,
): Promise<readonly string[]> {
  const which = isCanceled ? "command.cancel_by = ''" : "command.awaits = 'confirmation'";
  const sql = `SELECT command.id FROM fleet_command_devices AS device JOIN commands AS command ON command.id = device.command
    WHERE device.fleet = $1 AND NOT device.is_final AND device.state <> 'pending' AND NOT command.is_final AND ${which}
    ORDER BY device.place LIMIT $2`;
  return (await queryable.query<{ id: string }>(sql, [id, limit])).rows.map((row) => row.id);
}

export interface FleetFilter {
  readonly tenant: string;
  readonly isOpen?: boolean | undefined;
  /** Only of an earlier position. */
  readonly before?: number | undefined;
  readonly limit: number;
}

/** Resolves with fleet commands, the newest first. */
export async function listFleets(queryable: Queryable, filter: FleetFilter): Promise<readonly StoredFleet[]> {
  const { tenant, isOpen, before, limit } = filter;
  return fleetsOf(
    queryable,
    `WHERE $1 IN ('', tenant) AND ($2::boolean IS NULL OR is_final <> $2) AND ($3::bigint IS NULL OR position < $3)
     ORDER BY position DESC LIMIT $4`,
    [tenant, isOpen, before, limit],
  );
}

export interface FleetDeviceRow extends FleetDevice {
  readonly state: FleetDeviceState;
  readonly isFinal: boolean;
  readonly command: string;
  readonly code: string;
  readonly message: string;
  readonly changedMs: number;
}

/** Resolves with devices of a fleet command, in their order. */
export async function listFleetDevices(
  queryable: Queryable,
  id: string,
  filter: { readonly state?: FleetDeviceState | undefined; readonly after: number; readonly limit: number },
): Promise<readonly FleetDeviceRow[]> {
  const sql = `SELECT place, device, via, state, is_final AS "isFinal", command, code, message, changed_ms AS "changedMs"
    FROM fleet_command_devices
    WHERE fleet = $1 AND ($2::text IS NULL OR state = $2) AND place > $3 ORDER BY place LIMIT $4`;
  return (await queryable.query<FleetDeviceRow>(sql, [id, filter.state, filter.after, filter.limit])).rows;
}

/** Resolves with the gateways in front of devices, by device. */
export async function gatewaysOf(
  queryable: Queryable,
  devices: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const sql = `SELECT path, gateway FROM registry_devices WHERE path = ANY ($1::text[]) AND gateway <> ''`;
  const { rows } = await queryable.query<{ path: string; gateway: string }>(sql, [devices]);
  return new Map(rows.map(({ path, gateway }) => [path, gateway]));
}

/** Removes final fleet commands that have not changed since a time, at most one a call. */
export async function removeFinalFleets(queryable: Queryable, beforeMs: number): Promise<void> {
  const sql = `DELETE FROM fleet_commands WHERE id IN (
    SELECT id FROM fleet_commands WHERE is_final AND changed_ms < $1 ORDER BY changed_ms LIMIT 1 FOR UPDATE SKIP LOCKED)`;
  await queryable.query(sql, [beforeMs]);
}
