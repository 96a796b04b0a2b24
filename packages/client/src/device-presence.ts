import type { Delivery } from '@tailrace/protocol/report';
import { devicesRememberedMax } from './delivered.ts';
import type { Presence } from './subscription.ts';

/** Which devices of a subscription are not online, so that each change is told once, and those that came back while the connection was away. */
export class DevicePresence {
  readonly #away = new Map<string, Presence>();

  /** Whether the news says something new. */
  isNews(presence: Presence): boolean {
    const { device, state } = presence;
    const known = this.#away.get(device);
    if (state === 'online') return this.#away.delete(device);
    if (known?.state === state && known.since === presence.since) return false;
    if (known !== undefined || this.#away.size < devicesRememberedMax) this.#away.set(device, presence);
    return true;
  }

  /** Devices that have spoken after what is known of them: who was told only of those silent now would wait for ever. */
  back(reports: readonly Delivery[]): readonly Presence[] {
    if (this.#away.size === 0) return none;
    const back: Presence[] = [];
    for (const { device, received, time } of reports) {
      const away = this.#away.get(device);
      if (away === undefined || (received ?? time) <= (away.since ?? 0)) continue;
      this.#away.delete(device);
      back.push({ device, state: 'online' });
    }
    return back;
  }
}

const none: readonly Presence[] = [];
