import { tenantOf } from '@tailrace/protocol/path';

/** What is known of the devices of one tenant. */
export interface TenantShare {
  readonly tenant: string;
  devices: number;
  /** Of their last values. */
  bytes: number;
}

export interface KnownDeviceLimits {
  /** Devices that a node knows, and of one tenant. */
  readonly devicesMax: number;
  readonly devicesPerTenantMax: number;
  /** Tags of one device whose last value is kept. */
  readonly tagsPerDeviceMax: number;
  /** Memory for the last values of all devices, as `Device.bytes` counts it. */
  readonly lastValuesBytesMax: number;
}

export interface KnownDeviceCounts {
  /** Times that a device was not taken in. */
  refused: number;
  /** Tags whose last value was forgotten because there were too many, or no room. */
  forgottenTags: number;
  /** Reports that hold the last value of no tag, because newer ones came before. */
  late: number;
  /** Tags of the device that has had most at once. */
  tagsMost: number;
}

/**
 * What a device is known by besides its last values, in the heap: itself, its path, its rhythm, its places in maps,
 * sets and lists. Measured.
 */
const deviceBytes = 520;

/** So many times what is left a tenant may have. */
const leftFactor = 2;
const nothingYet = Object.freeze({ devices: 0, bytes: 0 });

/**
 * The devices that a node knows, whichever partition they are in, and what they take: names and tags are made up by
 * senders, and a sender must not be able to fill the memory of a node.
 *
 * Beyond a limit a new device is not known: its reports are delivered, and nothing is kept of it. A device that is
 * known keeps the room that it has; where there is no more, its oldest reports give way to its newest.
 *
 * A tenant may take twice as much memory as is left (Choudhury and Hahne, Dynamic queue length thresholds, 1998): one
 * alone gets two thirds, and there is always room for another.
 */
export class KnownDevices {
  readonly limits: KnownDeviceLimits;
  readonly counts: KnownDeviceCounts;
  size = 0;
  bytes = 0;
  readonly #tenants = new Map<string, TenantShare>();

  constructor(
    limits: KnownDeviceLimits,
    counts: KnownDeviceCounts = { refused: 0, forgottenTags: 0, late: 0, tagsMost: 0 },
  ) {
    this.limits = limits;
    this.counts = counts;
  }

  /** Devices of the tenant that has most. */
  get mostOfOneTenant(): number {
    let most = 0;
    for (const { devices } of this.#tenants.values()) most = Math.max(most, devices);
    return most;
  }

  /** A place for one more device; undefined where there is none. `leave` for each that is given. */
  admit(path: string): TenantShare | undefined {
    const tenant = tenantOf(path);
    let share = this.#tenants.get(tenant);
    const { devicesMax, devicesPerTenantMax } = this.limits;
    const { devices, bytes } = share ?? nothingYet;
    if (this.size >= devicesMax || devices >= devicesPerTenantMax || this.#isTooMuch(bytes, deviceBytes)) {
      this.counts.refused++;
      return undefined;
    }
    if (share === undefined) {
      share = { tenant, devices: 0, bytes: 0 };
      this.#tenants.set(tenant, share);
    }
    this.size++;
    share.devices++;
    this.take(share, deviceBytes);
    return share;
  }

  /** A device is not known any more, whose last values took so much. */
  leave(share: TenantShare, bytes: number): void {
    this.size--;
    share.devices--;
    this.take(share, -deviceBytes - bytes);
    if (share.devices === 0) this.#tenants.delete(share.tenant);
  }

  /** Last values of a tenant take so much more, or less. */
  take(share: TenantShare, bytes: number): void {
    this.bytes += bytes;
    share.bytes += bytes;
  }

  /** Whether there is no room for more last values of the tenant. */
  isFull(share: TenantShare): boolean {
    return this.#isTooMuch(share.bytes, 0);
  }

  /** Whether a tenant that has so much takes too much with so much more. */
  #isTooMuch(bytes: number, more: number): boolean {
    const left = this.limits.lastValuesBytesMax - this.bytes - more;
    return bytes + more > leftFactor * left;
  }

  /**
   * For what is gathered before it is taken in: begins with the devices that are known, and has the room that is left.
   */
  fork(): KnownDevices {
    const fork = new KnownDevices(this.limits, this.counts);
    fork.size = this.size;
    fork.bytes = this.bytes;
    for (const [tenant, share] of this.#tenants) fork.#tenants.set(tenant, { ...share });
    return fork;
  }
}
