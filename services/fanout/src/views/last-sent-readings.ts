/** How many readings all views of a node remember together, and how many they may. */
export class LastSentBudget {
  readings = 0;
  readonly readingsMax: number;

  constructor(readingsMax: number) {
    this.readingsMax = readingsMax;
  }
}

/**
 * Tags of one device remembered by one view: as many as a report may have. A device that makes up names pushes out its
 * own, not those of others.
 */
const tagsPerDeviceMax = 1_000;

/**
 * What one view has told last, by device and tag. Where the budget is used up, it forgets the device that it has known longest, and where it has none
 * to forget, it remembers nothing: what is not remembered is told anew, and so costs bytes, never truth.
 */
export class LastSentReadings<T> {
  readonly #budget: LastSentBudget;
  readonly #devices = new Map<string, Map<string, T>>();

  constructor(budget: LastSentBudget) {
    this.#budget = budget;
  }

  /** By tag; undefined for a device that is not known. */
  of(device: string): ReadonlyMap<string, T> | undefined {
    return this.#devices.get(device);
  }

  set(device: string, tag: string, told: T): void {
    let tags = this.#devices.get(device);
    if (tags === undefined || !tags.has(tag)) {
      if (tags !== undefined && tags.size >= tagsPerDeviceMax) this.#forgetTag(tags);
      while (this.#budget.readings >= this.#budget.readingsMax) if (!this.#forgetOldest()) return;
      // The oldest may have been this one.
      tags = this.#devices.get(device);
      if (tags === undefined) {
        tags = new Map();
        this.#devices.set(device, tags);
      }
      this.#budget.readings++;
    }
    tags.set(tag, told);
  }

  delete(device: string, tag: string): void {
    const tags = this.#devices.get(device);
    if (tags === undefined || !tags.delete(tag)) return;
    this.#budget.readings--;
    if (tags.size === 0) this.#devices.delete(device);
  }

  clear(): void {
    for (const tags of this.#devices.values()) this.#budget.readings -= tags.size;
    this.#devices.clear();
  }

  #forgetTag(tags: Map<string, T>): void {
    for (const tag of tags.keys()) {
      tags.delete(tag);
      this.#budget.readings--;
      return;
    }
  }

  #forgetOldest(): boolean {
    for (const [device, tags] of this.#devices) {
      this.#budget.readings -= tags.size;
      this.#devices.delete(device);
      return true;
    }
    return false;
  }
}
