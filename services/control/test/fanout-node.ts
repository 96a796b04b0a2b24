import type { Bus } from '@tailrace/bus/bus';
import { tailrace } from '@tailrace/protocol/generated';
import { encodeReport } from '@tailrace/protocol/report-proto';

const { Announcement, OwnerReply, OwnerRequest, PresenceState } = tailrace.v1;

interface KnownDevice {
  readonly readings: Readonly<Record<string, number | boolean | string>>;
  readonly isOnline: boolean;
  readonly receivedMs: number;
  /** Position of its only report. */
  readonly seq: number;
}

/**
 * The end of fanout that control uses, as proto/tailrace/v1/relay.proto describes it: announcements, pages of devices,
 * and the last values of channels. A test decides what it knows.
 */
export class FanoutNode {
  readonly #bus: Bus;
  readonly #name: string;
  readonly #partitions: number;
  readonly #devices = new Map<string, KnownDevice>();
  #timer: NodeJS.Timeout | undefined;

  constructor(name: string, bus: Bus, partitions: number) {
    this.#name = name;
    this.#bus = bus;
    this.#partitions = partitions;
  }

  async start(): Promise<void> {
    await this.#bus.serve(`tailrace.v1.owner.${this.#name}`, (payload) => this.#reply(OwnerRequest.decode(payload)));
    this.#timer = setInterval(() => this.announce(), 200);
    this.announce();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  announce(): void {
    const partitions = Array.from({ length: this.#partitions }, (_, n) => n);
    this.#bus.publish('tailrace.v1.node', Announcement.encode({ node: this.#name, partitions }).finish());
  }

  set(
    path: string,
    readings: KnownDevice['readings'],
    { isOnline = true, receivedMs = Date.now(), seq = 1 } = {},
  ): void {
    this.#devices.set(path, { readings, isOnline, receivedMs, seq });
  }

  #reply(request: tailrace.v1.OwnerRequest): Uint8Array[] {
    if (request.devices) {
      const after = request.devices.after ?? '';
      const devices = [...this.#devices]
        .filter(([path]) => path > after)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .slice(0, request.devices.limit ?? 0)
        .map(([path, { receivedMs }]) => ({ path, received: receivedMs }));
      return [OwnerReply.encode({ devices: { devices } }).finish()];
    }
    const parts = [OwnerReply.encode({ generation: 1 }).finish()];
    for (const { channel } of request.interests) {
      const known = this.#devices.get(channel ?? '');
      if (known === undefined || !channel) continue;
      const readings = Object.entries(known.readings).map(([tag, value]) => ({ tag, value }));
      const report = encodeReport({ device: channel, time: known.receivedMs, readings });
      const state = PresenceState.PRESENCE_STATE_OFFLINE;
      const presences = known.isOnline ? [] : [{ device: channel, state }];
      parts.push(OwnerReply.encode({ channel, updates: [{ seq: known.seq, report }], presences }).finish());
    }
    return parts;
  }
}
