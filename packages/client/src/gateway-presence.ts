import { TailraceError } from '@tailrace/protocol/error';
import type { DeviceAck } from './device-frames.ts';

export interface GatewayPresenceOptions {
  /** Of message IDs. */
  readonly idPrefix: string;
  readonly send: (text: string) => void;
  /** Called for an announcement that the server refuses. */
  readonly onRefused: (error: TailraceError) => void;
}

/** Announcements without an answer, so that reports do not wait behind those of thousands of devices. */
const unansweredMax = 64;

/** Which devices behind a gateway can be reached. Each session announces all of them, and then each change. */
export class GatewayPresence {
  readonly #options: GatewayPresenceOptions;
  readonly #isOnline = new Map<string, boolean>();
  /** Those that the server does not know of. */
  readonly #toAnnounce = new Set<string>();
  /** By message ID. */
  readonly #unanswered = new Map<string, string>();
  #next = 1;
  #isLive = false;

  constructor(options: GatewayPresenceOptions) {
    this.#options = options;
  }

  set(device: string, isOnline: boolean): void {
    if (this.#isOnline.get(device) === isOnline) return;
    this.#isOnline.set(device, isOnline);
    this.#toAnnounce.add(device);
    this.#sendNext();
  }

  /** A session is live. */
  live(): void {
    this.#isLive = true;
    for (const device of this.#isOnline.keys()) this.#toAnnounce.add(device);
    this.#sendNext();
  }

  lost(): void {
    this.#isLive = false;
    this.#unanswered.clear();
  }

  /** Returns whether the ID is that of an announcement. One that is refused is refused for good. */
  answered(id: string, { status, code = 'internal', message = '' }: DeviceAck): boolean {
    const device = this.#unanswered.get(id);
    if (device === undefined) return false;
    this.#unanswered.delete(id);
    if (status === 'rejected') this.#options.onRefused(new TailraceError(code, `presence of ${device}: ${message}`));
    this.#sendNext();
    return true;
  }

  #sendNext(): void {
    const { idPrefix, send } = this.#options;
    for (const device of this.#toAnnounce) {
      if (!this.#isLive || this.#unanswered.size >= unansweredMax) return;
      this.#toAnnounce.delete(device);
      const id = `${idPrefix}p-${(this.#next++).toString(36)}`;
      this.#unanswered.set(id, device);
      const payload = { online: this.#isOnline.get(device)! };
      send(JSON.stringify({ type: 'presence', msgid: id, from: device, qos: 1, payload }));
    }
  }
}
