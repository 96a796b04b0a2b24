import type { Queryable } from '@tailrace/database/database';
import { textFromAttributes } from '@tailrace/rules/device-attributes';
import type { RegistryDevice } from './device.ts';

/*
 * The kind and the labels of devices go to the topic of devices, where alarms reads them.
 *
 * Their rows of the outbox are inserted in the transaction that changes the device. It holds the lock of the device, or
 * of its path in the unique index, until its commit. So the next change of the path takes its position after that
 * commit, and records of one key reach the log in the order of their commits, as those of `Journal` do by its chains.
 */

/** The fields of a device that its record depends on. */
export type RecordedDevice = Pick<RegistryDevice, 'path' | 'state' | 'kind' | 'labels'>;

/** A path, and its device before and after a transaction. */
export interface DeviceChange {
  readonly path: string;
  readonly before: RecordedDevice | undefined;
  readonly after: RecordedDevice | undefined;
}

/** Inserts the records of devices whose kind or labels have changed. Resolves with their number. */
export async function appendDeviceRecords(
  transaction: Queryable,
  changes: readonly DeviceChange[],
  nowMs: number,
): Promise<number> {
  const changed = changes
    .map(({ path, before, after }) => ({ path, before: textOf(before), after: textOf(after) }))
    .filter(({ before, after }) => before !== after);
  if (changed.length === 0) return 0;
  await transaction.query(
    `INSERT INTO outbox (topic, key, value, at_ms)
     SELECT 'devices', path, convert_to(value, 'UTF8'), $3
     FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS record (path, value, place) ORDER BY place`,
    [changed.map(({ path }) => path), changed.map(({ after = '' }) => after), nowMs],
  );
  return changed.length;
}

/** A device that is decommissioned has none, as it leaves the patterns of scenes. */
function textOf(device: RecordedDevice | undefined): string | undefined {
  return device === undefined || device.state !== 'active' ? undefined : textFromAttributes(device);
}
