import { type Clock, secondOf } from '@tailrace/platform/clock';
import { type Device, ReportInterval, type ReportIntervalLimits } from '../channels/device.ts';
import { type IdleState, offline, type Presences, stale } from './presences.ts';
import type { Progress } from './progress.ts';

export interface FreshnessLimits extends ReportIntervalLimits {
  /** A device is offline when it has not reported for this many times the time after which it is stale. */
  readonly offlineFactor: number;
}

/** The open session of a device. */
export interface OpenSession {
  readonly number: number;
  /** Monotonic ms. */
  readonly startedMs: number;
}

/** The part of a partition that `Freshness` needs to check its devices. */
interface CheckedPartition {
  readonly role: string;
  readonly devices: { get(path: string): Device | undefined };
  readonly progress: Pick<Progress, 'isCurrent' | 'sinceMs'>;
  setIdle(device: Device, state: IdleState): void;
}

/** Slots of the timing wheel, of one second each. */
const slots = 64;
const horizonSeconds = slots - 2;
/** After an outage, devices get at most this time to report again: ingest may have to recover, too. */
const graceMsMax = 60_000;
/** When a device is checked again whose partition is not read up to now. */
const retrySeconds = 2;

/**
 * Detects devices that are overdue by their report interval, in the partitions that this node owns. So the clients of
 * all nodes are sent the same.
 *
 * A timing wheel of seconds (Varghese and Lauck, 1987, scheme 4): each device is in the slot of the second in which it
 * would be overdue, or in the furthest slot. A report does not move it: the partition updates the report interval of
 * the device, and calls here only for a device that is in no slot. When its second is due it is checked, or moved to
 * the slot in which it would be overdue by now. So a device costs one check for each time that it may be idle, at least
 * one a minute.
 */
export class Freshness {
  readonly presences: Presences;
  /**
   * Returns the open session of a device: with one it is not offline, however long it has not reported, and stale no
   * earlier than if it had reported when the session started.
   */
  sessionOf: (device: Device) => OpenSession | undefined = () => undefined;
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly #limits: FreshnessLimits;
  #wheel: Device[][] = Array.from({ length: slots }, () => []);
  /** The last second that was checked. */
  #second: number;
  #nowSecond = 0;
  #nowMs = 0;

  constructor(clock: Pick<Clock, 'now' | 'monotonic'>, presences: Presences, limits: FreshnessLimits) {
    this.#clock = clock;
    this.presences = presences;
    this.#limits = limits;
    this.#second = secondOf(clock.monotonic());
    this.#tick();
  }

  #tick(): void {
    this.#nowSecond = secondOf(this.#clock.monotonic());
    this.#nowMs = this.#clock.now();
  }

  /** Schedules the first check of a device that has reported, and is in no slot. */
  schedule(device: Device, reportInterval: ReportInterval): void {
    this.#tick();
    this.#wait(device, reportInterval, this.#nowSecond + this.#allowedSeconds(reportInterval));
  }

  /** Determines when a device reported whose last report was read back. */
  onReadBack(reportInterval: ReportInterval): void {
    this.#tick();
    reportInterval.reportedSecond = this.#secondsAt(reportInterval.lastMs);
  }

  /** Takes the report interval that a previous owner measured. */
  restore(device: Device, intervalMs: number, lastMs: number): void {
    device.reportInterval ??= new ReportInterval();
    device.reportInterval.restore(intervalMs, lastMs);
    device.reportInterval.reportedSecond = this.#secondsAt(device.reportInterval.lastMs);
  }

  /** Starts to check the devices of a partition that this node serves from now on. */
  watch(devices: Iterable<Device>): void {
    this.#tick();
    for (const device of devices) {
      const { reportInterval } = device;
      if (reportInterval !== undefined && reportInterval.slot < 0)
        this.#wait(device, reportInterval, this.#nowSecond + 1);
    }
  }

  /** Checks the devices that are due. Called every second or more often. */
  check(partitions: readonly CheckedPartition[]): void {
    this.#tick();
    const from = Math.max(this.#second + 1, this.#nowSecond - slots + 1);
    for (let second = from; second <= this.#nowSecond; second++) {
      const place = second % slots;
      const due = this.#wheel[place]!;
      if (due.length === 0) continue;
      this.#wheel[place] = [];
      for (const device of due) this.#check(device, partitions[device.partition]!);
    }
    this.#second = this.#nowSecond;
  }

  #check(device: Device, partition: CheckedPartition): void {
    const reportInterval = device.reportInterval!;
    reportInterval.slot = -1;
    // Its next owner checks it.
    if (partition.role !== 'owned' || partition.devices.get(device.path) !== device) return;
    const nowMs = this.#clock.monotonic();
    const { progress } = partition;
    const allowedMs = reportInterval.allowedMs(this.#limits);
    if (allowedMs === undefined) this.#wait(device, reportInterval, this.#nowSecond + horizonSeconds);
    else if (!progress.isCurrent(nowMs)) this.#wait(device, reportInterval, this.#nowSecond + retrySeconds);
    else {
      const session = this.sessionOf(device);
      // The report was received some time within that second.
      const sessionMs = session?.startedMs ?? Number.NEGATIVE_INFINITY;
      const reportedMs = Math.max((reportInterval.reportedSecond + 1) * 1_000, sessionMs);
      const graceEndMs = progress.sinceMs + Math.min(allowedMs, graceMsMax);
      const staleAt = Math.max(reportedMs + allowedMs, graceEndMs);
      const offlineAt = Math.max(reportedMs + allowedMs * this.#limits.offlineFactor, graceEndMs);
      if (nowMs >= staleAt) {
        const isConnected = nowMs >= offlineAt && session !== undefined;
        const state = nowMs >= offlineAt && !isConnected ? offline : stale;
        const number = session === undefined ? {} : { session: session.number };
        partition.setIdle(device, { state, sinceMs: reportInterval.lastMs, seq: device.lastSeq, ...number });
        // Only a report or a session can change its state, and adds it to the wheel again.
        if (state === offline) return;
        if (isConnected) {
          this.#wait(device, reportInterval, this.#nowSecond + horizonSeconds);
          return;
        }
      }
      this.#wait(device, reportInterval, Math.ceil((nowMs >= staleAt ? offlineAt : staleAt) / 1_000));
    }
  }

  #wait(device: Device, reportInterval: ReportInterval, second: number): void {
    const at = Math.min(Math.max(second, this.#second + 1, this.#nowSecond), this.#nowSecond + horizonSeconds);
    reportInterval.slot = at % slots;
    this.#wheel[reportInterval.slot]!.push(device);
  }

  /** Returns the seconds until the first check. While the interval is unknown, twice the minimum. */
  #allowedSeconds(reportInterval: ReportInterval): number {
    return Math.ceil((reportInterval.allowedMs(this.#limits) ?? 2 * this.#limits.staleMsMin) / 1_000) + 1;
  }

  /** Returns the second of this node's monotonic clock at an epoch time. */
  #secondsAt(epochMs: number): number {
    return Math.min(this.#nowSecond, secondOf(this.#nowSecond * 1_000 - (this.#nowMs - epochMs)));
  }
}
