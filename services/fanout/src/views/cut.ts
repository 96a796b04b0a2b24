import { effectiveTime } from '@tailrace/protocol/source-time';
import type { Coroutine } from '../catch-up/coroutine.ts';
import { LogReport } from '../channels/log-report.ts';
import type { Publication } from './publication.ts';

/** The time of a cut, and what may be missing in it. */
export interface CutMoment {
  /** Epoch ms by the clock of ingest. */
  readonly at: number;
  /** The partitions of which reports may be missing. */
  readonly missing: readonly number[];
}

/** The part of a cut that is of one partition. */
export interface PartitionCut {
  /** The last values as of the cut, by position; the same on every node. */
  readonly reports: readonly Publication[];
  /** Devices with a report that arrived after the cut to which it belongs. Each is named once. */
  readonly late: ReadonlySet<string>;
}

const none: ReadonlySet<string> = new Set();

/**
 * The tolerance between clocks. Ingest clocks that are further ahead do not delay the first cut, and their reports do
 * not wait for their own cut. If this node's clock is further back than the last cut, it was set back.
 */
const aheadMsMax = 10_000;
/**
 * The maximum of future cuts for which reports are held. Beyond it, where clocks are far ahead, the last one takes
 * them.
 */
const momentsMax = 256;
/** The memory of a held report in addition to its bytes: its entry, and those of its device and tags. */
const reportOverheadBytes = 512;
/** Devices merged in one step. */
const devicesPerStep = 256;

/**
 * Computes consistent cuts of a channel: its last values at each multiple of `alignMs` of ingest's time, so that
 * all nodes have the same cuts.
 *
 * A report belongs to the first cut at or after its time of receipt. The last value of a tag is the one with the newest
 * effective time, then with the highest position, as in `Device`, among the reports of this cut and the earlier ones.
 * The smallest set of whole reports that holds the last values is retained. Reports of a later cut are held as the last
 * values of that cut. So memory grows with the devices, not with their reports, whatever the interval of the cuts.
 *
 * A cut is due when each partition has passed it: the watermark shows that every report which ingest received before is
 * here. After `waitMs` the cut is due anyway, and names the partitions that had not passed it. Of the cuts that fell
 * due while the process was paused only the last one is made. If this node's clock is set back, the cuts go back with
 * it, and reports from a clock far ahead belong to the next cut.
 *
 * Usage: `addLastValue` for each known last value, `start`; then repeatedly `due`, `settle`, and `takePartition` for
 * each partition. Reports may be added before `start`, too.
 *
 * Has no side effects: the caller passes reports, watermarks and the time.
 */
export class Cutter {
  readonly alignMs: number;
  /** The time of the next cut, epoch ms. Undefined before `start`. */
  at: number | undefined;
  readonly #partitions: readonly number[];
  readonly #waitMs: number;
  readonly #now = new LastValues();
  /** Reports of later cuts, by the time of the cut. */
  readonly #later = new Map<number, LastValues>();
  /** By partition: see `PartitionCut.late`. */
  readonly #late = new Map<number, Set<string>>();
  /** By partition: the time of the last cut that took its reports. */
  readonly #takenAt = new Map<number, number>();
  #cutAt = Number.NEGATIVE_INFINITY;
  #latestMs = Number.NEGATIVE_INFINITY;

  constructor(options: { partitions: readonly number[]; alignMs: number; waitMs: number }) {
    this.alignMs = options.alignMs;
    this.#partitions = options.partitions;
    this.#waitMs = options.waitMs;
  }

