import type { EventLog, NewRecord } from '@tailrace/eventlog/event-log';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { isTailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import type { Device, KnownDevices } from '../channels/device.ts';
import { packed } from '../channels/log-report.ts';
import { deviceStateFrom, endOfState } from './device-state.ts';
import type { Partition } from './partition.ts';
import { RestoredDevice } from './restored-device.ts';

const { DeviceState } = tailrace.v1;

/** The content of the state topic for one partition. */
export interface Restored {
  /** By device path. */
  readonly devices: ReadonlyMap<string, RestoredDevice>;
  /**
   * The state has everything before this position; the log has to be read from here on. Undefined: there is no state.
   */
  readonly from: number | undefined;
}

/** Maximum of the devices in one append: some 50 KB of state, encoded in less than a millisecond. */
const recordsPerAppend = 200;
/** Maximum bytes of one append: the state of a device may be as large as a record. */
const appendBytesMax = 1_048_576;
/**
 * Maximum bytes of the state of one device: the limit of `Device.bytesMax`, and half of Kafka's default limit of a
 * record. If a topic accepts less, half of what it has refused.
 */
const stateBytesMax = 524_288;
/** Minimum of that limit: a topic that accepts less loses what it does not accept. */
const stateBytesMin = 16_384;
const warningEveryMs = 60_000;

/**
 * A device with larger last values is written less often: its record has all of them each time, although a report may
 * have changed one.
 */
const largeBytes = 16_384;
const largeIntervalMs = 30_000;

export interface CheckpointsOptions {
  readonly eventLog: Pick<EventLog, 'append' | 'read'>;
  readonly topic: string;
  readonly epoch: string;
  /** Partitions of the telemetry topic and of the state topic. */
  readonly partitions: number;
  /** Returns the end of a partition of the telemetry topic. */
  readonly endOf: (partition: number) => Promise<number>;
  readonly warn: Logger['warn'];
  /** Monotonic ms. */
  readonly now: () => number;
}

/**
 * Stores last values in the compacted state topic. The owner of a partition regularly writes the changed devices, with
 * the positions between which they changed. The next owner reads all of them, and the log from there on. So a device
 * that reports once a month keeps its last value through any change of owner.
 *
 * A crash may truncate a batch of records. So each record has the end of the previous batch, and the log is read from
 * there. An owner that did not know that it had lost the partition may write an old batch after newer ones, and replace
 * them. The log is read from the end of such a batch.
 *
 * A large device that was written within the last 30 s is left for a later batch. Otherwise a small report every 5 s
 * would cost a record of 500 KB each time. Its newer reports are not in the batch, whose end is before them.
 *
 * If the topic refuses the state of a device, the others are still written. That device is written alone, without its
 * oldest reports.
 */
export class Checkpoints {
  readonly counts = {
    records: 0,
    failures: 0,
    /** States without the oldest last values of their device, because they would have been too large. */
    truncated: 0,
    /** Devices whose state the topic refused at any size. */
    refused: 0,
    /** Records of the state topic that are not a state of their device, or cannot be read. */
    unreadable: 0,
  };
  readonly #eventLog: Pick<EventLog, 'append' | 'read'>;
  readonly #topic: string;
  readonly #epoch: string;
  readonly #partitions: number;
  readonly #endOf: (partition: number) => Promise<number>;
  readonly #warn: Logger['warn'];
  readonly #onTruncated: LimitedWarning;
  readonly #onRefused: LimitedWarning;
  readonly #onUnreadable: LimitedWarning;
  readonly #now: () => number;
  /** The last write of a large device: its time, monotonic ms, and the end of its batch. */
  readonly #large = new WeakMap<Device, { readonly atMs: number; readonly next: number }>();
  /** Current maximum of the state of one device, bytes: lowered after a refusal. */
  #stateBytesMax = stateBytesMax;
  /** The end of the last complete batch, by partition. */
  readonly #written = new Map<number, number>();
  /** Partitions with a batch in progress. Of two concurrent batches, neither would have the end of the other. */
  readonly #writing = new Set<number>();

  constructor(options: CheckpointsOptions) {
    const { warn, now } = options;
    this.#eventLog = options.eventLog;
    this.#topic = options.topic;
    this.#epoch = options.epoch;
    this.#partitions = options.partitions;
    this.#endOf = options.endOf;
    this.#warn = warn;
    this.#now = now;
    const limited = (sentence: string) => new LimitedWarning(warn, sentence, warningEveryMs, now);
    this.#onTruncated = limited(
      'the last values of a device are more than the state topic takes; the oldest are left out',
    );
    this.#onRefused = limited('the state topic does not take the last values of a device');
    this.#onUnreadable = limited('a record of the state topic is not a state of its device; skipped');
  }

  /**
   * Reads the state of a partition that this node takes over, of at most as many devices as may be known. Rejects if
   * the log cannot be read.
   */
  async restore(partition: number, known: Pick<KnownDevices, 'admit' | 'take' | 'leave'>): Promise<Restored> {
    const devices = new Map<string, RestoredDevice>();
    let last: { readonly previous: number; readonly next: number } | undefined;
    let hiddenFrom = Number.POSITIVE_INFINITY;
    const of = { epoch: this.#epoch, partition, partitions: this.#partitions };
    let end = 0;
    for await (const records of this.#eventLog.read(this.#topic, partition, { from: 0 })) {
      let isEndNew = false;
      for (const { seq, key, value, emptyUntil, unreadable } of records) {
        if (emptyUntil !== undefined) continue;
        if (value.length === 0 && unreadable === undefined) {
          // A tombstone: an operator has removed the device.
          const removed = devices.get(key);
          if (devices.delete(key) && removed !== undefined) known.leave(removed.share, removed.bytes);
          continue;
        }
        const state = unreadable === undefined ? deviceStateFrom(key, value, of) : 'unreadable';
        if (typeof state !== 'object') {
          if (state !== 'another epoch') this.#reject(partition, seq, state);
          continue;
        }
        // No state can be ahead of the log, which grows during this read.
        if (endOfState(state) > end && !isEndNew) {
          end = await this.#endOf(partition);
          isEndNew = true;
        }
        if (endOfState(state) > end) {
          this.#reject(partition, seq, 'positions');
          continue;
        }
        const { previous, next } = state;
        if (last === undefined || next >= last.next) last = { previous, next };
        else hiddenFrom = Math.min(hiddenFrom, next);
        const before = devices.get(key);
        if (before !== undefined && before.next > next) continue;
        const share = before?.share ?? known.admit(key);
        if (share === undefined) continue;
        const device = new RestoredDevice(partition, next, share, packed(value));
        known.take(share, device.bytes - (before?.bytes ?? 0));
        devices.set(key, device);
      }
    }
    return { devices, from: last === undefined ? undefined : Math.min(last.previous, hiddenFrom) };
  }

  #reject(partition: number, seq: number, reason: string): void {
    this.counts.unreadable++;
    this.#onUnreadable.write(() => ({ partition, seq, reason }));
  }

  /** Called when the node has taken over the partition. `from`: the position to which it was restored. */
  start(partition: number, from: number): void {
    this.#written.set(partition, from);
  }

  /**
   * Writes the devices of an owned partition that changed since the last call; `all`: large devices, too. Never
   * rejects: what could not be written is written by the next call.
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
      for (const records of this.#batches(changed, { generation, previous, next })) {
        await this.#append(records);
        this.counts.records += records.length;
      }
      this.#written.set(partition.number, next);
      for (const device of changed) {
        if (device.bytes > largeBytes) this.#large.set(device, { atMs: this.#now(), next });
      }
    } catch (error) {
      this.counts.failures++;
      // Devices that were lost meanwhile are written by the next owner; those kept under a new assignment by this node.
      const still = partition.role === 'owned';
      for (const device of changed) {
        if (still && partition.devices.get(device.path) === device) partition.changed.add(device);
      }
      this.#warn({ partition: partition.number, error }, 'last values could not be written; trying again');
    } finally {
      this.#writing.delete(partition.number);
    }
  }

  /** Returns the devices to write, and the position up to which their records and the earlier ones are complete. */
  #due(partition: Partition, all: boolean, previous: number): { changed: readonly Device[]; next: number } {
    const changed: Device[] = [];
    let { next } = partition;
    for (const device of partition.changed) {
      const written = all || device.bytes <= largeBytes ? undefined : this.#large.get(device);
      if (written === undefined || this.#now() - written.atMs >= largeIntervalMs) changed.push(device);
      else next = Math.min(next, written.next);
    }
    // The end of the previous batch stays valid: a device that waits has changed since.
    return { changed, next: Math.max(previous, next) };
  }

  /**
   * Encodes batches one by one as they are written: all at once would take as much memory as the devices, and block the
   * event loop for seconds. Reports that come meanwhile are included.
   */
  *#batches(devices: readonly Device[], at: StateAt): Iterable<StateRecord[]> {
    let batch: StateRecord[] = [];
    let bytes = 0;
    for (const device of devices) {
      const record = this.#record(device, at);
      if (batch.length === recordsPerAppend || (batch.length > 0 && bytes + record.value.length > appendBytesMax)) {
        yield batch;
        batch = [];
        bytes = 0;
      }
      batch.push(record);
      bytes += record.value.length;
    }
    if (batch.length > 0) yield batch;
  }

  /**
   * Appends records. If the topic refuses one as too large, the others are still appended, and that one with fewer
   * reports.
   */
  async #append(records: readonly StateRecord[]): Promise<void> {
    try {
      await this.#eventLog.append(this.#topic, records);
    } catch (error) {
      if (!isTailraceError(error) || error.code !== 'too_large') throw error;
      if (records.length > 1) {
        const half = records.length >> 1;
        await this.#append(records.slice(0, half));
        await this.#append(records.slice(half));
      } else await this.#appendLess(records[0]!, error);
    }
  }

  async #appendLess({ device, at, value }: StateRecord, error: unknown): Promise<void> {
    const bytesMax = Math.max(stateBytesMin, Math.floor(value.length / 2));
    const record = this.#record(device, at, bytesMax);
    if (record.value.length >= value.length) {
      this.counts.refused++;
      this.#onRefused.write(() => ({ device: device.path, bytes: value.length, error }));
      return;
    }
    this.#stateBytesMax = Math.min(this.#stateBytesMax, bytesMax);
    await this.#append([record]);
  }

  #record(device: Device, at: StateAt, bytesMax: number = this.#stateBytesMax): StateRecord {
    const reports = device.lastValues().map(({ seq, bytes }) => ({ seq, report: bytes }));
    let left = reports.length;
    // A position takes at most eight bytes, and the tags and lengths of both fields another eight.
    for (let bytes = 0; left > 0; left--) {
      bytes += reports[left - 1]!.report.length + 16;
      // The newest report is always tried.
      if (bytes > bytesMax && left < reports.length) break;
    }
    if (left > 0) this.#truncate(device, left);
    const { intervalMs = 0, lastMs = 0 } = device.reportInterval ?? {};
    const lastSeq = Math.max(0, device.lastSeq);
    const state = { epoch: this.#epoch, ...at, reports: reports.slice(left), intervalMs, lastMs, lastSeq };
    return { key: device.path, value: DeviceState.encode(state).finish(), device, at };
  }

  #truncate({ path }: Device, reports: number): void {
    this.counts.truncated++;
    this.#onTruncated.write(() => ({ device: path, reports, bytesMax: this.#stateBytesMax }));
  }
}

/** The fields that all records of a batch have. */
interface StateAt {
  readonly generation: number;
  readonly previous: number;
  readonly next: number;
}

interface StateRecord extends NewRecord {
  readonly device: Device;
  readonly at: StateAt;
}
