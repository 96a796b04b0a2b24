import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import { SharedLimit } from '../shared-limit.ts';
import type { SessionProtocol } from './device-metrics.ts';
import type { CloseReason, PresenceEvents } from './presence-events.ts';

/**
 * Devices that the gateways of this process have announced, of one sender half of it; beyond it an announcement is
 * refused.
 */
export const announcedDevicesMax = 100_000;
/** Reports that the log had not taken at an `offline` arrive within this time: the device is offline behind them. */
const offlineGraceMs = 2_000;

export interface AnnouncedDevicesOptions {
  readonly presence: Pick<PresenceEvents, 'started' | 'closed'>;
  /** Whether the device has a session of its own, here or on another node: that decides about its presence. */
  readonly hasSession: (device: string) => boolean;
  /** Counts the devices that are known: each name costs memory everywhere. Throws `limit_reached`. */
  readonly names: { admit(path: string): void };
  readonly clock: Pick<Clock, 'now'>;
}

/**
 * The devices behind gateways that have published `online` for them: each has a session in the events, as if it were
 * connected itself, until the gateway publishes `offline` or is disconnected.
 */
export class AnnouncedDevices {
  /** By the identity of the sender. */
  readonly limit = new SharedLimit(announcedDevicesMax);
  readonly options: AnnouncedDevicesOptions;
  #lastNumber = 0;

  constructor(options: AnnouncedDevicesOptions) {
    this.options = options;
  }

  /** Of all gateways. */
  get size(): number {
    return this.limit.used;
  }

  /** Returns the devices of a connection. `identity`: of its sender. */
  ofGateway(protocol: SessionProtocol, identity: string): GatewayDevices {
    return new GatewayDevices(this, protocol, identity);
  }

  /** Returns the number of a session that starts now: above those before, as those of devices by the clock. */
  nextNumber(): number {
    this.#lastNumber = Math.max(this.options.clock.now(), this.#lastNumber + 1);
    return this.#lastNumber;
  }
}

/** The devices that one connection has announced. */
export class GatewayDevices {
  readonly #all: AnnouncedDevices;
  readonly #protocol: SessionProtocol;
  readonly #identity: string;
  /** Numbers of their sessions. */
  readonly #numbers = new Map<string, number>();

  constructor(all: AnnouncedDevices, protocol: SessionProtocol, identity: string) {
    this.#all = all;
    this.#protocol = protocol;
    this.#identity = identity;
  }

  /** The gateway reaches the device. Throws `limit_reached` at `announcedDevicesMax`, and for a name too many. */
  online(device: string): void {
    const { limit, options } = this.#all;
    const { presence, hasSession, names } = options;
    if (this.#numbers.has(device) || hasSession(device)) return;
    const exceeded = limit.exceeded(this.#identity);
    if (exceeded !== undefined) {
      const message = `presence: expected at most ${exceeded.max} devices of ${exceeded.of}, got one more`;
      throw new TailraceError('limit_reached', message);
    }
    names.admit(device);
    const number = this.#all.nextNumber();
    this.#numbers.set(device, number);
    limit.add(this.#identity);
    presence.started({ device, number, protocol: this.#protocol });
  }

  /** The gateway does not reach the device. It may never have announced it. Throws `limit_reached` for a new name. */
  offline(device: string): void {
    const { hasSession, names } = this.#all.options;
    if (!this.#numbers.has(device)) {
      if (hasSession(device)) return;
      names.admit(device);
    }
    this.#close(device, this.#numbers.get(device) ?? this.#all.nextNumber(), 'bye', offlineGraceMs);
  }

  /** The gateway is disconnected: a device is offline after the grace time, unless it is announced or reports again. */
  closed(graceMs: number): void {
    for (const [device, number] of [...this.#numbers])
      this.#close(device, number, 'lost', Math.max(graceMs, offlineGraceMs));
  }

  #close(device: string, number: number, reason: CloseReason, graceMs: number): void {
    if (this.#numbers.delete(device)) this.#all.limit.add(this.#identity, -1);
    // A session of its own that started meanwhile has a higher number.
    const facts = { device, number, protocol: this.#protocol };
    this.#all.options.presence.closed(facts, reason, graceMs, -1);
  }
}
