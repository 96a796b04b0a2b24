import type { Queryable } from '@tailrace/database/database';
import type { CommandValue } from '@tailrace/protocol/device-command';
import { TailraceError } from '@tailrace/protocol/error';
import { type Lease, scopesOver } from '../leases/lease.ts';
import { validLeaseSql } from '../leases/lease-store.ts';
import type { Command } from './command.ts';

/** A row of `commands`, under the names of `Command`. */
type CommandRow = Omit<Command, 'before' | 'after'> & {
  readonly before: CommandValue | null;
  readonly after: CommandValue | null;
};

const columns = `id, position, sender, key, device, via, name, params, qos, deadline_ms AS deadline,
  accepted_ms AS accepted, fence, replaces, only_if AS "onlyIf", seen, traceparent, approver, state, awaits,
  is_final AS "isFinal", number, changed_ms AS changed, code, message, confirmed_by AS "confirmedBy", value_before AS before, value_after AS after,
  is_requested AS "isRequested", node, cancel_by AS "cancelBy"`;

function commandFrom({ before, after, ...row }: CommandRow): Command {
  return { ...row, before: before ?? undefined, after: after ?? undefined };
}

async function commandsOf(queryable: Queryable, sql: string, parameters: readonly unknown[]): Promise<Command[]> {
  const { rows } = await queryable.query<CommandRow>(sql, parameters);
  return rows.map(commandFrom);
}

/** Resolves with a command; undefined if there is none. */
export async function findCommand(queryable: Queryable, id: string): Promise<Command | undefined> {
  return (await commandsOf(queryable, `SELECT ${columns} FROM commands WHERE id = $1`, [id]))[0];
}

/** Resolves with the command of an ID; if there is none, with the one that the sender has submitted under this key. */
export async function findCommandOf(queryable: Queryable, id: string, sender: string): Promise<Command | undefined> {
  const sql = `SELECT ${columns} FROM commands WHERE id = $1 OR (sender = $2 AND key = $1) ORDER BY id = $1 DESC LIMIT 1`;
  return (await commandsOf(queryable, sql, [id, sender]))[0];
}

/** Resolves with a command that no other transaction changes until this one is finished. Rejects with `not_found`. */
export async function lockCommand(transaction: Queryable, id: string): Promise<Command> {
  const command = (await lockCommands(transaction, [id])).get(id);
  if (command !== undefined) return command;
  throw noCommand(id);
}

/** As `lockCommand`, of several ones, by ID. Those that do not exist are not in the result. */
export async function lockCommands(transaction: Queryable, ids: readonly string[]): Promise<Map<string, Command>> {
  // In the order of IDs, so that two transactions do not wait for each other.
  const sql = `SELECT ${columns} FROM commands WHERE id = ANY ($1::text[]) ORDER BY id FOR UPDATE`;
  return new Map((await commandsOf(transaction, sql, [ids])).map((command) => [command.id, command]));
}

export function noCommand(id: string): TailraceError {
  return new TailraceError('not_found', `command: expected the ID of one, got ${JSON.stringify(id)}`);
}

/** What is stored about a submission. */
export interface SubmissionFacts {
  /** The command that the sender has submitted under the key. */
  readonly known: Command | undefined;
  /** The valid lease that covers the device. */
  readonly lease: Lease | undefined;
  /** Open commands of the device: all of them, and those that are sent before a later one may be. */
  readonly open: number;
  readonly waiting: number;
  /** Whether the registry has the device: it has reported, or a person has added it. */
  readonly isRegistered: boolean;
}

/** Resolves with what is stored about submissions, in their order. */
export async function factsOf(
  queryable: Queryable,
  submissions: readonly Pick<Command, 'sender' | 'key' | 'device'>[],
  nowMs: number,
): Promise<readonly SubmissionFacts[]> {
  if (submissions.length === 0) return [];
  const items = submissions.map((each, place) => ({ ...each, place, scopes: scopesOver(each.device) }));
  const { rows } = await queryable.query<{
    known: CommandRow | null;
    lease: Lease | null;
    open: number;
    waiting: number;
    isRegistered: boolean;
  }>(
    `SELECT counted.open, counted.waiting, ${validLeaseSql('item.scopes', '$2')} AS lease,
        EXISTS (SELECT FROM registry_devices WHERE path = item.device) AS "isRegistered",
        (SELECT to_jsonb(known) FROM (
           SELECT ${columns} FROM commands WHERE sender = item.sender AND key = item.key) AS known) AS known
       FROM jsonb_to_recordset($1::jsonb) AS item (place integer, sender text, key text, device text, scopes text[])
      CROSS JOIN LATERAL (
        SELECT count(*) AS open,
            count(*) FILTER (WHERE state IN ('accepted', 'queued') AND awaits <> 'confirmation') AS waiting
          FROM commands WHERE device = item.device AND NOT is_final) AS counted
      ORDER BY item.place`,
    [JSON.stringify(items), nowMs],
  );
  return rows.map(({ known, lease, open, waiting, isRegistered }) => ({
    ...{ open, waiting, isRegistered, lease: lease ?? undefined },
    known: known === null ? undefined : commandFrom(known),
  }));
}

