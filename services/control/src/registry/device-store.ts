import type { Queryable } from '@tailrace/database/database';
import { matchesSql } from '../commands/command-store.ts';
import {
  type DeviceFields,
  type DeviceSearch,
  type GroupFields,
  type RegistryDevice,
  searchTextOf,
  searchWords,
} from './device.ts';

/* Statements of the registry. The rules are in registry.ts. */

/** A row of `registry_devices`. */
interface DeviceRow extends DeviceFields {
  readonly id: string;
  readonly path: string;
  readonly state: RegistryDevice['state'];
  readonly source: RegistryDevice['source'];
  readonly version: number;
  readonly createdMs: number;
  readonly pathFromMs: number;
  readonly firstReportMs: number | null;
  readonly lastReportMs: number | null;
  readonly formerPaths: RegistryDevice['formerPaths'] | null;
}

const formerPathsSql = `(SELECT jsonb_agg(jsonb_build_object('path', former.path, 'fromMs', from_ms, 'untilMs', until_ms)
    ORDER BY until_ms DESC) FROM registry_former_paths AS former WHERE former.device = device.id) AS "formerPaths"`;

const columns = `device.id, device.path, name, kind, place, gateway, note, labels, tags, state, source, version,
  created_ms AS "createdMs", path_from_ms AS "pathFromMs", first_report_ms AS "firstReportMs",
  last_report_ms AS "lastReportMs", ${formerPathsSql}`;

/** A device as the store has it. */
export interface StoredDevice extends RegistryDevice {
  /** Since when it has its path, epoch ms. */
  readonly pathFromMs: number;
}

function deviceFrom({ firstReportMs, lastReportMs, formerPaths, ...row }: DeviceRow): StoredDevice {
  return {
    ...row,
    ...(firstReportMs === null ? {} : { firstReportMs }),
    ...(lastReportMs === null ? {} : { lastReportMs }),
    formerPaths: formerPaths ?? [],
  };
}

async function devicesOf(queryable: Queryable, rest: string, parameters: readonly unknown[]): Promise<StoredDevice[]> {
  const sql = `SELECT ${columns} FROM registry_devices AS device ${rest}`;
  return (await queryable.query<DeviceRow>(sql, parameters)).rows.map(deviceFrom);
}

/** Resolves with the device that has the path now; undefined if none has. */
export async function findDevice(queryable: Queryable, path: string): Promise<StoredDevice | undefined> {
  return (await devicesOf(queryable, 'WHERE path = $1', [path]))[0];
}

/** As `findDevice`, and no other transaction changes the device until this one is finished. */
export async function lockDevice(transaction: Queryable, path: string): Promise<StoredDevice | undefined> {
  return (await devicesOf(transaction, 'WHERE path = $1 FOR UPDATE', [path]))[0];
}

/** Resolves with the device that had the path last, and has another one now. */
export async function findByFormerPath(queryable: Queryable, path: string): Promise<StoredDevice | undefined> {
  const rest = `WHERE id = (SELECT former.device FROM registry_former_paths AS former WHERE former.path = $1
    ORDER BY until_ms DESC LIMIT 1)`;
  return (await devicesOf(queryable, rest, [path]))[0];
}

/** Resolves with the devices that have these paths, by path, locked in the order of their paths. */
export async function lockDevices(
  transaction: Queryable,
  paths: readonly string[],
): Promise<ReadonlyMap<string, StoredDevice>> {
  const devices = await devicesOf(transaction, 'WHERE path = ANY ($1::text[]) ORDER BY path FOR UPDATE', [paths]);
  return new Map(devices.map((device) => [device.path, device]));
}

export type NewDevice = Omit<StoredDevice, 'formerPaths'>;

/**
 * Inserts devices whose paths no device has; others are left as they are. Resolves with the inserted paths.
 */
export async function insertDevices(transaction: Queryable, devices: readonly NewDevice[]): Promise<readonly string[]> {
  const sql = `INSERT INTO registry_devices (id, path, name, kind, place, gateway, note, labels, tags, search, state,
      source, version, created_ms, path_from_ms, first_report_ms, last_report_ms)
    SELECT id, path, name, kind, place, gateway, note, labels, tags, search, state, source, version, "createdMs",
      "pathFromMs", "firstReportMs", "lastReportMs"
    FROM jsonb_to_recordset($1::jsonb) AS new (id text, path text, name text, kind text, place text, gateway text,
      note text, labels jsonb, tags jsonb, search text, state text, source text, version integer,
      "createdMs" double precision, "pathFromMs" double precision, "firstReportMs" double precision,
      "lastReportMs" double precision)
    ON CONFLICT (path) DO NOTHING RETURNING path`;
  const rows = devices.map((device) => ({ ...device, search: searchTextOf(device) }));
  return (await transaction.query<{ path: string }>(sql, [JSON.stringify(rows)])).rows.map(({ path }) => path);
}

