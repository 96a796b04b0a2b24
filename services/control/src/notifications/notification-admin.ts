import { createHash } from 'node:crypto';
import type { Queryable } from '@tailrace/database/database';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { type AuditEntry, entryOf } from '../audit/audit-entry.ts';
import { matchesSql } from '../commands/command-store.ts';
import { type ActContext, act } from '../control-context.ts';
import type { Act } from '../journal.ts';
import { assertMaySee, assertRole, type Requester } from '../requester.ts';
import { assertVersion, isOwn, lockId } from '../stored-by-id.ts';
import { notificationChannel, type TargetProgress, targetProgress } from './notification-store.ts';
import type { OutwardAddresses } from './outward-address.ts';
import { type Route, routeSchema } from './route.ts';
import { shownTarget, type Target, type TargetSettings, targetSchema } from './target.ts';

/** Targets and routes of the installation at most. Each target has a place of its own at the sender. */
export const [targetsMax, routesMax] = [200, 1_000];
const deadLettersMax = 100;

/** What is stored of a target or a route. */
export interface Stored<Settings> {
  readonly id: string;
  readonly tenant: string;
  readonly version: number;
  readonly settings: Settings;
  readonly changedBy: string;
  /** Epoch ms. */
  readonly changedMs: number;
  /** Of a target that has answered 410: why nothing is sent until it is changed. */
  readonly gone?: string;
}

/** A notification that was given up. */
export interface DeadLetter {
  readonly target: string;
  readonly transition: string;
  readonly position: number;
  readonly notice: unknown;
  readonly attempts: number;
  readonly error: string;
  /** Epoch ms. */
  readonly finishedMs: number;
}

interface Kind<Settings> {
  readonly noun: 'target' | 'route';
  readonly table: 'notification_targets' | 'notification_routes';
  readonly max: number;
  readonly parse: (settings: unknown) => Settings;
}

const targetKind: Kind<TargetSettings> = {
  ...{ noun: 'target', table: 'notification_targets', max: targetsMax },
  parse: (settings) => targetSchema.parse(settings),
};
const routeKind: Kind<Omit<Route, 'id'>> = {
  ...{ noun: 'route', table: 'notification_routes', max: routesMax },
  parse: (settings) => routeSchema.parse(settings),
};

export interface NotificationAdminOptions {
  readonly context: ActContext;
  readonly addresses: Pick<OutwardAddresses, 'allowsHost'>;
  /** Whether mail can be sent. */
  readonly hasMail: boolean;
  /** Called after each change of this process. Others read it within a second. */
  readonly onChanged: () => void;
}

/**
 * What engineers do about targets and routes. Each tenant has its own. Who changes or deletes a route, or a target that
 * routes lead to, may see the devices: else they could redirect or stop notifications about other ones. A change is in
 * the audit, without secrets.
 */
export class NotificationAdmin {
  readonly #options: NotificationAdminOptions;

  constructor(options: NotificationAdminOptions) {
    this.#options = options;
  }

  async targets(requester: Requester): Promise<readonly Stored<TargetSettings>[]> {
    return await this.#list(targetKind, requester);
  }

  async routes(requester: Requester): Promise<readonly Stored<Omit<Route, 'id'>>[]> {
    return await this.#list(routeKind, requester);
  }

  /** Resolves with a target, and with what waits for it and was sent. Rejects with `not_found` and `forbidden`. */
  async target(
    requester: Requester,
    id: string,
  ): Promise<Stored<TargetSettings> & { readonly progress: TargetProgress }> {
    const { database } = this.#options.context;
    const stored = await this.#find(targetKind, requester, id);
    return { ...stored, progress: await targetProgress(database, id) };
  }

  /** Rejects with `not_found`. */
  async route(requester: Requester, id: string): Promise<Stored<Omit<Route, 'id'>>> {
    return await this.#find(routeKind, requester, id);
  }

