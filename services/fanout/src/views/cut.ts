import { effectiveTime } from '@tailrace/protocol/source-time';
import type { Steps } from '../catch-up/steps.ts';
import { LogReport } from '../channels/log-report.ts';
import type { Publication } from './publication.ts';

/** When a cut is, and what may not be in it. */
export interface CutMoment {
  /** Epoch ms by ingest's clock. */
  readonly at: number;
  /** Partitions of which reports may be missing. */
  readonly missing: readonly number[];
}

/** What a cut has of one partition. */
export interface Taken {
  /** The last values as of the cut, by position: the same on every node. */
  readonly reports: readonly Publication[];
  /** Devices of which a report of an earlier cut came after that cut, each named once. */
  readonly late: ReadonlySet<string>;
}

const none: ReadonlySet<string> = new Set();

/**
 * A clock of an ingest that is further ahead than this does not decide when the first cut is, nor do its reports wait
 * for it. A clock of this node that is further back was set back.
 */
const aheadMsMax = 10_000;
/** Moments for which reports may wait. More only where clocks are far ahead: then they wait for the last of these. */
const momentsMax = 256;
/** What a report costs here beside its bytes: its entry, its device's and its tags'. */
const reportOverheadBytes = 512;
/** Devices brought to a moment in one step. */
const devicesPerStep = 256;

/**
 * Everything of a channel as of one moment after another: at each multiple of `alignMs` of ingest's time, so that all
 * who cut, cut at the same moments.
 *
 * A report belongs to the first cut that is not before it was received. The last value of a tag is the one of the
 * newest effective time, then of the highest position, as in `Device`, among those that belong to the cut or to one
 * before; what is kept is the smallest set of whole reports that holds them. What came for a later cut waits, as the
 * last values of that moment: so what is held grows with the devices, not with their reports, however far apart the
 * moments are.
 *
 * A cut is due when each partition has passed it: its watermark says that all that ingest took until then is here.
 * After `waitMs` it is due anyway, and names those that had not. Of the moments that passed while the process stood
 * still only the last one has a cut. Where this node's clock is set back, the moments go back with it, and what a clock
 * far ahead has marked belongs to the next cut.
 *
 * In order: `learn` the last values that are known, `start`; then, again and again, `due`, `settle`, and
 * `takePartition` of each. News are taken from the beginning on.
 *
 * Pure: told of reports, asked with watermarks and the time.
 */
export class Cutter {
  readonly alignMs: number;
  /** The next moment, epoch ms. Undefined before `start`. */
  at: number | undefined;
  readonly #partitions: readonly number[];
  readonly #waitMs: number;
  readonly #now = new LastValues();
  /** What waits, by moment. */
  readonly #later = new Map<number, LastValues>();
  /** By partition: see `Taken.late`. */
  readonly #late = new Map<number, Set<string>>();
  /** By partition: the moment of the last cut that took its reports. */
  readonly #takenAt = new Map<number, number>();
  #cutAt = Number.NEGATIVE_INFINITY;
  #latestMs = Number.NEGATIVE_INFINITY;

  constructor(options: { partitions: readonly number[]; alignMs: number; waitMs: number }) {
    this.alignMs = options.alignMs;
    this.#partitions = options.partitions;
    this.#waitMs = options.waitMs;
  }

