import type { Queryable } from '@tailrace/database/database';
import { mayCommand, type Requester } from '../requester.ts';
import { isInGroup, selectsByFields } from './device.ts';
import type { DeviceChange } from './device-records.ts';
import { listGroups } from './device-store.ts';

/*
 * Scenes and fleet commands of other people command the devices of a group. So who writes the kind or the labels of a
 * device, by which it comes into a group, needs the right to command it. A group of patterns alone has the device by
 * its path, as when it reports by itself.
 */

/** Resolves with the paths of devices that changes put into a group, and that the requester may not command. */
export async function forbiddenGroupJoins(
  queryable: Queryable,
  requester: Requester,
  changes: readonly DeviceChange[],
): Promise<readonly string[]> {
  const checked = changes.filter(({ path, after }) => after !== undefined && !mayCommand(requester, path));
  if (checked.length === 0) return [];
  const groups = (await listGroups(queryable, '')).filter(selectsByFields);
  return checked
    .filter(({ before, after }) =>
      groups.some((group) => isInGroup(group, after!) && (before === undefined || !isInGroup(group, before))),
    )
    .map(({ path }) => path);
}
