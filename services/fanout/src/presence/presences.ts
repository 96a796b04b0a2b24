import { tailrace } from '@tailrace/protocol/generated';
import { patternMatches } from '@tailrace/protocol/pattern';
import type { Channel, Channels } from '../channels/channels.ts';
import type { Device } from '../channels/device.ts';
import { PathIndex } from '../channels/path-index.ts';
import { SharedMessage } from '../views/shared-message.ts';
import type { View } from '../views/view.ts';

export const { PRESENCE_STATE_UNSPECIFIED: online } = tailrace.v1.PresenceState;
export const { PRESENCE_STATE_STALE: stale, PRESENCE_STATE_OFFLINE: offline } = tailrace.v1.PresenceState;

/** Changes kept for clients that are not on the topic meanwhile. */
const changesMax = 1_000;
/** Devices of a page. */
const pageDevices = 256;

/** The state of a device that is stale or offline. */
export interface IdleState {
  readonly state: typeof stale | typeof offline;
  /** When ingest received its last report, epoch ms. */
  readonly sinceMs: number;
  /** Position of that report: with a later one the device is online again. */
  readonly seq: number;
  /** Number of the session that is open, or has closed. Default 0: unknown. */
  readonly session?: number;
}

/** An open session of a device, by which it is online without a report. */
export interface ConnectedState {
  /** Position of its last report. */
  readonly seq: number;
  /** Number of the session. */
  readonly session: number;
}

/** A state, and the number of the change that set it. */
interface Known extends IdleState {
  readonly change: number;
}

/**
 * The devices that are stale or offline: determined here for partitions that this node owns, received from the owners
 * for others.
 *
 * The state of a device is monotonic in its last report and in its severity. So a state may arrive late, twice or in
 * any order, and a new owner repeats nothing that clients were sent. A device is online when a report arrives that is
 * newer than its state; the owner sends no other message for that. One that is offline is also online with a session
 * that opens: states of earlier sessions count no more then.
 *
 * Each change is published to all views that cover the device: `online` right before the report that causes it, `stale`
 * and `offline` after all earlier reports.
 */
export class Presences {
  /** Changes of state since the start of the node. */
  readonly counts = { changes: 0 };
  /** The last changes, oldest first. */
  readonly #changes: { readonly change: number; readonly device: Device }[] = [];
  readonly #idle = new Map<Device, Known>();
  /** Devices that were offline, and are online by a session and not by a report. */
  readonly #connected = new Map<Device, ConnectedState>();
  /** The idle devices, by partition. */
  readonly #index: (PathIndex<Device> | undefined)[] = [];
  readonly #channels: Pick<Channels, 'of'>;
  readonly #publish: (view: View, message: SharedMessage) => void;

  constructor(channels: Pick<Channels, 'of'>, publish: (view: View, message: SharedMessage) => void) {
    this.#channels = channels;
    this.#publish = publish;
  }