  /** Of the reports held, with what it costs to hold them. */
  get bytes(): number {
    let { bytes } = this.#now;
    for (const later of this.#later.values()) bytes += later.bytes;
    return bytes;
  }

  /** A last value, before `start`. */
  learn(shown: Publication): void {
    const receivedMs = receivedAt(shown);
    this.#latestMs = Math.max(this.#latestMs, receivedMs);
    this.#now.keep(shown);
  }

  /** All last values have been learned. */
  start(nowMs: number): void {
    // Of a tag that was reported again before this moment the value at an earlier one is not known any more.
    const from = Math.max(nowMs, Math.min(this.#latestMs, nowMs + aheadMsMax));
    this.at = this.#momentOf(from);
  }

  /** A report that came; each once, of one device in order. */
  take(shown: Publication): void {
    const receivedMs = receivedAt(shown);
    if (this.at === undefined) this.#latestMs = Math.max(this.#latestMs, receivedMs);
    if (receivedMs > this.#cutAt) {
      this.#laterAt(this.#momentOf(receivedMs)).keep(shown);
      return;
    }
    // One that comes before its cut takes the partition is in that cut.
    if (receivedMs <= (this.#takenAt.get(shown.partition) ?? Number.NEGATIVE_INFINITY)) this.#lateIn(shown);
    this.#now.keep(shown);
  }

  /**
   * The cut that is due, if any; the next one is after it. `watermarkOf` a partition: what ingest took before is here;
   * epoch ms.
   */
  due(watermarkOf: (partition: number) => number, nowMs: number): CutMoment | undefined {
    if (this.at === undefined) return undefined;
    this.#followClock(nowMs);
    const { at } = this;
    const isBehind = (moment: number) => (partition: number) => {
      const watermarkMs = watermarkOf(partition);
      // One of before the clock was set back does not say what is here now.
      return watermarkMs <= moment || watermarkMs > nowMs + aheadMsMax;
    };
    const isComplete = !this.#partitions.some(isBehind(at));
    if (nowMs < at + this.#waitMs) return isComplete ? this.#turnTo(at, []) : undefined;
    const latest = Math.max(at, Math.floor((nowMs - this.#waitMs) / this.alignMs) * this.alignMs);
    const missing = this.#partitions.filter(isBehind(latest));
    return isComplete && missing.length > 0 ? this.#turnTo(at, []) : this.#turnTo(latest, missing);
  }

  /** The clock may have been set back. Clients take no cut of at most `aheadMsMax` before the last one. */
  #followClock(nowMs: number): void {
    const lastAt = this.#cutAt === Number.NEGATIVE_INFINITY ? this.at! - this.alignMs : this.#cutAt;
    const moment = this.#momentOf(nowMs);
    if (lastAt - moment <= aheadMsMax) return;
    this.at = moment;
    this.#cutAt = moment - this.alignMs;
    for (const [partition, at] of this.#takenAt) this.#takenAt.set(partition, Math.min(at, this.#cutAt));
  }

  /** Brings the last values to the moment of the cut, in steps. */
  *settle(): Steps {
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

  /**
   * What the cut has of one partition. Both at once: a report that comes after it is in the next cut, and is late
   * there.
   */
  takePartition(partition: number): Taken {
    const late = this.#late.get(partition) ?? none;
    this.#late.delete(partition);
    this.#takenAt.set(partition, this.#cutAt);
    return { reports: this.#now.reports(partition), late };
  }

  #lateIn({ partition, report }: Publication): void {
    const late = this.#late.get(partition);
    if (late === undefined) this.#late.set(partition, new Set([report.device]));
    else late.add(report.device);
  }

  #turnTo(at: number, missing: readonly number[]): CutMoment {
    this.#cutAt = at;
    // From its number, not from the one before: sums of fractions drift away from what `#momentOf` says.
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

/** A report that is kept, and how many of its tags no later report has brought again. */
interface Kept {
  readonly shown: Publication;
  readonly bytes: number;
  tags: number;
}

/** Where the last value of a tag is, and its effective time, epoch ms. */
interface LastValue {
  kept: Kept;
  timeMs: number;
}

interface KeptDevice {
  readonly path: string;
  readonly tags: Map<string, LastValue>;
}

/**
 * The smallest set of whole reports that holds the last value of each tag. As `Device` chooses them, whatever the order
 * in which they come.
 */
class LastValues {
  bytes = 0;
  readonly devices = new Map<string, KeptDevice>();
  readonly #kept = new Map<number, Set<Kept>>();

  keep(shown: Publication): void {
    const { report } = shown;
    const { tags } = this.#device(report.device);
    const kept: Kept = { shown: lasting(shown), bytes: shown.bytes.length + reportOverheadBytes, tags: 0 };
    for (const { tag, time } of report.readings) this.#put(tags, tag, kept, effectiveTime(report, time));
  }

  /** As `keep` for all that another one has of a device. */
  merge({ path, tags: others }: KeptDevice): void {
    const { tags } = this.#device(path);
    const merged = new Map<Kept, Kept>();
    for (const [tag, { kept: other, timeMs }] of others) {
      let kept = merged.get(other);
      if (kept === undefined) {
        kept = { ...other, tags: 0 };
        merged.set(other, kept);
      }
      this.#put(tags, tag, kept, timeMs);
    }
  }

  /** Of one partition, by position. */
  reports(partition: number): Publication[] {
    const kept = this.#kept.get(partition);
    return kept === undefined ? [] : Array.from(kept, ({ shown }) => shown).sort((a, b) => a.seq - b.seq);
  }

  #device(path: string): KeptDevice {
    let device = this.devices.get(path);
    if (device === undefined) {
      device = { path, tags: new Map() };
      this.devices.set(path, device);
    }
    return device;
  }

  #put(tags: Map<string, LastValue>, tag: string, kept: Kept, timeMs: number): void {
    const known = tags.get(tag);
    const before = known?.kept;
    if (known !== undefined && before !== undefined) {
      if (timeMs < known.timeMs) return;
      // Clocks of several ingests may differ: an earlier report may belong to a later cut.
      if (timeMs === known.timeMs && before.shown.seq >= kept.shown.seq) return;
      known.timeMs = timeMs;
      if (before === kept) return;
      known.kept = kept;
    } else tags.set(tag, { kept, timeMs });
    const partition = this.#partition(kept.shown.partition);
    if (kept.tags++ === 0) {
      partition.add(kept);
      this.bytes += kept.bytes;
    }
    if (before === undefined || --before.tags > 0) return;
    partition.delete(before);
    this.bytes -= before.bytes;
  }

  #partition(number: number): Set<Kept> {
    let kept = this.#kept.get(number);
    if (kept === undefined) {
      kept = new Set();
      this.#kept.set(number, kept);
    }
    return kept;
  }
}

function lasting(shown: Publication): Publication {
  return shown instanceof LogReport ? shown.lasting : shown;
}

/** What something else than ingest wrote has no such time: it belongs to the next cut. */
function receivedAt(shown: Publication): number {
  return shown.report.received ?? 0;
}
