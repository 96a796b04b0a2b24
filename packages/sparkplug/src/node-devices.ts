import { sparkplugLimits } from './limits.ts';
import type { MetricTable } from './metric-table.ts';
import type { PresenceChange } from './node-events.ts';

/** A device of a node. */
export interface NodeDevice {
  table: MetricTable | undefined;
  /** Whether its DBIRTH came after the last NBIRTH. Otherwise its aliases are unknown. */
  isCurrent: boolean;
  isOnline: boolean;
  /** Timestamp of the newest message about the presence. */
  changedAt: number | undefined;
}

/** The devices of a node, by ID. */
export class NodeDevices {
  readonly #devices = new Map<string, NodeDevice>();

  /** Metrics in the births of all devices. */
  get definitions(): number {
    let count = 0;
    for (const { table } of this.#devices.values()) count += table?.size ?? 0;
    return count;
  }

  /** Memory of these, about. */
  get definitionBytes(): number {
    let bytes = 0;
    for (const { table } of this.#devices.values()) bytes += table?.bytes ?? 0;
    return bytes;
  }

  /** Returns the device, a new one if there is none; undefined at `devicesMax`. */
  take(id: string): NodeDevice | undefined {
    const known = this.#devices.get(id);
    if (known !== undefined) return known;
    const { devicesMax } = sparkplugLimits;
    if (this.#devices.size >= devicesMax) this.#forget();
    if (this.#devices.size >= devicesMax) return undefined;
    const device: NodeDevice = { table: undefined, isCurrent: false, isOnline: false, changedAt: undefined };
    this.#devices.set(id, device);
    return device;
  }

  /** Returns the metrics of a device whose DBIRTH came after the last NBIRTH. */
  currentTable(id: string): MetricTable | undefined {
    const device = this.#devices.get(id);
    return device?.isCurrent === true ? device.table : undefined;
  }

  /** After an NBIRTH each device must publish its own birth again: its aliases may have changed. */
  expectBirths(): void {
    for (const device of this.#devices.values()) device.isCurrent = false;
  }

  /** Takes all devices offline, and adds a change for each that was online. */
  disconnect(changes: PresenceChange[], time: number | undefined): void {
    for (const [id, device] of this.#devices) {
      if (device.isOnline) changes.push({ device: id, isOnline: false, time });
      device.isOnline = false;
      device.changedAt = undefined;
    }
  }

  /** Forgets devices of earlier sessions. */
  #forget(): void {
    for (const [id, device] of this.#devices) if (!device.isOnline && !device.isCurrent) this.#devices.delete(id);
  }
}

/**
 * Sets the presence of a device by a message of this timestamp. Returns whether it changed. If messages may be out of
 * order (`isOrdered` false), an older message does not change it.
 */
export function setPresence(
  device: NodeDevice,
  isOnline: boolean,
  timestamp: number | undefined,
  isOrdered: boolean,
): boolean {
  const { changedAt } = device;
  if (!isOrdered && timestamp !== undefined && changedAt !== undefined && timestamp < changedAt) return false;
  device.changedAt = timestamp;
  if (device.isOnline === isOnline) return false;
  device.isOnline = isOnline;
  return true;
}
