import { attributeLimits, attributesFromText, type DeviceAttributes } from '@tailrace/rules/device-attributes';

interface Shared {
  readonly attributes: DeviceAttributes;
  devices: number;
}

/** The kind and labels of the devices that have any. Devices with the same ones share an object. */
export class DeviceDirectory {
  readonly devicesMax: number;
  /** Devices that were not taken, beyond the limit: they have no attributes. */
  refused = 0;
  readonly #byPath = new Map<string, string>();
  readonly #byText = new Map<string, Shared>();

  constructor(devicesMax: number = attributeLimits.devicesMax) {
    this.devicesMax = devicesMax;
  }

  get size(): number {
    return this.#byPath.size;
  }

  get paths(): Iterable<string> {
    return this.#byPath.keys();
  }

  /** Returns the attributes of a device; undefined: it has none. */
  of(device: string): DeviceAttributes | undefined {
    const text = this.#byPath.get(device);
    return text === undefined ? undefined : this.#byText.get(text)!.attributes;
  }

  /** Takes the text of a record; undefined: a tombstone. Throws `invalid_message` for an invalid one. */
  set(device: string, text: string | undefined): void {
    const before = this.#byPath.get(device);
    if (before === text) return;
    if (text !== undefined) {
      if (before === undefined && this.#byPath.size >= this.devicesMax) {
        this.refused++;
        return;
      }
      const shared = this.#byText.get(text) ?? { attributes: attributesFromText(text), devices: 0 };
      shared.devices++;
      this.#byText.set(text, shared);
      this.#byPath.set(device, text);
    } else this.#byPath.delete(device);
    if (before === undefined) return;
    const shared = this.#byText.get(before)!;
    shared.devices--;
    if (shared.devices === 0) this.#byText.delete(before);
  }
}
