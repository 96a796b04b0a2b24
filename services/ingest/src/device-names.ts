import { shown, TailraceError } from '@tailrace/protocol/error';

export interface DeviceNameLimits {
  /** Names in all, and of one tenant. */
  readonly devicesMax: number;
  readonly devicesPerTenantMax: number;
}

const slotsFirst = 1_024;
/** Names that skip the table, because V8 has cached their hashes. At the limit all are dropped; the table has them. */
const recentMax = 8_192;

/**
 * Bounds the distinct device names that this process accepts: each name costs every fanout node memory for good, and a
 * sender can invent them without end.
 *
 * A name is kept as a hash of 64 bits, in a table with open addressing that is at most half full (Knuth, TAOCP volume
 * 3, section 6.4, algorithm L): 16 to 32 bytes a name. Two names with the same hash count as one; among 500,000 names
 * that happens in one of 10^8 processes. The table is not shared between processes, and starts empty.
 */
export class DeviceNames {
  size = 0;
  /** Names of the tenant that has most. */
  mostOfOneTenant = 0;
  readonly #limits: DeviceNameLimits;
  readonly #byTenant = new Map<string, number>();
  readonly #seeds: readonly [number, number];
  /** Two words a slot; a free slot has 0 in the second. */
  #table = new Uint32Array(2 * slotsFirst);
  #high = 0;
  #low = 0;
  readonly #recent = new Set<string>();

  /** `seeds`: two random integers of 32 bits, so that no sender can choose names that meet in the table. */
  constructor(limits: DeviceNameLimits, seeds: readonly [number, number]) {
    this.#limits = limits;
    this.#seeds = seeds;
  }

  /** Counts a device path. Throws `limit_reached` for a new one at a limit. Hot: once a report. */
  admit(path: string): void {
    if (this.#recent.has(path)) return;
    this.#hash(path);
    const slot = slotOf(this.#table, this.#high, this.#low);
    if (this.#table[slot + 1] === 0) this.#add(path, slot);
    if (this.#recent.size === recentMax) this.#recent.clear();
    this.#recent.add(path);
  }

  #add(path: string, slot: number): void {
    const { devicesMax, devicesPerTenantMax } = this.#limits;
    const end = path.indexOf('.');
    const tenant = end < 0 ? path : path.slice(0, end);
    const count = this.#byTenant.get(tenant) ?? 0;
    if (count >= devicesPerTenantMax) throw tooMany(path, `${devicesPerTenantMax} devices of tenant ${tenant}`);
    if (this.size >= devicesMax) throw tooMany(path, `${devicesMax} devices`);
    this.#table[slot] = this.#high;
    this.#table[slot + 1] = this.#low;
    this.size++;
    this.#byTenant.set(tenant, count + 1);
    this.mostOfOneTenant = Math.max(this.mostOfOneTenant, count + 1);
    if (this.size * 4 > this.#table.length) this.#grow();
  }

  /** Into `#high` and `#low`, which is never 0. Two multiplicative hashes with a final mix (after MurmurHash3). */
  #hash(path: string): void {
    let [high, low] = this.#seeds;
    for (let index = 0; index < path.length; index++) {
      const code = path.charCodeAt(index);
      high = Math.imul(high ^ code, 0x9e3779b1);
      low = Math.imul(low ^ code, 0x5f356495);
      low ^= low >>> 15;
    }
    high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
    low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
    this.#high = high >>> 0;
    this.#low = low >>> 0 || 1;
  }

  #grow(): void {
    const table = this.#table;
    this.#table = new Uint32Array(table.length * 2);
    for (let at = 0; at < table.length; at += 2) {
      const [high, low] = [table[at]!, table[at + 1]!];
      if (low === 0) continue;
      const slot = slotOf(this.#table, high, low);
      this.#table[slot] = high;
      this.#table[slot + 1] = low;
    }
  }
}

/** Returns the slot of a hash, or the free slot where it belongs. */
function slotOf(table: Uint32Array, high: number, low: number): number {
  const mask = table.length - 1;
  let slot = (low << 1) & mask;
  while (table[slot + 1] !== 0 && (table[slot] !== high || table[slot + 1] !== low)) slot = (slot + 2) & mask;
  return slot;
}

function tooMany(path: string, limit: string): TailraceError {
  return new TailraceError('limit_reached', `device: expected at most ${limit}, got one more: ${shown(path)}`);
}