  /**
   * Creates or changes a target; one that was gone gets notifications again. Rejects with `conflict` for a version, and
   * `invalid_message` for one to which nothing can be sent; with `forbidden` if a route to it, or what it has not got,
   * is about devices that the requester may not see.
   */
  async putTarget(
    requester: Requester,
    { id, ...settings }: Target,
    version?: number,
  ): Promise<Stored<TargetSettings>> {
    assertRole(requester, 'engineer');
    this.#assertReachable(settings as TargetSettings);
    return await this.#put(targetKind, requester, id, settings as TargetSettings, version);
  }

  /**
   * As `putTarget`. Rejects with `forbidden` for devices that the requester may not see, of the former route too, and
   * `invalid_message` for targets that do not exist.
   */
  async putRoute(
    requester: Requester,
    { id, ...settings }: Route,
    version?: number,
  ): Promise<Stored<Omit<Route, 'id'>>> {
    for (const pattern of settings.patterns) assertMaySee(requester, pattern);
    return await this.#put(routeKind, requester, id, settings, version, (transaction) =>
      assertTargets(transaction, requester, settings.targets),
    );
  }

  /** What waits for it is removed, too. Rejects with `not_found`, and with `forbidden` as `putTarget`. */
  async deleteTarget(requester: Requester, id: string): Promise<void> {
    await this.#delete(targetKind, requester, id);
  }

  async deleteRoute(requester: Requester, id: string): Promise<void> {
    await this.#delete(routeKind, requester, id);
  }

  /** Resolves with the newest dead letters about devices that the requester may see, at most 100. */
  async deadLetters(requester: Requester, target: string): Promise<readonly DeadLetter[]> {
    assertRole(requester, 'engineer');
    const { tenant, subscribe, command } = requester;
    const { rows } = await this.#options.context.database.query<DeadLetter>(
      `SELECT target, transition, position, notice, attempts, error, finished_ms AS "finishedMs"
         FROM notifications JOIN notification_targets ON notification_targets.id = target
        WHERE state = 'dead' AND $1 IN ('', tenant) AND $2 IN ('', target)
          AND ${matchesSql("notice ->> 'device'", '$3')}
        ORDER BY position DESC LIMIT ${deadLettersMax}`,
      [tenant, target, [...subscribe, ...command]],
    );
    return rows;
  }

  /** Sends the dead letters of a target again, behind what waits. Resolves with their number. */
  async retry(requester: Requester, id: string): Promise<number> {
    assertRole(requester, 'engineer');
    const { context } = this.#options;
    const retried = await act(context, async (transaction) => {
      await lockOwn(transaction, targetKind, requester, id);
      const nowMs = context.clock.now();
      const { rowCount } = await transaction.query(
        `UPDATE notifications SET state = 'waiting', attempts = 0, finished_ms = NULL, due_ms = $2
          WHERE target = $1 AND state = 'dead'`,
        [id, nowMs],
      );
      const details = { notifications: rowCount };
      return {
        result: rowCount,
        acts: rowCount === 0 ? [] : [actOf(requester, nowMs, 'target', 'retried', id, details)],
      };
    });
    await this.#announce();
    return retried;
  }

  async #list<S>({ table, parse }: Kind<S>, requester: Requester): Promise<readonly Stored<S>[]> {
    // The URL of a target is often a secret itself.
    assertRole(requester, 'engineer');
    const { tenant } = requester;
    const sql = `SELECT * FROM ${table} WHERE $1 IN ('', tenant) ORDER BY id`;
    const { rows } = await this.#options.context.database.query<StoredRow>(sql, [tenant]);
    return rows.map((row) => storedFrom(row, parse));
  }

  async #find<S>({ table, noun, parse }: Kind<S>, requester: Requester, id: string): Promise<Stored<S>> {
    assertRole(requester, 'engineer');
    const sql = `SELECT * FROM ${table} WHERE id = $1`;
    const row = (await this.#options.context.database.query<StoredRow>(sql, [id])).rows[0];
    assertOwn(requester, noun, id, row);
    return storedFrom(row, parse);
  }

  #assertReachable(settings: TargetSettings): void {
    const { addresses, hasMail } = this.#options;
    if (settings.kind === 'email') {
      if (hasMail) return;
      const expected = 'expected webhook or alertmanager, as mailUrl is not set';
      throw new TailraceError('invalid_message', `target.kind: ${expected}, got email`);
    }
    const { hostname } = new URL(settings.url);
    if (addresses.allowsHost(hostname)) return;
    const expected = `expected an address outside of this machine, got ${hostname}; notificationNetworks allows it`;
    throw new TailraceError('invalid_message', `target.url: ${expected}`);
  }

  async #put<S>(
    kind: Kind<S>,
    requester: Requester,
    id: string,
    settings: S,
    version: number | undefined,
    check?: (transaction: Queryable) => Promise<void>,
  ): Promise<Stored<S>> {
    assertRole(requester, 'engineer');
    const { context } = this.#options;
    const { table, noun, parse, max } = kind;
    const stored = await act(context, async (transaction) => {
      await lockId(transaction, noun, id);
      await check?.(transaction);
      const before = await lock(transaction, kind, id);
      if (before === undefined) await assertBelow(transaction, table, noun, max);
      else assertOwn(requester, noun, id, before);
      const tenant = before?.tenant ?? requester.tenant;
      await assertMaySeeCovered(transaction, requester, kind, { id, tenant });
      if (noun === 'target') await assertMaySeeUnsent(transaction, requester, id);
      assertVersion(noun, id, version, before?.version);
      const nowMs = context.clock.now();
      const { rows } = await transaction.query<StoredRow>(
        `INSERT INTO ${table} (id, tenant, version, settings, changed_by, changed_ms)
         VALUES ($1, $2, 1, $3::jsonb, $4, $5)
         ON CONFLICT (id) DO UPDATE SET version = ${table}.version + 1, settings = excluded.settings,
           changed_by = excluded.changed_by, changed_ms = excluded.changed_ms
           ${noun === 'target' ? ", gone = '', retry_ms = 0" : ''}
         RETURNING *`,
        [id, tenant, JSON.stringify(settings), requester.subject, nowMs],
      );
      const result = storedFrom(rows[0]!, parse);
      const shown = noun === 'target' ? shownTarget(settings as TargetSettings) : settings;
      const action = before === undefined ? 'created' : 'changed';
      const details = { version: result.version, settings: shown };
      return { result, acts: [actOf(requester, nowMs, noun, action, id, details)] };
    });
    await this.#announce();
    return stored;
  }

  async #delete<S>(kind: Kind<S>, requester: Requester, id: string): Promise<void> {
    assertRole(requester, 'engineer');
    const { context } = this.#options;
    await act(context, async (transaction) => {
      const { version, tenant } = await lockOwn(transaction, kind, requester, id);
      await assertMaySeeCovered(transaction, requester, kind, { id, tenant });
      await transaction.query(`DELETE FROM ${kind.table} WHERE id = $1`, [id]);
      const acts = [actOf(requester, context.clock.now(), kind.noun, 'deleted', id, { version })];
      return { result: undefined, acts };
    });
    await this.#announce();
  }

  async #announce(): Promise<void> {
    this.#options.onChanged();
    // Other processes poll, too.
    await this.#options.context.database.notify(notificationChannel, '').catch(() => undefined);
  }
}

