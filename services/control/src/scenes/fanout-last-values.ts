import type { CommandValue } from '@tailrace/protocol/device-command';
import type { CurrentDevice, FanoutOwners } from '../registry/fanout-owners.ts';
import type { DeviceSnapshot } from './restoration.ts';
import type { LastValues } from './scene-runner.ts';

/** Last values of the fanout nodes, within a deadline. */
export class FanoutLastValues implements LastValues {
  readonly #owners: Pick<FanoutOwners, 'current'>;
  readonly #deadlineMs: number;

  /** `deadlineMs`: for the replies of the nodes. A run of a scene waits as long before its first step. */
  constructor(owners: Pick<FanoutOwners, 'current'>, deadlineMs: number) {
    this.#owners = owners;
    this.#deadlineMs = deadlineMs;
  }

  async read(tags: ReadonlyMap<string, readonly string[]>): Promise<ReadonlyMap<string, DeviceSnapshot>> {
    const found = await this.#owners.current([...tags.keys()], this.#deadlineMs);
    return new Map(
      [...tags].flatMap(([device, ofDevice]) => {
        const current = found.get(device);
        return current === undefined ? [] : [[device, snapshotOf(current, ofDevice)] as const];
      }),
    );
  }
}

/** A value of bad quality is no value to restore. */
function snapshotOf({ isOnline, readings }: CurrentDevice, tags: readonly string[]): DeviceSnapshot {
  const values: Record<string, CommandValue> = {};
  for (const tag of tags) {
    const reading = readings.get(tag);
    if (reading !== undefined && reading.quality !== 'bad') values[tag] = reading.value;
  }
  return { isAvailable: isOnline, values };
}
