import { RateLimit } from '@tailrace/platform/rate-limit';

export interface DeviceRatesOptions {
  /** Of one device: its messages other than events. */
  readonly messages: RateLimit;
  /** Of one device: its events. */
  readonly events: RateLimit;
  /** Of all devices of one tenant, in this process. */
  readonly tenant: RateLimit;
}

/** The state of a device for its limits, see `RateLimit`: both are 0 at first. */
export interface RatedDevice {
  statusTat: number;
  eventTat: number;
}

/** The share of the burst of a tenant that is for events alone: they pass while its other messages are refused. */
const eventShare = 0.1;
/** Most tenants with a state. Beyond it those with their full burst leave, then the oldest, which gets a full burst. */
const tenantsMax = 10_000;

/** The rate limits of messages: by device, events apart from the others, and by tenant. */
export class DeviceRates {
  /** For the messages of refusals. */
  readonly messages: RateLimit;
  readonly events: RateLimit;
  readonly tenant: RateLimit;
  /** The limit of a tenant for what are no events. It shares the state with `tenant`. */
  readonly #tenantMessages: RateLimit;
  readonly #tenantTats = new Map<string, number>();

  constructor({ messages, events, tenant }: DeviceRatesOptions) {
    this.messages = messages;
    this.events = events;
    this.tenant = tenant;
    const reserved = Math.floor(tenant.burst * eventShare);
    this.#tenantMessages = new RateLimit(tenant.perSecond, Math.max(1, tenant.burst - reserved));
  }

  /** Tenants with a state. For metrics. */
  get tenants(): number {
    return this.#tenantTats.size;
  }

  /**
   * Takes `count` messages of a device at monotonic `nowMs`. Returns 0, or takes none and returns when to send them
   * again, ms.
   */
  takeDevice(device: RatedDevice, isEvent: boolean, nowMs: number, count = 1): number {
    const limit = isEvent ? this.events : this.messages;
    const tatMs = isEvent ? device.eventTat : device.statusTat;
    const next = limit.take(tatMs, nowMs, count);
    if (next === undefined) return limit.waitMs(tatMs, nowMs, count);
    if (isEvent) device.eventTat = next;
    else device.statusTat = next;
    return 0;
  }

  /** Returns when `takeDevice` would take the messages, ms; 0: now. Takes none. */
  deviceWaitMs(device: RatedDevice, isEvent: boolean, nowMs: number, count = 1): number {
    const limit = isEvent ? this.events : this.messages;
    const tatMs = isEvent ? device.eventTat : device.statusTat;
    return limit.take(tatMs, nowMs, count) === undefined ? limit.waitMs(tatMs, nowMs, count) : 0;
  }

  /** The same for the tenant, the first segment of the path of a device. */
  takeTenant(tenant: string, isEvent: boolean, nowMs: number, count = 1): number {
    const limit = isEvent ? this.tenant : this.#tenantMessages;
    const known = this.#tenantTats.get(tenant);
    const next = limit.take(known ?? 0, nowMs, count);
    if (next === undefined) return limit.waitMs(known ?? 0, nowMs, count);
    if (known === undefined && this.#tenantTats.size >= tenantsMax) this.#forget(nowMs);
    this.#tenantTats.set(tenant, next);
    return 0;
  }

  #forget(nowMs: number): void {
    for (const [tenant, tatMs] of this.#tenantTats)
      if (this.tenant.hasFullBurst(tatMs, nowMs)) this.#tenantTats.delete(tenant);
    const [oldest] = this.#tenantTats.keys();
    if (oldest !== undefined && this.#tenantTats.size >= tenantsMax) this.#tenantTats.delete(oldest);
  }
}