  /** Returns the number of devices in a state. */
  count(state: IdleState['state']): number {
    let count = 0;
    for (const known of this.#idle.values()) if (known.state === state) count++;
    return count;
  }

  of(device: Device): IdleState | undefined {
    return this.#idle.get(device);
  }

  /** Takes a report of an idle device, before it is delivered to the views. */
  reported(device: Device, seq: number): void {
    const known = this.#idle.get(device);
    if (known !== undefined && seq <= known.seq) return;
    device.isIdle = false;
    if (this.#delete(device)) this.#change(device, undefined);
  }

  /** Sets the state of a device. Returns whether it is newer than the known one. */
  setIdle(device: Device, idle: IdleState): boolean {
    if (device.lastSeq > idle.seq) return false;
    const connected = this.#connected.get(device);
    if (connected !== undefined && idle.seq <= connected.seq && (idle.session ?? 0) < connected.session) return false;
    const known = this.#idle.get(device);
    if (known !== undefined && (known.seq > idle.seq || (known.seq === idle.seq && known.state >= idle.state))) {
      return false;
    }
    this.#connected.delete(device);
    device.isIdle = true;
    if (known === undefined) this.#indexOf(device).add(device);
    const isChange = known?.state !== idle.state;
    this.#idle.set(device, { ...idle, change: isChange ? this.counts.changes + 1 : known!.change });
    if (isChange) this.#change(device, idle);
    return true;
  }

  /** A session of a device is open. Returns whether the device was offline, and is online by it. */
  setOnline(device: Device, connected: ConnectedState): boolean {
    const known = this.#idle.get(device);
    if (known?.state !== offline || known.seq > connected.seq || (known.session ?? 0) >= connected.session)
      return false;
    device.isIdle = false;
    this.#delete(device);
    this.#connected.set(device, connected);
    this.#change(device, undefined);
    return true;
  }

  /** Iterates over the devices of a partition that a pattern covers, and that are online by a session. */
  *connectedIn(partition: number, pattern: string): Iterable<[Device, ConnectedState]> {
    for (const [device, connected] of this.#connected) {
      if (device.lastSeq > connected.seq) this.#connected.delete(device);
      else if (device.partition === partition && patternMatches(pattern, device.path)) yield [device, connected];
    }
  }

  /** Removes a device that this node no longer knows. */
  forget(device: Device): void {
    this.#connected.delete(device);
    if (device.isIdle) this.#delete(device);
  }

  /** Returns the number of idle devices of a channel. */
  countIn({ pattern, partitions }: Pick<Channel, 'pattern' | 'partitions'>): number {
    return partitions.reduce((sum, partition) => sum + (this.#index[partition]?.count(pattern) ?? 0), 0);
  }

  /**
   * Returns the messages for a client of the channel that was not on the topic: the idle devices, or with `since` those
   * that became idle after that change. In pages, each created when it is requested. Changes after the first page may
   * be included or not.
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
          const known = this.#idle.get(device)!;
          if (known.change > since) messages.push(messageOf(device, known));
        }
        if (devices.length > 0) yield messages;
      } while (devices.length === pageDevices);
    }
  }

  /** Returns whether all changes after the change `since` are kept. */
  hasChangesSince(since: number): boolean {
    return since >= this.counts.changes || (this.#changes[0]?.change ?? Number.POSITIVE_INFINITY) <= since + 1;
  }

  /** Returns the present state of the devices of a channel that changed after the change `since`, as far as kept. */
  changed(channel: Pick<Channel, 'pattern'>, since: number): SharedMessage[] {
    return this.#changed(channel, since).map((device) => messageOf(device, this.#idle.get(device)));
  }

  /** Returns the same, only for devices that are online again. */
  backOnline(channel: Pick<Channel, 'pattern'>, since: number): SharedMessage[] {
    const back = this.#changed(channel, since).filter(({ isIdle }) => !isIdle);
    return back.map((device) => messageOf(device, undefined));
  }

  /** Iterates over the idle devices of a partition that a pattern covers. Changes meanwhile may be included or not. */
  *in(partition: number, pattern: string): Iterable<[Device, IdleState]> {
    for (const device of this.#index[partition]?.in(pattern) ?? []) {
      const known = this.#idle.get(device);
      // The index returns devices in pages: one may have reported since its page was read.
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

  /** Returns whether the device was idle. */
  #delete(device: Device): boolean {
    if (!this.#idle.delete(device)) return false;
    this.#indexOf(device).delete(device);
    return true;
  }

  #change(device: Device, idle: IdleState | undefined): void {
    this.counts.changes++;
    this.#changes.push({ change: this.counts.changes, device });
    if (this.#changes.length >= 2 * changesMax) this.#changes.splice(0, changesMax);
    let message: SharedMessage | undefined;
    for (const channel of this.#channels.of(device)) {
      for (const view of channel.views.values()) {
        if (view.sockets === 0) continue;
        message ??= messageOf(device, idle);
        this.#publish(view, message);
      }
    }
  }
}

function messageOf(device: Device, idle: IdleState | undefined): SharedMessage {
  if (idle === undefined) return new SharedMessage({ online: { device: device.path } });
  const fields = { device: device.path, since: idle.sinceMs };
  return new SharedMessage(idle.state === offline ? { offline: fields } : { stale: fields });
}
