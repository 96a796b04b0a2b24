import type { Clock } from '@tailrace/platform/clock';
import { type Device, ReportInterval, type ReportIntervalLimits } from '../channels/device.ts';
import { offline, type Presences, type Silence, stale } from './presences.ts';
import type { Progress } from './progress.ts';

export interface FreshnessLimits extends ReportIntervalLimits {
  /** A device is offline when it has been silent for so many times what made it stale. */
  readonly offlineFactor: number;
}

/** The part of a partition that decides whether its devices are judged. */
interface JudgedPartition {
  readonly role: string;
  readonly devices: { get(path: string): Device | undefined };
  readonly progress: Pick<Progress, 'isCurrent' | 'sinceMs'>;
  silence(device: Device, silence: Silence): void;
}

/** Seconds ahead for which there are places to wait. */
const slots = 64;
const horizonSeconds = slots - 2;
/** What devices are given at most to speak again after the partition could not be heard: ingest, too, may have to come back. */
const graceMsMax = 60_000;
/** After a look in vain, because the partition is not read up to now. */
const blindSeconds = 2;

/**
 * Judges whether devices speak as their rhythm has it, for the partitions that this node owns: so all clients, wherever they are, are told the same.
 *
 * A timing wheel of seconds (Varghese and Lauck, 1987, scheme 4): each device waits in the place of the second in which it would be overdue, or of the furthest
 * one. A report does not move it. When its second comes it is judged, or put where it would be overdue by now. So what is paid is a few
 * nanoseconds for a report, and one look at a device for each span that it may be silent, at least one a minute.
 */
export class Freshness {
  readonly presences: Presences;
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly #limits: FreshnessLimits;
  #wheel: Device[][] = Array.from({ length: slots }, () => []);
  /** The last second that was looked at. */
  #second: number;
  #nowSecond = 0;
  #nowMs = 0;

  constructor(clock: Pick<Clock, 'now' | 'monotonic'>, presences: Presences, limits: FreshnessLimits) {
    this.#clock = clock;
    this.presences = presences;
    this.#limits = limits;
    this.#second = secondOf(clock.monotonic());
    this.moment();
  }

  /** Reports that are heard from here on are heard now. Answers now, epoch ms. Once a batch. */
  moment(): number {
    this.#nowSecond = secondOf(this.#clock.monotonic());
    this.#nowMs = this.#clock.now();
    return this.#nowMs;
  }

  /** A report of a device, and when ingest took it; `live`: it was read as it came, and not read back. */
  heard(device: Device, receivedMs: number, live: boolean): void {
    device.reportInterval ??= new ReportInterval();
    const { reportInterval } = device;
    reportInterval.heard(receivedMs);
    if (live) {
      reportInterval.heardSecond = this.#nowSecond;
      if (reportInterval.slot < 0)
        this.#wait(device, reportInterval, this.#nowSecond + this.#allowedSeconds(reportInterval));
    } else reportInterval.heardSecond = this.#secondsAt(reportInterval.lastMs);
  }

  /** What an owner before had learnt of a device. */
  restore(device: Device, intervalMs: number, lastMs: number): void {
    device.reportInterval ??= new ReportInterval();
    device.reportInterval.restore(intervalMs, lastMs);
    device.reportInterval.heardSecond = this.#secondsAt(device.reportInterval.lastMs);
  }

  /** This node serves a partition from now on. */
  watch(devices: Iterable<Device>): void {
    this.moment();
    for (const device of devices) {
      const { reportInterval } = device;
      if (reportInterval !== undefined && reportInterval.slot < 0)
        this.#wait(device, reportInterval, this.#nowSecond + 1);
    }
  }

  /** Every second or more often: judges the devices that are due. */
  look(partitions: readonly JudgedPartition[]): void {
    this.moment();
    const from = Math.max(this.#second + 1, this.#nowSecond - slots + 1);
    for (let second = from; second <= this.#nowSecond; second++) {
      const place = second % slots;
      const due = this.#wheel[place]!;
      if (due.length === 0) continue;
      this.#wheel[place] = [];
      for (const device of due) this.#judge(device, partitions[device.partition]!);
    }
    this.#second = this.#nowSecond;
  }

  #judge(device: Device, partition: JudgedPartition): void {
    const reportInterval = device.reportInterval!;
    reportInterval.slot = -1;
    // Its next owner judges it.
    if (partition.role !== 'owned' || partition.devices.get(device.path) !== device) return;
    const nowMs = this.#clock.monotonic();
    const { progress } = partition;
    const allowedMs = reportInterval.allowedMs(this.#limits);
    if (allowedMs === undefined) this.#wait(device, reportInterval, this.#nowSecond + horizonSeconds);
    else if (!progress.isCurrent(nowMs)) this.#wait(device, reportInterval, this.#nowSecond + blindSeconds);
    else {
      // Some time within that second.
      const heardMs = (reportInterval.heardSecond + 1) * 1_000;
      const hearsSinceMs = progress.sinceMs + Math.min(allowedMs, graceMsMax);
      const staleAt = Math.max(heardMs + allowedMs, hearsSinceMs);
      const offlineAt = Math.max(heardMs + allowedMs * this.#limits.offlineFactor, hearsSinceMs);
      if (nowMs >= staleAt) {
        const state = nowMs >= offlineAt ? offline : stale;
        partition.silence(device, { state, sinceMs: reportInterval.lastMs, seq: device.lastSeq });
        // Nothing can change but by a report, which puts it here again.
        if (state === offline) return;
      }
      this.#wait(device, reportInterval, Math.ceil((nowMs >= staleAt ? offlineAt : staleAt) / 1_000));
    }
  }

  #wait(device: Device, reportInterval: ReportInterval, second: number): void {
    const at = Math.min(Math.max(second, this.#second + 1, this.#nowSecond), this.#nowSecond + horizonSeconds);
    reportInterval.slot = at % slots;
    this.#wheel[reportInterval.slot]!.push(device);
  }

  /** Before the first judgement is possible, as long as it takes to be judged by the least. */
  #allowedSeconds(reportInterval: ReportInterval): number {
    return Math.ceil((reportInterval.allowedMs(this.#limits) ?? 2 * this.#limits.staleMsMin) / 1_000) + 1;
  }

  /** The second of this node's monotonic clock at an epoch time. */
  #secondsAt(epochMs: number): number {
    return Math.min(this.#nowSecond, secondOf(this.#nowSecond * 1_000 - (this.#nowMs - epochMs)));
  }
}

function secondOf(ms: number): number {
  return Math.floor(ms / 1_000);
}
