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

/** Of so few devices, with so few reports, each device's own are read; of more, all that the window has. */
const devicesMax = 16;
const reportsMax = 2_000;

/**
 * Returns what the window has that may be of the channel, oldest first. A channel that covers few devices, or none, costs
 * what these have reported, however many others report.
 */
export function recentsOf(channel: Pick<Channel, 'pattern'>, partition: Partition, from: number): Iterable<Recent> {
  const { index, window } = partition;
  if (!partition.knowsDevicesFrom(from)) return window.since(from);
  const devices = index.page(channel.pattern, '', devicesMax + 1);
  if (devices.length > devicesMax) return window.since(from);
  if (devices.length === 1) return window.ofDevice(devices[0]!, from);
  const found: Recent[] = [];
  for (const device of devices) {
    found.push(...window.ofDevice(device, from));
    if (found.length > reportsMax) return window.since(from);
  }
  return found.sort((a, b) => a.seq - b.seq);
}
