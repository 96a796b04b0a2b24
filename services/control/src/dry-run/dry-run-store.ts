import type { Queryable } from '@tailrace/database/database';
import type { DeviceAttributes } from '@tailrace/rules/device-attributes';
import type { Rule } from '@tailrace/rules/rule';
import type { InForce } from './activations.ts';

/** What a dry run has from the store. */

/** Resolves with the rules of these IDs that are stored now. */
export async function storedRules(queryable: Queryable, ids: readonly string[]): Promise<readonly Rule[]> {
  if (ids.length === 0) return [];
  const sql = `SELECT body FROM rules WHERE id = ANY($1::text[]) AND body <> '' ORDER BY id`;
  const { rows } = await queryable.query<{ body: string }>(sql, [ids]);
  return rows.map(({ body }) => JSON.parse(body) as Rule);
}

/** Resolves with kind and labels of the active devices of these paths. */
export async function attributesOf(
  queryable: Queryable,
  paths: readonly string[],
): Promise<ReadonlyMap<string, DeviceAttributes>> {
  if (paths.length === 0) return new Map();
  const sql = `SELECT path, kind, labels FROM registry_devices WHERE state = 'active' AND path = ANY($1::text[])`;
  const { rows } = await queryable.query<DeviceAttributes & { path: string }>(sql, [paths]);
  return new Map(rows.map(({ path, kind, labels }) => [path, { kind, labels }]));
}

/** Resolves with what hides the alarms of a rule at these devices now. */
export async function inForceOf(
  queryable: Queryable,
  rule: string,
  devices: readonly string[],
): Promise<ReadonlyMap<string, InForce>> {
  if (devices.length === 0) return new Map();
  const sql = `SELECT device, state FROM alarms
    WHERE rule = $1 AND device = ANY($2::text[]) AND state IN ('shelved', 'out_of_service')`;
  const { rows } = await queryable.query<{ device: string; state: InForce }>(sql, [rule, devices]);
  return new Map(rows.map(({ device, state }) => [device, state]));
}
