import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import type { SessionProtocol } from './device-metrics.ts';
import type { CloseReason, PresenceEvents } from './presence-events.ts';

/** Devices that the gateways of this process have announced; beyond it an announcement is refused. */
export const announcedDevicesMax = 100_000;
/** Reports that the log had not taken at an `offline` arrive within this time: the device is offline behind them. */
const offlineGraceMs = 2_000;

export interface AnnouncedDevicesOptions {
  readonly presence: Pick<PresenceEvents, 'started' | 'closed'>;
  /** Whether the device has a session of its own, here or on another node: that decides about its presence. */
  readonly hasSession: (device: string) => boolean;
  readonly clock: Pick<Clock, 'now'>;
}

/**
 * The devices behind gateways that have published `online` for them: each has a session in the events, as if it were
 * connected itself, until the gateway publishes `offline` or is disconnected.
 */
export class AnnouncedDevices {
  /** Of all gateways. */
  size = 0;
  readonly options: AnnouncedDevicesOptions;
  #lastNumber = 0;

  constructor(options: AnnouncedDevicesOptions) {
    this.options = options;
  }

  /** Returns the devices of a connection. */
  ofGateway(protocol: SessionProtocol): GatewayDevices {
    return new GatewayDevices(this, protocol);
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
  /** Numbers of their sessions. */
  readonly #numbers = new Map<string, number>();

  constructor(all: AnnouncedDevices, protocol: SessionProtocol) {
    this.#all = all;
    this.#protocol = protocol;
  }

  /** The gateway reaches the device. Throws `limit_reached` at `announcedDevicesMax`. */
  online(device: string): void {
    const { presence, hasSession } = this.#all.options;
    if (this.#numbers.has(device) || hasSession(device)) return;
    if (this.#all.size >= announcedDevicesMax) {
      const message = `presence: expected at most ${announcedDevicesMax} devices of all gateways, got one more`;
      throw new TailraceError('limit_reached', message);
    }
    const number = this.#all.nextNumber();
    this.#numbers.set(device, number);
    this.#all.size++;
    presence.started({ device, number, protocol: this.#protocol });
  }

  /** The gateway does not reach the device. It may never have announced it. */
  offline(device: string): void {
    if (!this.#numbers.has(device) && this.#all.options.hasSession(device)) return;
    this.#close(device, this.#numbers.get(device) ?? this.#all.nextNumber(), 'bye', offlineGraceMs);
  }

  /** The gateway is disconnected: a device is offline after the grace time, unless it is announced or reports again. */
  closed(graceMs: number): void {
    for (const [device, number] of [...this.#numbers])
      this.#close(device, number, 'lost', Math.max(graceMs, offlineGraceMs));
  }

  #close(device: string, number: number, reason: CloseReason, graceMs: number): void {
    if (this.#numbers.delete(device)) this.#all.size--;
    // A session of its own that started meanwhile has a higher number.
    const facts = { device, number, protocol: this.#protocol };
    this.#all.options.presence.closed(facts, reason, graceMs, -1);
  }
}
