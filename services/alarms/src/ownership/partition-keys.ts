import { partitionOf } from '@tailrace/protocol/partition';

/** Returns a key for each partition. None is a device path, so that it is the key of no device. */
export function partitionKeys(partitions: number): readonly string[] {
  const keys: string[] = [];
  let found = 0;
  for (let n = 0; found < partitions; n++) {
    const key = `!alarms/${n}`;
    const partition = partitionOf(key, partitions);
    if (keys[partition] !== undefined) continue;
    keys[partition] = key;
    found++;
  }
  return keys;
}