/** Resolves with the open commands of devices, in the order of their acceptance, locked. */
export async function lockOpenOf(transaction: Queryable, devices: readonly string[]): Promise<readonly Command[]> {
  if (devices.length === 0) return [];
  // Locked in the order of IDs, as in `lockCommands`.
  const sql = `SELECT ${columns} FROM commands WHERE device = ANY ($1::text[]) AND NOT is_final ORDER BY id FOR UPDATE`;
  return (await commandsOf(transaction, sql, [devices])).sort((a, b) => a.position - b.position);
}

/** A command that is accepted. */
export interface NewCommand {
  readonly command: Omit<Command, 'position'>;
  /** Who works on it; '' for one that waits behind another one, or for a second person. */
  readonly worker: string;
  /** When it is worked on, epoch ms. */
  readonly dueMs: number;
}

/**
 * Inserts commands in their order, with their first transitions. Resolves with their positions by ID, without those of
 * which the sender has used the key before.
 */
export async function insertCommands(
  transaction: Queryable,
  commands: readonly NewCommand[],
): Promise<ReadonlyMap<string, number>> {
  if (commands.length === 0) return new Map();
  const items = commands.map(({ command, worker, dueMs }, place) => ({ ...command, worker, due: dueMs, place }));
  const { rows } = await transaction.query<{ id: string; position: number }>(
    `WITH listed AS (
       SELECT * FROM jsonb_to_recordset($1::jsonb) AS item (place integer, id text, sender text, key text, device text,
         via text, name text, params jsonb, qos smallint, deadline double precision, accepted double precision,
         fence bigint, replaces boolean, "onlyIf" text, seen jsonb, traceparent text, state text, awaits text,
         number integer, message text, worker text, due double precision)
     ), command AS (
       INSERT INTO commands (id, sender, key, device, via, name, params, qos, deadline_ms, accepted_ms, fence, replaces,
         only_if, seen, traceparent, state, awaits, is_final, number, changed_ms, message, worker, due_ms)
       SELECT id, sender, key, device, via, name, params, qos, deadline, accepted, fence, replaces,
           "onlyIf", seen, traceparent, state, awaits, false, number, accepted, message, worker, due
         FROM listed ORDER BY place
       ON CONFLICT (sender, key) DO NOTHING RETURNING *
     ), transition AS (
       INSERT INTO command_transitions (command, number, state, awaits, at_ms, code, message, is_final)
       SELECT id, number, state, awaits, changed_ms, code, message, is_final FROM command
     )
     SELECT id, position FROM command`,
    [JSON.stringify(items)],
  );
  return new Map(rows.map(({ id, position }) => [id, position]));
}

/**
 * Stores commands after transitions. Those of one command follow each other. `dueOf`: when a command is worked on again
 * after its last one, epoch ms.
 */
export async function storeTransitions(
  transaction: Queryable,
  transitions: readonly Command[],
  dueOf: (command: Command) => number,
): Promise<void> {
  if (transitions.length === 0) return;
  const last = new Map(transitions.map((each) => [each.id, each]));
  const rows = transitions.map((each) => {
    const { id, approver, state, awaits, isFinal, number, changed, code, message, confirmedBy } = each;
    const { before, after, isRequested, cancelBy } = each;
    return {
      ...{ id, approver, state, awaits, isFinal, number, changed, code, message, confirmedBy },
      ...{ before, after, isRequested, cancelBy, due: last.get(id) === each ? dueOf(each) : undefined },
    };
  });
  await transaction.query(
    `WITH transition AS (
       SELECT * FROM jsonb_to_recordset($1::jsonb) AS listed (id text, approver text, state text, awaits text,
         "isFinal" boolean, number integer, changed double precision, code text, message text, "confirmedBy" text,
         "before" jsonb, "after" jsonb, "isRequested" boolean, "cancelBy" text, due double precision)
     ), command AS (
       UPDATE commands SET approver = transition.approver, state = transition.state, awaits = transition.awaits,
         is_final = transition."isFinal", number = transition.number, changed_ms = transition.changed,
         code = transition.code, message = transition.message, confirmed_by = transition."confirmedBy",
         value_before = transition."before", value_after = transition."after",
         is_requested = transition."isRequested", cancel_by = transition."cancelBy", due_ms = transition.due
        FROM transition
       WHERE commands.id = transition.id AND commands.id = ANY ($2::text[]) AND transition.due IS NOT NULL
     )
     INSERT INTO command_transitions (command, number, state, awaits, at_ms, code, message, is_final)
     SELECT id, number, state, awaits, changed, code, message, "isFinal" FROM transition`,
    // The IDs are there twice: PostgreSQL expects 100 rows of JSON, for which it would read a small table whole.
    [JSON.stringify(rows), [...last.keys()]],
  );
}

