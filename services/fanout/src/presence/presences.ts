import { tailrace } from '@tailrace/protocol/generated';
import type { Channel } from '../channels/channel.ts';
import type { Channels } from '../channels/channels.ts';
import type { Device } from '../channels/device.ts';
import { SharedMessage } from '../views/sharedmessage.ts';
import type { View } from '../views/view.ts';

export const { PRESENCE_STATE_STALE: stale, PRESENCE_STATE_OFFLINE: offline } = tailrace.v1.PresenceState;

/** Devices remembered that came back, for clients that were not on the topic meanwhile. */
const backMax = 1_000;

/** That a device does not speak. */
export interface Silence {
  readonly state: typeof stale | typeof offline;
  /** Its last report, epoch ms by ingest's clock. */
  readonly sinceMs: number;
  /** Position of that report: a later one ends the silence. */
  readonly seq: number;
}

/**
 * Which devices do not speak, as this node knows it: judged here for partitions it owns, told by their owners for the others.
 *
 * What is known of a device only grows: its last report, and how silent it has been since. So news may come late, twice or in any order, and after a
 * change of owner what was told is not told again. A device is online from the moment at which a report comes that is newer than its silence: the owner sends
 * no word of that, the report is the word.
 *
 * Clients of all views that cover the device are told of each change: `online` right before the report that shows it, `stale` and `offline` after all
 * reports that came before.
 */
export class Presences {
  /** Changes told to clients here. */
  readonly counts = { told: 0 };
  /** Devices that came back of late, oldest first. */
  readonly #back: { readonly change: number; readonly device: Device }[] = [];
  readonly #silent = new Map<Device, Silence>();
  readonly #channels: Pick<Channels, 'of'>;
  readonly #tell: (view: View, message: SharedMessage) => void;

  constructor(channels: Pick<Channels, 'of'>, tell: (view: View, message: SharedMessage) => void) {
    this.#channels = channels;
    this.#tell = tell;
  }

  /** Devices in a state. */
  count(state: Silence['state']): number {
    let count = 0;
    for (const silence of this.#silent.values()) if (silence.state === state) count++;
    return count;
  }

  of(device: Device): Silence | undefined {
    return this.#silent.get(device);
  }

  /** A report of a device that is marked as silent. It is about to be given to the views. */
  spoke(device: Device, seq: number): void {
    const silence = this.#silent.get(device);
    if (silence !== undefined && seq <= silence.seq) return;
    device.silent = false;
    if (this.#silent.delete(device)) this.#change(device, undefined);
  }

  /** Whether it is news. */
  silence(device: Device, silence: Silence): boolean {
    if (device.lastSeq > silence.seq) return false;
    const known = this.#silent.get(device);
    if (
      known !== undefined &&
      (known.seq > silence.seq || (known.seq === silence.seq && known.state >= silence.state))
    ) {
      return false;
    }
    device.silent = true;
    this.#silent.set(device, silence);
    if (known?.state !== silence.state) this.#change(device, silence);
    return true;
  }

  /** The device is not known here any more. */
  forget(device: Device): void {
    if (device.silent) this.#silent.delete(device);
  }

  /**
   * What a client of the channel is to be told that was not on the topic: which devices are silent; and, where it was there up to the change `since` of `counts`,
   * which of them have come back, as far as that is remembered.
   */
  *messages(channel: Pick<Channel, 'covers'>, since?: number): Iterable<SharedMessage> {
    for (const [device, silence] of this.#silent) if (channel.covers(device.path)) yield messageOf(device, silence);
    if (since === undefined) return;
    for (const { change, device } of this.#back) {
      if (change > since && !device.silent && channel.covers(device.path)) yield messageOf(device, undefined);
    }
  }

  /** Of devices of one partition that a pattern covers. */
  *in(partition: number, covers: (path: string) => boolean): Iterable<[Device, Silence]> {
    for (const each of this.#silent) if (each[0].partition === partition && covers(each[0].path)) yield each;
  }

  #change(device: Device, silence: Silence | undefined): void {
    this.counts.told++;
    if (silence === undefined) this.#back.push({ change: this.counts.told, device });
    if (this.#back.length >= 2 * backMax) this.#back.splice(0, backMax);
    let message: SharedMessage | undefined;
    for (const channel of this.#channels.of(device)) {
      for (const view of channel.views.values()) {
        if (view.sockets === 0) continue;
        message ??= messageOf(device, silence);
        this.#tell(view, message);
      }
    }
  }
}

function messageOf(device: Device, silence: Silence | undefined): SharedMessage {
  if (silence === undefined) return new SharedMessage({ online: { device: device.path } });
  const facts = { device: device.path, since: silence.sinceMs };
  return new SharedMessage(silence.state === offline ? { offline: facts } : { stale: facts });
}