interface StoredRow {
  readonly id: string;
  readonly tenant: string;
  readonly version: number;
  readonly settings: unknown;
  readonly changed_by: string;
  readonly changed_ms: number;
  readonly gone?: string;
}

function storedFrom<S>(row: StoredRow, parse: (settings: unknown) => S): Stored<S> {
  const { id, tenant, version, settings, changed_by: changedBy, changed_ms: changedMs, gone = '' } = row;
  return { id, tenant, version, settings: parse(settings), changedBy, changedMs, ...(gone === '' ? {} : { gone }) };
}

async function lock<S>(transaction: Queryable, { table }: Kind<S>, id: string): Promise<StoredRow | undefined> {
  const sql = `SELECT * FROM ${table} WHERE id = $1 FOR UPDATE`;
  return (await transaction.query<StoredRow>(sql, [id])).rows[0];
}

async function lockOwn<S>(transaction: Queryable, kind: Kind<S>, requester: Requester, id: string): Promise<StoredRow> {
  const row = await lock(transaction, kind, id);
  assertOwn(requester, kind.noun, id, row);
  return row;
}

/** Throws `not_found`, also for one of another tenant. */
function assertOwn(
  { tenant }: Requester,
  noun: string,
  id: string,
  row: StoredRow | undefined,
): asserts row is StoredRow {
  if (row !== undefined && (tenant === '' || tenant === row.tenant)) return;
  throw new TailraceError('not_found', `${noun}: expected a known one, got ${id}`);
}