/** A command that is about to be requested of a node. */
export interface NodeRequest {
  readonly command: Command;
  readonly node: string;
}

/**
 * Notes that commands are requested of nodes from now on. Resolves with the IDs of those that may be. The others may
 * not: another process works on the command, it has changed, it was requested before, or another subject has a lease,
 * which may have been granted since the command was claimed.
 */
export async function noteRequested(
  queryable: Queryable,
  requests: readonly NodeRequest[],
  worker: string,
  nowMs: number,
): Promise<ReadonlySet<string>> {
  const items = requests.map(({ command: { id, number, device }, node }) => {
    return { id, number, node, scopes: scopesOver(device) };
  });
  const { rows } = await queryable.query<{ id: string }>(
    `UPDATE commands SET is_requested = true, node = request.node
       FROM jsonb_to_recordset($1::jsonb) AS request (id text, number integer, node text, scopes text[])
      WHERE commands.id = request.id AND commands.id = ANY ($4::text[])
        AND commands.number = request.number AND commands.worker = $2
        AND NOT commands.is_final AND NOT commands.is_requested AND commands.awaits <> 'confirmation'
        AND NOT EXISTS (
          SELECT 1 FROM leases
           WHERE scope = ANY (request.scopes) AND until_ms > $3
             AND (holder <> commands.sender OR (commands.fence <> 0 AND commands.fence < token)))
      RETURNING commands.id`,
    [JSON.stringify(items), worker, nowMs, requests.map(({ command }) => command.id)],
  );
  return new Set(rows.map(({ id }) => id));
}

/**
 * Claims commands that are due: no other process works on them until `untilMs`. Of a device only the first that is not
 * sent, so that they are sent in order.
 */
export async function claimDue(
  queryable: Queryable,
  claim: { readonly worker: string; readonly nowMs: number; readonly untilMs: number; readonly rowsMax: number },
): Promise<readonly Command[]> {
  const { worker, nowMs, untilMs, rowsMax } = claim;
  const sql = `UPDATE commands SET worker = $1, due_ms = $3
    WHERE id IN (
      SELECT id FROM commands AS command
       WHERE NOT is_final AND due_ms <= $2 AND (deadline_ms <= $2 OR ${isNextSql})
       ORDER BY due_ms LIMIT $4 FOR UPDATE SKIP LOCKED)
    RETURNING ${columns}`;
  const commands = await commandsOf(queryable, sql, [worker, nowMs, untilMs, rowsMax]);
  return commands.sort((a, b) => a.position - b.position);
}

/** Whether a command may be sent or followed: no earlier one of its device is still to be sent. */
const isNextSql = `(state NOT IN ('accepted', 'queued') OR NOT EXISTS (
  SELECT 1 FROM commands AS earlier
   WHERE earlier.device = command.device AND earlier.position < command.position AND NOT earlier.is_final
     AND earlier.state IN ('accepted', 'queued') AND earlier.awaits <> 'confirmation'))`;

/**
 * Claims the command of each device whose turn it is now, after the one before it. Not one that was claimed before: a
 * process works on it, or it is due again at its time, as one that waits for its device.
 */
export async function claimNextOf(
  queryable: Queryable,
  devices: readonly string[],
  worker: string,
  untilMs: number,
): Promise<readonly Command[]> {
  const sql = `UPDATE commands SET worker = $2, due_ms = $3
    WHERE id IN (
      SELECT id FROM commands AS command
       WHERE device = ANY ($1::text[]) AND NOT is_final AND state IN ('accepted', 'queued') AND awaits = ''
         AND worker = '' AND ${isNextSql}
       FOR UPDATE SKIP LOCKED)
    RETURNING ${columns}`;
  return commandsOf(queryable, sql, [devices, worker, untilMs]);
}

/**
 * Makes the next commands of devices due that nothing has claimed after the one before: a process has stopped between
 * both. `laterMs`: those behind another one are due at their deadlines, beyond this time. Resolves with their number.
 */
export async function wakeForgotten(queryable: Queryable, nowMs: number, laterMs: number): Promise<number> {
  const sql = `UPDATE commands AS command SET due_ms = $1
    WHERE NOT is_final AND NOT is_requested AND state IN ('accepted', 'queued') AND awaits <> 'confirmation'
      AND due_ms > $2 AND ${isNextSql}`;
  return (await queryable.query(sql, [nowMs, laterMs])).rowCount;
}

