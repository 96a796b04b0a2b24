import { tenantOf } from '@tailrace/protocol/path';

/** The usage of one tenant. */
export interface TenantShare {
  readonly tenant: string;
  devices: number;
  /** Heap bytes of its devices and their last values. */
  bytes: number;
}

export interface KnownDeviceLimits {
  /** Devices that a node knows, in all and of one tenant. */
  readonly devicesMax: number;
  readonly devicesPerTenantMax: number;
  /** Tags of one device whose last value is kept. */
  readonly tagsPerDeviceMax: number;
  /** Memory for the last values of all devices, as `Device.bytes` counts it. */
  readonly lastValuesBytesMax: number;
}

export interface KnownDeviceCounts {
  /** Times that a device was refused. */
  refused: number;
  /** Tags whose last value was evicted at a limit. */
  forgottenTags: number;
  /** Reports without the last value of any tag, because newer ones arrived before. */
  late: number;
  /** The largest number of tags of one device. */
  tagsMost: number;
}

/**
 * Heap bytes of a device without its last values: object, path, report interval, entries in maps and lists. Measured.
 */
const deviceBytes = 520;

/** A tenant may have this many times the free memory. */
const leftFactor = 2;
const nothingYet = Object.freeze({ devices: 0, bytes: 0 });

/**
 * Limits the devices that a node knows, of all partitions, and their memory. Senders choose names and tags, and no
 * sender must be able to fill the memory of a node.
 *
 * Beyond a limit a new device is not known: its reports are delivered, and none is kept. A device that is known keeps
 * its memory; when no more is free, its oldest reports are evicted for its newest.
 *
 * A tenant may use twice as much memory as is free (Choudhury and Hahne, Dynamic queue length thresholds, 1998): a
 * single tenant gets two thirds, and some is always free for another.
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

  /** Adds a device. Returns undefined at a limit. Each returned share is to be released with `leave`. */
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

  /** Removes a device whose last values took `bytes`. */
  leave(share: TenantShare, bytes: number): void {
    this.size--;
    share.devices--;
    this.take(share, -deviceBytes - bytes);
    if (share.devices === 0) this.#tenants.delete(share.tenant);
  }

  /** Adds `bytes` of last values of a tenant; negative: subtracts. */
  take(share: TenantShare, bytes: number): void {
    this.bytes += bytes;
    share.bytes += bytes;
  }

  /** Whether the tenant is at its limit of memory. */
  isFull(share: TenantShare): boolean {
    return this.#isTooMuch(share.bytes, 0);
  }

  /** Whether a tenant with `bytes` would be over its limit with `more`. */
  #isTooMuch(bytes: number, more: number): boolean {
    const left = this.limits.lastValuesBytesMax - this.bytes - more;
    return bytes + more > leftFactor * left;
  }

  /** Returns a copy with the same usage, for devices that are collected before they are added here. */
  fork(): KnownDevices {
    const fork = new KnownDevices(this.limits, this.counts);
    fork.size = this.size;
    fork.bytes = this.bytes;
    for (const [tenant, share] of this.#tenants) fork.#tenants.set(tenant, { ...share });
    return fork;
  }
}
