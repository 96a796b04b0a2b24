/** The number of readings that all views of a node remember together, and its limit. */
export class LastSentBudget {
  readings = 0;
  readonly readingsMax: number;

  constructor(readingsMax: number) {
    this.readingsMax = readingsMax;
  }
}

/**
 * The maximum of tags of one device that a view remembers: as many as a report may have. A device that invents names
 * evicts its own, not those of other devices.
 */
const tagsPerDeviceMax = 1_000;

/**
 * What one view sent last, by device and tag. When the budget is used up, it evicts the device that it has known
 * longest; without one to evict it remembers nothing. A reading that is not remembered is sent again, which costs bytes
 * and loses nothing.
 */
export class LastSentReadings<T> {
  readonly #budget: LastSentBudget;
  readonly #devices = new Map<string, Map<string, T>>();

  constructor(budget: LastSentBudget) {
    this.#budget = budget;
  }

  /** Returns the last-sent readings of a device, by tag; undefined for an unknown device. */
  of(device: string): ReadonlyMap<string, T> | undefined {
    return this.#devices.get(device);
  }

  set(device: string, tag: string, lastSent: T): void {
    let tags = this.#devices.get(device);
    if (tags === undefined || !tags.has(tag)) {
      if (tags !== undefined && tags.size >= tagsPerDeviceMax) this.#evictTag(tags);
      while (this.#budget.readings >= this.#budget.readingsMax) if (!this.#evictOldest()) return;
      // The evicted device may have been this one.
      tags = this.#devices.get(device);
      if (tags === undefined) {
        tags = new Map();
        this.#devices.set(device, tags);
      }
      this.#budget.readings++;
    }
    tags.set(tag, lastSent);
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

  #evictTag(tags: Map<string, T>): void {
    for (const tag of tags.keys()) {
      tags.delete(tag);
      this.#budget.readings--;
      return;
    }
  }

  #evictOldest(): boolean {
    for (const [device, tags] of this.#devices) {
      this.#budget.readings -= tags.size;
      this.#devices.delete(device);
      return true;
    }
    return false;
  }
}
