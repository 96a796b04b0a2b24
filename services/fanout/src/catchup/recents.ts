import type { Channel } from '../channels/channel.ts';
import type { Partition } from '../ownership/partition.ts';
import type { Recent } from '../ownership/window.ts';

/**
 * Whether the window of a partition answers for a range: this node has read the log that far, and the window reaches back. Not while it still reads back: channels
 * may be further by what another owner told them, and the window holds less than they were given.
 */
export function windowHas(partition: Partition, from: number, until: number): boolean {
  return partition.role !== 'elsewhere' && partition.next >= until && partition.window.from <= from;
}

/**
 * Returns what the window has that may be of the channel, oldest first: of one device only its own, of a subtree all.
 * Nothing is read for a channel that no known device is in.
 */
export function recentsOf(
  channel: Pick<Channel, 'pattern' | 'isSubtree'>,
  partition: Partition,
  from: number,
): Iterable<Recent> {
  const { devices, index, window } = partition;
  if (!partition.knowsDevicesFrom(from)) return window.since(from);
  if (channel.isSubtree) return index.count(channel.pattern) === 0 ? [] : window.since(from);
  const device = devices.get(channel.pattern);
  return device === undefined ? [] : window.ofDevice(device, from);
}
