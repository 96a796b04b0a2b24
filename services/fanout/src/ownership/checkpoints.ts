import type { EventLog, NewRecord } from '@tailrace/eventlog/eventlog';
import type { Log } from '@tailrace/platform/log';
import { tailrace } from '@tailrace/protocol/generated';
import type { Device } from '../channels/device.ts';
import type { KnownDevices } from '../channels/known-devices.ts';
import { packed } from '../channels/packed.ts';
import type { Partition } from './partition.ts';
import { RestoredDevice } from './restored-device.ts';

const { DeviceState } = tailrace.v1;

/** What the state topic has of one partition. */
export interface Restored {
  /** By device path. */
  readonly devices: ReadonlyMap<string, RestoredDevice>;
  /** The state holds everything before; from here on the log has to be read. Undefined: there is no state. */
  readonly from: number | undefined;
}

/** Devices in one append: some 50 KB of state, made in less than a millisecond. */
const recordsPerAppend = 200;

/**
 * A device whose last values take more than this is written less often: its record has all of them each time, though a
 * report may have changed one.
 */
const largeBytes = 16_384;
const largeIntervalMs = 30_000;

/**
 * Last values in the compacted state topic. The owner of a partition writes what changed, now and then, with the positions between which it changed; the next owner
 * reads all of it and the log from there on, so that a device that reports once a month has its last value after any change of owner.
 *
 * A batch of records may be cut short by a crash: each says where the batch before it ended, and the log is read from there. A batch of
 * an owner that did not know that it was one no more may lie after newer ones, and hide them: the log is read from where such a batch ended.
 *
 * A large device that was written within the last 30 s is left for a later batch, so that a small report each 5 s does
 * not cost a record of 500 KB each time. What came since it was written is not in the batch, which says so by where it
 * ends.
 */
export class Checkpoints {
  readonly counts = { records: 0, failures: 0 };
  readonly #log: Pick<EventLog, 'append' | 'read'>;
  readonly #topic: string;
  readonly #epoch: string;
  readonly #warn: Log['warn'];
  readonly #now: () => number;
  /** When a large device was written last, monotonic ms, and up to where. */
  readonly #large = new WeakMap<Device, { readonly atMs: number; readonly next: number }>();
  /** Where the last whole batch of a partition ended. */
  readonly #written = new Map<number, number>();
  /** Partitions of which a batch is under way: two at once could not say where the one before ended. */
  readonly #writing = new Set<number>();

  constructor(parts: {
    log: Pick<EventLog, 'append' | 'read'>;
    topic: string;
    epoch: string;
    warn: Log['warn'];
    /** Monotonic ms. */
    now: () => number;
  }) {
    this.#log = parts.log;
    this.#topic = parts.topic;
    this.#epoch = parts.epoch;
    this.#warn = parts.warn;
    this.#now = parts.now;
  }

  /** Reads what is there of a partition that is becoming this node's, of as many devices as there is room for. */
  async restore(partition: number, room: Pick<KnownDevices, 'admit' | 'take' | 'leave'>): Promise<Restored> {
    const devices = new Map<string, RestoredDevice>();
    let last: { readonly previous: number; readonly next: number } | undefined;
    let hiddenFrom = Number.POSITIVE_INFINITY;
    for await (const records of this.#log.read(this.#topic, partition, { from: 0 })) {
      for (const { key, value } of records) {
        if (value.length === 0) {
          // A tombstone: an operator's word that the device is no more.
          const removed = devices.get(key);
          if (devices.delete(key) && removed !== undefined) room.leave(removed.share, removed.bytes);
          continue;
        }
        const state = stateFrom(value);
        if (state === undefined || state.epoch !== this.#epoch) continue;
        const { previous, next } = state;
        if (last === undefined || next >= last.next) last = { previous, next };
        else hiddenFrom = Math.min(hiddenFrom, next);
        const known = devices.get(key);
        if (known !== undefined && known.next > next) continue;
        const share = known?.share ?? room.admit(key);
        if (share === undefined) continue;
        const device = new RestoredDevice(partition, next, share, packed(value));
        room.take(share, device.bytes - (known?.bytes ?? 0));
        devices.set(key, device);
      }
    }
    return { devices, from: last === undefined ? undefined : Math.min(last.previous, hiddenFrom) };
  }

  /** The node has the partition, from where it was restored. */
  begin(partition: number, from: number): void {
    this.#written.set(partition, from);
  }

  /**
   * Writes what changed of an owned partition since the last time; `all`: large devices, too. Never rejects: what could
   * not be written is written the next time.
   */
  async write(partition: Partition, all = false): Promise<void> {
    if (this.#writing.has(partition.number)) return;
    const previous = this.#written.get(partition.number) ?? 0;
    const { changed, next } = this.#due(partition, all, previous);
    if (changed.length === 0) return;
    this.#writing.add(partition.number);
    for (const device of changed) partition.changed.delete(device);
    const { generation } = partition;
    try {
      // Made as they are written: those of all devices at once would take as much memory as the devices, and the loop
      // for seconds. What came meanwhile is in them, too.
      for (let from = 0; from < changed.length; from += recordsPerAppend) {
        const devices = changed.slice(from, from + recordsPerAppend);
        const records = devices.map((device) => this.#record(device, { generation, previous, next }));
        await this.#log.append(this.#topic, records);
      }
      this.counts.records += changed.length;
      this.#written.set(partition.number, next);
      for (const device of changed) {
        if (device.bytes > largeBytes) this.#large.set(device, { atMs: this.#now(), next });
      }
    } catch (error) {
      this.counts.failures++;
      // What has gone meanwhile is its next owner's to write; what was kept under a new assignment is still ours.
      const still = partition.role === 'owned';
      for (const device of changed) {
        if (still && partition.devices.get(device.path) === device) partition.changed.add(device);
      }
      this.#warn({ partition: partition.number, error }, 'last values could not be written; trying again');
    } finally {
      this.#writing.delete(partition.number);
    }
  }

  /** The devices to write, and up to where everything is in their records and those before. */
  #due(partition: Partition, all: boolean, previous: number): { changed: readonly Device[]; next: number } {
    const changed: Device[] = [];
    let { next } = partition;
    for (const device of partition.changed) {
      const written = all || device.bytes <= largeBytes ? undefined : this.#large.get(device);
      if (written === undefined || this.#now() - written.atMs >= largeIntervalMs) changed.push(device);
      else next = Math.min(next, written.next);
    }
    // What was said of the batch before holds: a device that waits has changed since.
    return { changed, next: Math.max(previous, next) };
  }

  #record(device: Device, at: { generation: number; previous: number; next: number }): NewRecord {
    const reports = device.lastValues().map(({ seq, bytes }) => ({ seq, report: bytes }));
    const { intervalMs = 0, lastMs = 0 } = device.rhythm ?? {};
    const state = { epoch: this.#epoch, ...at, reports, intervalMs, lastMs, lastSeq: Math.max(0, device.lastSeq) };
    return { key: device.path, value: DeviceState.encode(state).finish() };
  }
}

function stateFrom(value: Uint8Array): tailrace.v1.DeviceState | undefined {
  try {
    return DeviceState.decode(value);
  } catch {
    return undefined;
  }
}