async function assertTargets(queryable: Queryable, requester: Requester, targets: readonly string[]): Promise<void> {
  const sql = 'SELECT id, tenant FROM notification_targets WHERE id = ANY ($1::text[])';
  const { rows } = await queryable.query<{ id: string; tenant: string }>(sql, [targets]);
  const known = new Set(rows.filter((row) => isOwn(requester, row)).map(({ id }) => id));
  const index = targets.findIndex((id) => !known.has(id));
  if (index < 0) return;
  const expected = 'expected the ID of a notification target';
  throw new TailraceError('invalid_message', `targets.${index}: ${expected}, got ${shown(targets[index])}`);
}

/**
 * Throws `forbidden` if a stored route, or one to a target, covers devices that the requester may not see. A target
 * that does not exist yet may have routes already.
 */
async function assertMaySeeCovered(
  transaction: Queryable,
  requester: Requester,
  { noun }: Pick<Kind<unknown>, 'noun'>,
  { id, tenant }: Pick<StoredRow, 'id' | 'tenant'>,
): Promise<void> {
  const condition = noun === 'route' ? 'id = $1' : `settings -> 'targets' ? $1`;
  const sql = `SELECT settings FROM notification_routes WHERE tenant = $2 AND ${condition}`;
  const { rows } = await transaction.query<Pick<StoredRow, 'settings'>>(sql, [id, tenant]);
  for (const { settings } of rows)
    for (const pattern of routeKind.parse(settings).patterns) assertMaySee(requester, pattern);
}

/** Throws `forbidden` if a target waits for notifications, or has dead letters, that the requester may not see. */
async function assertMaySeeUnsent(transaction: Queryable, requester: Requester, target: string): Promise<void> {
  const { rows } = await transaction.query<{ device: string }>(
    `SELECT notice ->> 'device' AS device FROM notifications
      WHERE target = $1 AND state IN ('waiting', 'dead') AND NOT ${matchesSql("notice ->> 'device'", '$2')} LIMIT 1`,
    [target, [...requester.subscribe, ...requester.command]],
  );
  if (rows.length > 0) assertMaySee(requester, rows[0]!.device);
}

async function assertBelow(transaction: Queryable, table: string, noun: string, max: number): Promise<void> {
  const { rows } = await transaction.query<{ n: number }>(`SELECT count(*) AS n FROM ${table}`);
  if (rows[0]!.n < max) return;
  throw new TailraceError('limit_reached', `${noun}s: expected at most ${max}, got one more`);
}

function actOf(
  requester: Requester,
  time: number,
  noun: 'target' | 'route',
  verb: string,
  id: string,
  details: AuditEntry['details'],
): Act {
  const target = `notification_${noun}/${id}`;
  const text = JSON.stringify(details);
  // Below the limit of an entry in the journal. The hash proves what was set.
  const bounded = text.length <= 8_000 ? details : { sha256: createHash('sha256').update(text).digest('hex') };
  return {
    key: target,
    entry: entryOf(requester, { time, action: `notification_${noun}.${verb}`, target, details: bounded }),
  };
}
