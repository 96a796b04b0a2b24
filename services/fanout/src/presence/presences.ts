import { tailrace } from '@tailrace/protocol/generated';
import { patternMatches } from '@tailrace/protocol/pattern';
import type { Channel, Channels } from '../channels/channels.ts';
import type { Device } from '../channels/device.ts';
import { PathIndex } from '../channels/path-index.ts';
import { SharedMessage } from '../views/shared-message.ts';
import type { View } from '../views/view.ts';

export const { PRESENCE_STATE_STALE: stale, PRESENCE_STATE_OFFLINE: offline } = tailrace.v1.PresenceState;

/** Changes remembered, for clients that were not on the topic meanwhile. */
const changesMax = 1_000;
/** Devices looked at for a page. */
const pageDevices = 256;

/** That a device does not speak. */
export interface Silence {
  readonly state: typeof stale | typeof offline;
  /** Its last report, epoch ms by ingest's clock. */
  readonly sinceMs: number;
  /** Position of that report: a later one ends the silence. */
  readonly seq: number;
}

/** What is known of a device that does not speak, and the change with which that came. */
interface Known extends Silence {
  readonly change: number;
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
  /** The last ones, oldest first. */
  readonly #changes: { readonly change: number; readonly device: Device }[] = [];
  readonly #silent = new Map<Device, Known>();
  /** The silent devices, by partition. */
  readonly #index: (PathIndex<Device> | undefined)[] = [];
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
    if (this.#delete(device)) this.#change(device, undefined);
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
    if (known === undefined) this.#indexOf(device).add(device);
    const isChange = known?.state !== silence.state;
    this.#silent.set(device, { ...silence, change: isChange ? this.counts.told + 1 : known!.change });
    if (isChange) this.#change(device, silence);
    return true;
  }

  /** The device is not known here any more. */
  forget(device: Device): void {
    if (device.silent) this.#delete(device);
  }

  /** Devices of a channel that are silent. */
  countIn({ pattern, partitions }: Pick<Channel, 'pattern' | 'partitions'>): number {
    return partitions.reduce((sum, partition) => sum + (this.#index[partition]?.count(pattern) ?? 0), 0);
  }

  /**
   * What a client of the channel is told that was not on the topic: which devices are silent, or with `since` have
   * become silent after that change of `counts`. In pages, each made when it is asked for. What changes after the first
   * page may be in there or not.
   */
  *pages(
    { pattern, partitions }: Pick<Channel, 'pattern' | 'partitions'>,
    since = Number.NEGATIVE_INFINITY,
  ): Iterable<SharedMessage[]> {
    for (const partition of partitions) {
      let devices: Device[] = [];
      do {
        devices = this.#index[partition]?.page(pattern, devices.at(-1)?.path ?? '', pageDevices) ?? [];
        const messages: SharedMessage[] = [];
        for (const device of devices) {
          const known = this.#silent.get(device)!;
          if (known.change > since) messages.push(messageOf(device, known));
        }
        if (devices.length > 0) yield messages;
      } while (devices.length === pageDevices);
    }
  }

  /** Whether all changes after the change `since` of `counts` are remembered. */
  remembers(since: number): boolean {
    return since >= this.counts.told || (this.#changes[0]?.change ?? Number.POSITIVE_INFINITY) <= since + 1;
  }

  /**
   * What those devices of a channel are now that have changed after the change `since`, as far as that is remembered.
   */
  changed(channel: Pick<Channel, 'pattern'>, since: number): SharedMessage[] {
    return this.#changed(channel, since).map((device) => messageOf(device, this.#silent.get(device)));
  }

  /** The same, only those that are back. */
  back(channel: Pick<Channel, 'pattern'>, since: number): SharedMessage[] {
    const back = this.#changed(channel, since).filter(({ silent }) => !silent);
    return back.map((device) => messageOf(device, undefined));
  }

  /** Of devices of one partition that a pattern covers. What changes before the last one is taken may come or not. */
  *in(partition: number, pattern: string): Iterable<[Device, Silence]> {
    for (const device of this.#index[partition]?.in(pattern) ?? []) {
      const known = this.#silent.get(device);
      // The index hands devices over in pages: one may have reported again since its page was taken.
      if (known !== undefined) yield [device, known];
    }
  }

  #changed({ pattern }: Pick<Channel, 'pattern'>, since: number): Device[] {
    const changed = new Set<Device>();
    for (let i = this.#changes.length - 1; i >= 0 && this.#changes[i]!.change > since; i--) {
      const { device } = this.#changes[i]!;
      if (patternMatches(pattern, device.path)) changed.add(device);
    }
    return [...changed];
  }

  #indexOf({ partition }: Device): PathIndex<Device> {
    this.#index[partition] ??= new PathIndex();
    return this.#index[partition];
  }

  /** Whether it was silent. */
  #delete(device: Device): boolean {
    if (!this.#silent.delete(device)) return false;
    this.#indexOf(device).delete(device);
    return true;
  }

  #change(device: Device, silence: Silence | undefined): void {
    this.counts.told++;
    this.#changes.push({ change: this.counts.told, device });
    if (this.#changes.length >= 2 * changesMax) this.#changes.splice(0, changesMax);
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
