import type { Sample } from './sample.ts';
import type { SourceTag } from './source.ts';

/**
 * Finds out which devices behind the gateway can be reached: those with a tag that can be read. A device is announced
 * at its first sample, and at each change.
 */
export class DeviceReachability {
  /** Of each tag of the source. */
  readonly #devices: readonly Device[];
  readonly #onChange: (device: string, isOnline: boolean) => void;

  constructor(tags: readonly SourceTag[], onChange: (device: string, isOnline: boolean) => void) {
    const byPath = new Map<string, Device>();
    this.#devices = tags.map(({ device: path }) => {
      const device = byPath.get(path) ?? { path, readable: new Set(), isOnline: undefined };
      byPath.set(path, device);
      return device;
    });
    this.#onChange = onChange;
  }

  take({ tag, quality }: Sample): void {
    const device = this.#devices[tag]!;
    if (quality === 'bad') device.readable.delete(tag);
    else device.readable.add(tag);
    const isOnline = device.readable.size > 0;
    if (isOnline === device.isOnline) return;
    device.isOnline = isOnline;
    this.#onChange(device.path, isOnline);
  }
}

interface Device {
  readonly path: string;
  /** Tags whose last sample was not bad. */
  readonly readable: Set<number>;
  isOnline: boolean | undefined;
}