/** Stores the fields that people write, path and state of existing devices. */
export async function updateDevices(transaction: Queryable, devices: readonly NewDevice[]): Promise<void> {
  const sql = `UPDATE registry_devices AS device
    SET path = new.path, name = new.name, kind = new.kind, place = new.place, gateway = new.gateway, note = new.note,
      labels = new.labels, tags = new.tags, search = new.search, state = new.state, version = new.version,
      path_from_ms = new."pathFromMs"
    FROM jsonb_to_recordset($1::jsonb) AS new (id text, path text, name text, kind text, place text, gateway text,
      note text, labels jsonb, tags jsonb, search text, state text, version integer, "pathFromMs" double precision)
    WHERE device.id = new.id`;
  const rows = devices.map((device) => ({ ...device, search: searchTextOf(device) }));
  await transaction.query(sql, [JSON.stringify(rows)]);
}

export async function deleteDevice(transaction: Queryable, id: string): Promise<void> {
  await transaction.query('DELETE FROM registry_devices WHERE id = $1', [id]);
}

/** Notes that a device has had a path until now, and keeps the newest of its former paths. */
export async function addFormerPath(
  transaction: Queryable,
  device: Pick<StoredDevice, 'id' | 'path' | 'pathFromMs'>,
  untilMs: number,
  keptMax: number,
): Promise<void> {
  const { id, path, pathFromMs } = device;
  await transaction.query(
    'INSERT INTO registry_former_paths (path, device, from_ms, until_ms) VALUES ($1, $2, $3, $4)',
    [path, id, pathFromMs, untilMs],
  );
  await transaction.query(
    `DELETE FROM registry_former_paths WHERE device = $1 AND until_ms <= (SELECT until_ms FROM registry_former_paths
       WHERE device = $1 ORDER BY until_ms DESC OFFSET $2 LIMIT 1)`,
    [id, keptMax],
  );
}

/** Resolves with the number of devices, up to `max`. */
export async function countDevices(queryable: Queryable, max: number): Promise<number> {
  const sql = 'SELECT count(*) AS count FROM (SELECT 1 FROM registry_devices LIMIT $1) AS counted';
  return (await queryable.query<{ count: number }>(sql, [max])).rows[0]!.count;
}

/** What a search selects by, beside its own fields. */
export interface SearchScope {
  /** Device paths and patterns that the requester may see. */
  readonly visible: readonly string[];
  readonly group?: GroupFields | undefined;
}

/** Resolves with the devices of a search in the order of their paths, one more than its limit if there are more. */
export async function searchDevices(
  queryable: Queryable,
  search: DeviceSearch,
  { visible, group }: SearchScope,
): Promise<readonly StoredDevice[]> {
  const parameters: unknown[] = [];
  const conditions: string[] = [];
  const add = (sql: (parameter: string) => string, value: unknown) => {
    parameters.push(value);
    conditions.push(sql(`$${parameters.length}`));
  };
  const { q, channel, kind, place, gateway, label, state, after, limit } = search;
  if (!visible.includes('>')) add((parameter) => matchesSql('path', parameter), visible);
  if (channel !== '>') add((parameter) => matchesSql('path', parameter), [channel]);
  if (group !== undefined) {
    if (!group.patterns.includes('>')) add((parameter) => matchesSql('path', parameter), group.patterns);
    if (group.kind !== '') add((parameter) => `kind = ${parameter}`, group.kind);
    if (Object.keys(group.labels).length > 0)
      add((parameter) => `labels @> ${parameter}::jsonb`, JSON.stringify(group.labels));
  }
  for (const word of searchWords(q)) add((parameter) => `strpos(search, ${parameter}) > 0`, word);
  if (kind !== undefined) add((parameter) => `kind = ${parameter}`, kind);
  if (place !== undefined) add((parameter) => `place = ${parameter}`, place);
  if (gateway !== undefined) add((parameter) => `gateway = ${parameter}`, gateway);
  for (const each of label) {
    const at = each.indexOf('=');
    if (at === -1) add((parameter) => `jsonb_exists(labels, ${parameter})`, each);
    else
      add((parameter) => `labels @> ${parameter}::jsonb`, JSON.stringify({ [each.slice(0, at)]: each.slice(at + 1) }));
  }
  if (state !== 'any') add((parameter) => `state = ${parameter}`, state);
  if (after !== '') add((parameter) => `path > ${parameter}`, after);
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  parameters.push(limit + 1);
  return devicesOf(queryable, `${where} ORDER BY path LIMIT $${parameters.length}`, parameters);
}