  /** The memory of the reports held. */
  get bytes(): number {
    let { bytes } = this.#now;
    for (const later of this.#later.values()) bytes += later.bytes;
    return bytes;
  }

  /** Adds a known last value. Called before `start`. */
  addLastValue(publication: Publication): void {
    const receivedMs = receivedAt(publication);
    this.#latestMs = Math.max(this.#latestMs, receivedMs);
    this.#now.add(publication);
  }

  /** Starts with the first cut after `nowMs`. All last values have been added. */
  start(nowMs: number): void {
    // The value of a tag before its last report is not known any more.
    const from = Math.max(nowMs, Math.min(this.#latestMs, nowMs + aheadMsMax));
    this.at = this.#momentOf(from);
  }

  /** Adds a report; each once, those of a device in order. */
  add(publication: Publication): void {
    // A cut has last values.
    if (publication.report.historical === true) return;
    const receivedMs = receivedAt(publication);
    if (this.at === undefined) this.#latestMs = Math.max(this.#latestMs, receivedMs);
    if (receivedMs > this.#cutAt) {
      this.#laterAt(this.#momentOf(receivedMs)).add(publication);
      return;
    }
    // A report that arrives before its cut takes the partition is in that cut.
    if (receivedMs <= (this.#takenAt.get(publication.partition) ?? Number.NEGATIVE_INFINITY))
      this.#addLate(publication);
    this.#now.add(publication);
  }

  /**
   * Returns the cut that is due, and moves on to the next one. `watermarkOf`: of a partition, epoch ms; every report
   * that ingest received before is here.
   */
  due(watermarkOf: (partition: number) => number, nowMs: number): CutMoment | undefined {
    if (this.at === undefined) return undefined;
    this.#followClock(nowMs);
    const { at } = this;
    const isBehind = (moment: number) => (partition: number) => {
      const watermarkMs = watermarkOf(partition);
      // A watermark from before the clock was set back is not valid any more.
      return watermarkMs <= moment || watermarkMs > nowMs + aheadMsMax;
    };
    const isComplete = !this.#partitions.some(isBehind(at));
    if (nowMs < at + this.#waitMs) return isComplete ? this.#advanceTo(at, []) : undefined;
    const latest = Math.max(at, Math.floor((nowMs - this.#waitMs) / this.alignMs) * this.alignMs);
    const missing = this.#partitions.filter(isBehind(latest));
    return isComplete && missing.length > 0 ? this.#advanceTo(at, []) : this.#advanceTo(latest, missing);
  }

  /**
   * Moves the cuts back if the clock was set back. Clients ignore a cut of at most `aheadMsMax` before the last one.
   */
  #followClock(nowMs: number): void {
    const lastAt = this.#cutAt === Number.NEGATIVE_INFINITY ? this.at! - this.alignMs : this.#cutAt;
    const moment = this.#momentOf(nowMs);
    if (lastAt - moment <= aheadMsMax) return;
    this.at = moment;
    this.#cutAt = moment - this.alignMs;
    for (const [partition, at] of this.#takenAt) this.#takenAt.set(partition, Math.min(at, this.#cutAt));
  }

  /** Merges the held reports into the last values, up to the time of the cut, in steps. */
  *settle(): Coroutine {
    for (const [moment, later] of [...this.#later].sort(([a], [b]) => a - b)) {
      const aheadMs = moment - this.#cutAt;
      if (aheadMs > 0 && aheadMs <= this.alignMs + aheadMsMax) continue;
      this.#later.delete(moment);
      let left = devicesPerStep;
      for (const device of later.devices.values()) {
        this.#now.merge(device);
        if (--left > 0) continue;
        yield undefined;
        left = devicesPerStep;
      }
    }
  }

  /** Returns the part of one partition. A report that arrives after this call is in the next cut, and late there. */
  takePartition(partition: number): PartitionCut {
    const late = this.#late.get(partition) ?? none;
    this.#late.delete(partition);
    this.#takenAt.set(partition, this.#cutAt);
    return { reports: this.#now.reports(partition), late };
  }

  #addLate({ partition, report }: Publication): void {
    const late = this.#late.get(partition);
    if (late === undefined) this.#late.set(partition, new Set([report.device]));
    else late.add(report.device);
  }

  #advanceTo(at: number, missing: readonly number[]): CutMoment {
    this.#cutAt = at;
    // Computed from its number, not from the previous cut: sums of fractions would drift away from `#momentOf`.
    this.at = (Math.round(at / this.alignMs) + 1) * this.alignMs;
    return { at, missing };
  }

  #momentOf(receivedMs: number): number {
    return Math.ceil(receivedMs / this.alignMs) * this.alignMs;
  }

  #laterAt(moment: number): LastValues {
    let later = this.#later.get(moment);
    if (later !== undefined) return later;
    if (this.#later.size >= momentsMax) return this.#later.get(Math.max(...this.#later.keys()))!;
    later = new LastValues();
    this.#later.set(moment, later);
    return later;
  }
}

/** A report, and the number of its tags whose last value it has. */
interface RetainedReport {
  readonly publication: Publication;
  readonly bytes: number;
  tags: number;
}

/** The report with the last value of a tag, and its effective time, epoch ms. */
interface LastValue {
  retained: RetainedReport;
  timeMs: number;
}

interface RetainedDevice {
  readonly path: string;
  readonly tags: Map<string, LastValue>;
}

/**
 * The smallest set of whole reports that holds the last value of each tag, as in `Device`. Independent of their order.
 */
class LastValues {
  bytes = 0;
  readonly devices = new Map<string, RetainedDevice>();
  readonly #retained = new Map<number, Set<RetainedReport>>();

  add(publication: Publication): void {
    const { report } = publication;
    const { tags } = this.#device(report.device);
    const retained: RetainedReport = {
      publication: lasting(publication),
      bytes: publication.bytes.length + reportOverheadBytes,
      tags: 0,
    };
    for (const { tag, time } of report.readings) this.#put(tags, tag, retained, effectiveTime(report, time));
  }

  /** Adds all reports of a device that another instance holds. */
  merge({ path, tags: others }: RetainedDevice): void {
    const { tags } = this.#device(path);
    const merged = new Map<RetainedReport, RetainedReport>();
    for (const [tag, { retained: other, timeMs }] of others) {
      let retained = merged.get(other);
      if (retained === undefined) {
        retained = { ...other, tags: 0 };
        merged.set(other, retained);
      }
      this.#put(tags, tag, retained, timeMs);
    }
  }

  /** Returns the reports of one partition, by position. */
  reports(partition: number): Publication[] {
    const retained = this.#retained.get(partition);
    return retained === undefined
      ? []
      : Array.from(retained, ({ publication }) => publication).sort((a, b) => a.seq - b.seq);
  }

  #device(path: string): RetainedDevice {
    let device = this.devices.get(path);
    if (device === undefined) {
      device = { path, tags: new Map() };
      this.devices.set(path, device);
    }
    return device;
  }

  #put(tags: Map<string, LastValue>, tag: string, retained: RetainedReport, timeMs: number): void {
    const known = tags.get(tag);
    const before = known?.retained;
    if (known !== undefined && before !== undefined) {
      if (timeMs < known.timeMs) return;
      // Clocks of several ingests may differ: an earlier report may belong to a later cut.
      if (timeMs === known.timeMs && before.publication.seq >= retained.publication.seq) return;
      known.timeMs = timeMs;
      if (before === retained) return;
      known.retained = retained;
    } else tags.set(tag, { retained, timeMs });
    const partition = this.#partition(retained.publication.partition);
    if (retained.tags++ === 0) {
      partition.add(retained);
      this.bytes += retained.bytes;
    }
    if (before === undefined || --before.tags > 0) return;
    partition.delete(before);
    this.bytes -= before.bytes;
  }

  #partition(number: number): Set<RetainedReport> {
    let retained = this.#retained.get(number);
    if (retained === undefined) {
      retained = new Set();
      this.#retained.set(number, retained);
    }
    return retained;
  }
}

function lasting(publication: Publication): Publication {
  return publication instanceof LogReport ? publication.lasting : publication;
}

/** Returns the time of receipt. A report that ingest did not write has none: it belongs to the next cut. */
function receivedAt(publication: Publication): number {
  return publication.report.received ?? 0;
}