/** Makes the commands due that wait for these devices, which have a session now. Resolves with their number. */
export async function wakeDevices(queryable: Queryable, devices: readonly string[], nowMs: number): Promise<number> {
  const sql = `UPDATE commands SET due_ms = $2
    WHERE awaits = 'device' AND (CASE WHEN via = '' THEN device ELSE via END) = ANY ($1::text[]) AND due_ms > $2`;
  return (await queryable.query(sql, [devices, nowMs])).rowCount;
}

export interface CommandFilter {
  /** Device paths and patterns that the requester may see. */
  readonly visible: readonly string[];
  /** A path or a pattern. */
  readonly device?: string | undefined;
  readonly sender?: string | undefined;
  readonly isOpen?: boolean | undefined;
  /** Only of an earlier position. */
  readonly before?: number | undefined;
  readonly limit: number;
}

/** Whether a device is one of the paths and patterns of a parameter. */
export function matchesSql(column: string, parameter: string): string {
  return `EXISTS (SELECT 1 FROM unnest(${parameter}::text[]) AS pattern
    WHERE ${column} = pattern OR (pattern LIKE '%>' AND starts_with(${column}, left(pattern, -1))))`;
}

/** Resolves with commands, the newest first. */
export async function listCommands(queryable: Queryable, filter: CommandFilter): Promise<readonly Command[]> {
  const { visible, device, sender, isOpen, before, limit } = filter;
  const parameters: unknown[] = [visible, limit];
  const conditions = [matchesSql('device', '$1')];
  const add = (sql: (parameter: string) => string, value: unknown) => {
    parameters.push(value);
    conditions.push(sql(`$${parameters.length}`));
  };
  if (device !== undefined) add((parameter) => matchesSql('device', parameter), [device]);
  if (sender !== undefined) add((parameter) => `sender = ${parameter}`, sender);
  if (isOpen !== undefined) add((parameter) => `is_final <> ${parameter}`, isOpen);
  if (before !== undefined) add((parameter) => `position < ${parameter}`, before);
  const sql = `SELECT ${columns} FROM commands WHERE ${conditions.join(' AND ')} ORDER BY position DESC LIMIT $2`;
  return commandsOf(queryable, sql, parameters);
}

/** Resolves with the transitions of a command, the first one first. */
export async function transitionsOf(
  queryable: Queryable,
  id: string,
): Promise<readonly Pick<Command, 'number' | 'state' | 'awaits' | 'changed' | 'code' | 'message' | 'isFinal'>[]> {
  const sql = `SELECT number, state, awaits, at_ms AS changed, code, message, is_final AS "isFinal"
    FROM command_transitions WHERE command = $1 ORDER BY number`;
  return (await queryable.query<Command>(sql, [id])).rows;
}

/** Makes the commands of a process that stops due, so that another one works on them at once. */
export async function releaseCommands(queryable: Queryable, worker: string, nowMs: number): Promise<void> {
  const sql = `UPDATE commands SET due_ms = $2
    WHERE worker = $1 AND NOT is_final AND awaits NOT IN ('confirmation', 'device') AND due_ms > $2`;
  await queryable.query(sql, [worker, nowMs]);
}

/** Removes final commands whose last transition is before a time. Resolves with their number. */
export async function removeFinal(queryable: Queryable, beforeMs: number, rowsMax: number): Promise<number> {
  const sql = `DELETE FROM commands WHERE id IN (
    SELECT id FROM commands WHERE is_final AND changed_ms < $1 ORDER BY changed_ms LIMIT $2 FOR UPDATE SKIP LOCKED)`;
  return (await queryable.query(sql, [beforeMs, rowsMax])).rowCount;
}

/** Sets when a command is worked on again, if this process works on it. */
export async function postpone(queryable: Queryable, id: string, worker: string, dueMs: number): Promise<void> {
  const sql = 'UPDATE commands SET due_ms = $3 WHERE id = $1 AND worker = $2 AND NOT is_final';
  await queryable.query(sql, [id, worker, dueMs]);
}

/** Notes who has canceled a command that a node may have sent. */
export async function noteCanceled(queryable: Queryable, id: string, by: string): Promise<void> {
  await queryable.query('UPDATE commands SET cancel_by = $2 WHERE id = $1', [id, by]);
}

/** Resolves with the number of open commands, up to `max`. */
export async function countOpen(queryable: Queryable, max: number): Promise<number> {
  const sql = 'SELECT count(*) AS open FROM (SELECT 1 FROM commands WHERE NOT is_final LIMIT $1) AS counted';
  return (await queryable.query<{ open: number }>(sql, [max])).rows[0]?.open ?? 0;
}
