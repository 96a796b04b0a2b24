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

/** Devices in one append: some 100 KB of state. */
const recordsPerAppend = 500;

/**
 * Last values in the compacted state topic. The owner of a partition writes what changed, now and then, with the positions between which it changed; the next owner
 * reads all of it and the log from there on, so that a device that reports once a month has its last value after any change of owner.
 *
 * A batch of records may be cut short by a crash: each says where the batch before it ended, and the log is read from there. A batch of
 * an owner that did not know that it was one no more may lie after newer ones, and hide them: the log is read from where such a batch ended.
 */
export class Checkpoints {
  readonly counts = { records: 0, failures: 0 };
  readonly #log: Pick<EventLog, 'append' | 'read'>;
  readonly #topic: string;
  readonly #epoch: string;
  readonly #warn: Log['warn'];
  /** Where the last whole batch of a partition ended. */
  readonly #written = new Map<number, number>();
  /** Partitions of which a batch is under way: two at once could not say where the one before ended. */
  readonly #writing = new Set<number>();

  constructor(parts: {
    log: Pick<EventLog, 'append' | 'read'>;
    topic: string;
    epoch: string;
    warn: Log['warn'];
  }) {
    this.#log = parts.log;
    this.#topic = parts.topic;
    this.#epoch = parts.epoch;
    this.#warn = parts.warn;
  }

  /** Reads what is there of a partition that is becoming this node's, of as many devices as there is room for. */
  async restore(partition: number, room: Pick<KnownDevices, 'admit' | 'take'>): Promise<Restored> {
    const devices = new Map<string, RestoredDevice>();
    let last: { readonly previous: number; readonly next: number } | undefined;
    let hiddenFrom = Number.POSITIVE_INFINITY;
    for await (const records of this.#log.read(this.#topic, partition, { from: 0 })) {
      for (const { key, value } of records) {
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

  /** Writes what changed of an owned partition since the last time. Never rejects: what could not be written is written the next time. */
  async write(partition: Partition): Promise<void> {
    const changed = [...partition.changed];
    if (changed.length === 0 || this.#writing.has(partition.number)) return;
    this.#writing.add(partition.number);
    partition.changed.clear();
    const { generation, next } = partition;
    const previous = this.#written.get(partition.number) ?? 0;
    const records = changed.map((device) => this.#record(device, { generation, previous, next }));
    try {
      for (let from = 0; from < records.length; from += recordsPerAppend) {
        await this.#log.append(this.#topic, records.slice(from, from + recordsPerAppend));
      }
      this.counts.records += records.length;
      this.#written.set(partition.number, next);
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