/** Resolves with the paths of a pattern's, or a group's, active devices, at most `limit`. */
export async function activePaths(
  queryable: Queryable,
  group: Pick<GroupFields, 'patterns' | 'kind' | 'labels'>,
  limit: number,
): Promise<readonly string[]> {
  const sql = `SELECT path FROM registry_devices WHERE state = 'active' AND ${matchesSql('path', '$1')}
    AND ($2 = '' OR kind = $2) AND labels @> $3::jsonb ORDER BY path LIMIT $4`;
  const { patterns, kind, labels } = group;
  const { rows } = await queryable.query<{ path: string }>(sql, [patterns, kind, JSON.stringify(labels), limit]);
  return rows.map(({ path }) => path);
}

/** Resolves with the tags that the registry has of devices, each once. */
export async function tagsOfDevices(queryable: Queryable, paths: readonly string[]): Promise<readonly string[]> {
  const sql = 'SELECT DISTINCT jsonb_object_keys(tags) AS tag FROM registry_devices WHERE path = ANY ($1::text[])';
  return (await queryable.query<{ tag: string }>(sql, [paths])).rows.map(({ tag }) => tag);
}

/** A report that was received from a device. */
export interface SeenDevice {
  readonly path: string;
  /** When ingest has received its last report, epoch ms; 0: unknown. */
  readonly receivedMs: number;
}

/**
 * Notes the last reports of devices, by their present or former paths. A later one is written only if it is at least
 * `stepMs` newer than the one that is stored. Resolves with the paths that no device has or had.
 */
export async function noteReports(
  transaction: Queryable,
  seen: readonly SeenDevice[],
  stepMs: number,
): Promise<readonly string[]> {
  const parameters = [seen.map(({ path }) => path), seen.map(({ receivedMs }) => receivedMs)];
  await transaction.query(
    `UPDATE registry_devices AS device
        SET first_report_ms = least(device.first_report_ms, seen.received),
            last_report_ms = greatest(device.last_report_ms, seen.received)
       FROM (SELECT coalesce(
                 (SELECT id FROM registry_devices WHERE path = each.path),
                 (SELECT former.device FROM registry_former_paths AS former WHERE former.path = each.path
                   ORDER BY until_ms DESC LIMIT 1)) AS id,
               max(received) AS received
               FROM unnest($1::text[], $2::double precision[]) AS each (path, received) GROUP BY 1) AS seen
      WHERE device.id = seen.id AND seen.received > 0
        AND (device.last_report_ms IS NULL OR seen.received >= device.last_report_ms + $3)`,
    [...parameters, stepMs],
  );
  const { rows } = await transaction.query<{ path: string }>(
    `SELECT seen.path FROM unnest($1::text[]) AS seen (path)
      WHERE NOT EXISTS (SELECT 1 FROM registry_devices AS device WHERE device.path = seen.path)
        AND NOT EXISTS (SELECT 1 FROM registry_former_paths AS former WHERE former.path = seen.path)`,
    [parameters[0]],
  );
  return rows.map(({ path }) => path);
}

/** A stored group. */
export interface Group extends GroupFields {
  readonly id: string;
  readonly tenant: string;
  readonly version: number;
}

type GroupRow = Pick<Group, 'id' | 'tenant' | 'version'> & { readonly fields: GroupFields };

const groupFrom = ({ fields, ...row }: GroupRow): Group => ({ ...row, ...fields });

/** Resolves with the groups that a tenant may see, '' for all of them, in the order of their IDs. */
export async function listGroups(queryable: Queryable, tenant: string): Promise<readonly Group[]> {
  const sql = `SELECT id, tenant, version, fields FROM registry_groups WHERE $1 IN ('', tenant) ORDER BY id`;
  return (await queryable.query<GroupRow>(sql, [tenant])).rows.map(groupFrom);
}

export async function findGroup(queryable: Queryable, id: string): Promise<Group | undefined> {
  const sql = 'SELECT id, tenant, version, fields FROM registry_groups WHERE id = $1';
  return (await queryable.query<GroupRow>(sql, [id])).rows.map(groupFrom)[0];
}

export async function storeGroup(transaction: Queryable, { id, tenant, version, ...fields }: Group): Promise<void> {
  await transaction.query(
    `INSERT INTO registry_groups (id, tenant, version, fields) VALUES ($1, $2, $3, $4)
     ON CONFLICT (id) DO UPDATE SET version = $3, fields = $4`,
    [id, tenant, version, JSON.stringify(fields)],
  );
}

export async function deleteGroup(transaction: Queryable, id: string): Promise<void> {
  await transaction.query('DELETE FROM registry_groups WHERE id = $1', [id]);
}
