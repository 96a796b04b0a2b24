import type { Delivery } from '@tailrace/protocol/report';
import { devicesRememberedMax } from './delivered.ts';
import type { Presence } from './subscription.ts';

/**
 * Tracks the devices of a subscription that are not online, to report each change once, also those that came back
 * online during a disconnect.
 */
export class DevicePresence {
  readonly #notOnline = new Map<string, Presence>();

  /** Records the presence. Returns whether it is a change. */
  isChange(presence: Presence): boolean {
    const { device, state } = presence;
    const known = this.#notOnline.get(device);
    if (state === 'online') return this.#notOnline.delete(device);
    if (known?.state === state && known.since === presence.since) return false;
    if (known !== undefined || this.#notOnline.size < devicesRememberedMax) this.#notOnline.set(device, presence);
    return true;
  }

  /** Returns devices that reported after they were not online: after a reconnect, servers send no `online` for them. */
  backOnline(reports: readonly Delivery[]): readonly Presence[] {
    if (this.#notOnline.size === 0) return none;
    const changes: Presence[] = [];
    for (const { device, received, time } of reports) {
      const known = this.#notOnline.get(device);
      if (known === undefined || (received ?? time) <= (known.since ?? 0)) continue;
      this.#notOnline.delete(device);
      changes.push({ device, state: 'online' });
    }
    return changes;
  }
}

const none: readonly Presence[] = [];
