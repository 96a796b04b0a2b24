import type { Quality, Reading } from '@tailrace/protocol/report';
import type { Skipped, SkippedReason, TagSummary } from '@tailrace/protocol/skipped';
import { effectiveTime, type ReportTimes } from '@tailrace/protocol/source-time';

/** What conflation reads of a report; a `LogReport` is one. */
export interface Conflatable {
  readonly partition: number;
  readonly seq: number;
  readonly bytes: { readonly length: number };
  readonly report: ReportTimes & {
    readonly device: string;
    readonly readings: readonly Reading[];
    readonly historical?: boolean;
  };
}

/** The result of a conflation: fewer reports, each as its device sent it, and summaries of the others. */
export interface Conflated<T> {
  /** By partition, then by position. */
  readonly logReports: readonly T[];
  /** A summary for each device with skipped reports, by partition, then by position. */
  readonly skipped: readonly Skipped[];
}

/**
 * Conflates reports, which are in the order of their positions in each partition. Of each device it retains the
 * smallest set of reports that holds the last value of every tag, and every report in which the quality of a tag
 * changes. A tag that is reported for the first time counts as good before. Reports are never merged: each retained
 * report is as the device sent it, with its time and position.
 *
 * The last reading is the one with the newest effective time, as in `Device`. The summaries use the same order, so a
 * late report does not replace a newer one. A historical report is skipped: it has no last reading.
 *
 * Worked example: temperature 20 at 1, 90 at 2, 21 at 3 leaves the report at 3, and
 * `{from: 1, to: 2, count: 2, tags: [{tag: 'temperature', count: 3, first: 20, min: 20, max: 90, last: 21}]}`.
 */
export function conflate<T extends Conflatable>(logReports: readonly T[], reason: SkippedReason): Conflated<T> {
  const conflation = new Conflation<T>();
  for (const logReport of logReports) conflation.add(logReport);
  return conflation.take(reason);
}

/**
 * Conflates reports as they arrive: its memory grows with the tags of the devices, not with their reports. Between two
 * calls of `take` it remembers which tags are not good, so that their return to good is a change as well.
 */
export class Conflation<T extends Conflatable> {
  /** Limits of one device; beyond either the oldest reports are skipped, even where a quality changes in them. */
  static readonly reportsMax = 1000;
  static readonly bytesMax = 1_048_576;
  /**
   * Devices with a tag that is not good, remembered between two calls of `take`, and such tags of one device. The
   * return to good of a tag beyond these limits is no change.
   */
  static readonly notGoodDevicesMax = 10_000;
  static readonly notGoodTagsMax = 1_000;

  /** The size of all reports held, as encoded in the log, and of the summaries of their tags, estimated. */
  bytes = 0;
  readonly #devices = new Map<string, ConflatedDevice<T>>();
  readonly #notGood = new Map<string, ReadonlyMap<string, Quality>>();

  get isEmpty(): boolean {
    return this.#devices.size === 0;
  }

  /** Returns the partitions of the reports held. */
  partitions(): Set<number> {
    return new Set([...this.#devices.values()].map(({ partition }) => partition));
  }

  /** Adds a report. Positions of a device only grow. */
  add(logReport: T): void {
    const path = logReport.report.device;
    let device = this.#devices.get(path);
    if (device === undefined) {
      device = new ConflatedDevice(logReport.partition, path, this.#notGood.get(path));
      this.#devices.set(path, device);
    }
    const before = device.bytes;
    device.add(logReport);
    this.bytes += device.bytes - before;
  }

  /** Removes and returns what is held. `reason`: why it was not sent as it came. */
  take(reason: SkippedReason): Conflated<T> {
    const logReports: T[] = [];
    const skipped: Skipped[] = [];
    for (const [path, device] of this.#devices) {
      for (const retained of device.retained) logReports.push(retained.logReport);
      const left = device.skipped(reason);
      if (left !== undefined) skipped.push(left);
      this.#rememberNotGood(path, device);
    }
    this.#devices.clear();
    this.bytes = 0;
    logReports.sort((a, b) => a.partition - b.partition || a.seq - b.seq);
    skipped.sort((a, b) => a.partition - b.partition || a.from - b.from);
    return { logReports, skipped };
  }

  /** Forgets everything. */
  clear(): void {
    this.#devices.clear();
    this.#notGood.clear();
    this.bytes = 0;
  }

  #rememberNotGood(path: string, device: ConflatedDevice<T>): void {
    const notGood = device.notGood();
    this.#notGood.delete(path);
    if (notGood.size === 0) return;
    this.#notGood.set(path, notGood);
    if (this.#notGood.size > Conflation.notGoodDevicesMax) this.#notGood.delete(this.#notGood.keys().next().value!);
  }
}

/** The size of the summary of one tag in a frame and in memory, estimated. */
const tagBytes = 64;

/** A report that is not skipped so far. */
interface RetainedReport<T> {
  readonly logReport: T;
  /** The number of tags whose last value it has. */
  lastValueCount: number;
  /** Whether a quality changes in it. */
  readonly changesQuality: boolean;
}

interface Tag<T> {
  count: number;
  quality: Quality;
  /** Effective time of its last value, epoch ms. */
  timeMs: number;
  /** The report with its last value. */
  retained: RetainedReport<T> | undefined;
  /** The summary of its numbers; undefined before the first. */
  numbers: Numbers | undefined;
}

/** The summary of the numbers of a tag. First and last are by effective time. */
interface Numbers {
  first: number;
  firstMs: number;
  min: number;
  max: number;
  last: number;
  lastMs: number;
}

class ConflatedDevice<T extends Conflatable> {
  bytes = 0;
  /** Oldest first. */
  readonly retained = new Set<RetainedReport<T>>();
  readonly partition: number;
  readonly #path: string;
  readonly #qualitiesBefore: ReadonlyMap<string, Quality> | undefined;
  readonly #tags = new Map<string, Tag<T>>();
  #count = 0;
  #from = Number.POSITIVE_INFINITY;
  #to = -1;

  constructor(partition: number, path: string, qualitiesBefore: ReadonlyMap<string, Quality> | undefined) {
    this.partition = partition;
    this.#path = path;
    this.#qualitiesBefore = qualitiesBefore;
  }

  add(logReport: T): void {
    const { report } = logReport;
    const { readings } = report;
    const isHistorical = report.historical === true;
    const retained: RetainedReport<T> = {
      logReport,
      lastValueCount: 0,
      changesQuality: !isHistorical && this.#hasQualityChange(readings),
    };
    this.retained.add(retained);
    this.bytes += logReport.bytes.length;
    for (const reading of readings) {
      const tag = this.#tag(reading.tag);
      const timeMs = effectiveTime(report, reading.time);
      addToSummary(tag, reading, timeMs);
      if (isHistorical || timeMs < tag.timeMs) continue;
      tag.timeMs = timeMs;
      tag.quality = reading.quality ?? 'good';
      if (tag.retained === retained) continue;
      const older = tag.retained;
      retained.lastValueCount++;
      tag.retained = retained;
      if (older !== undefined && --older.lastValueCount === 0 && !older.changesQuality) this.#skip(older);
    }
    if (retained.lastValueCount === 0 && !retained.changesQuality) this.#skip(retained);
    while (this.retained.size > Conflation.reportsMax || (this.bytes > Conflation.bytesMax && this.retained.size > 1)) {
      this.#forget(this.retained.values().next().value!);
    }
  }

  skipped(reason: SkippedReason): Skipped | undefined {
    if (this.#count === 0) return undefined;
    return {
      partition: this.partition,
      device: this.#path,
      from: this.#from,
      to: this.#to,
      count: this.#count,
      reason,
      tags: [...this.#tags].map(([tag, { count, numbers }]): TagSummary => {
        if (numbers === undefined) return { tag, count };
        const { first, min, max, last } = numbers;
        return { tag, count, first, min, max, last };
      }),
    };
  }

  /** Returns the current quality of each tag that is not good. */
  notGood(): ReadonlyMap<string, Quality> {
    const notGood = new Map(this.#qualitiesBefore);
    for (const [tag, { quality }] of this.#tags) {
      if (quality === 'good') notGood.delete(tag);
      else if (notGood.size < Conflation.notGoodTagsMax || notGood.has(tag)) notGood.set(tag, quality);
    }
    return notGood;
  }

  /** Returns whether a quality changes. A report may have a tag twice. */
  #hasQualityChange(readings: readonly Reading[]): boolean {
    const seen = new Map<string, Quality>();
    for (const { tag, quality = 'good' } of readings) {
      const before = seen.get(tag) ?? this.#tags.get(tag)?.quality ?? this.#qualitiesBefore?.get(tag) ?? 'good';
      if (quality !== before) return true;
      seen.set(tag, quality);
    }
    return false;
  }

  #tag(name: string): Tag<T> {
    let tag = this.#tags.get(name);
    if (tag === undefined) {
      tag = { count: 0, quality: 'good', timeMs: Number.NEGATIVE_INFINITY, retained: undefined, numbers: undefined };
      this.#tags.set(name, tag);
      this.bytes += tagBytes;
    }
    return tag;
  }

  #skip(retained: RetainedReport<T>): void {
    this.retained.delete(retained);
    const { seq, bytes } = retained.logReport;
    this.bytes -= bytes.length;
    this.#count++;
    this.#from = Math.min(this.#from, seq);
    this.#to = Math.max(this.#to, seq);
  }

  /** As `#skip`, and forgets the tags whose last value it had. */
  #forget(retained: RetainedReport<T>): void {
    this.#skip(retained);
    for (const { tag } of retained.logReport.report.readings) {
      if (this.#tags.get(tag)?.retained !== retained) continue;
      this.#tags.delete(tag);
      this.bytes -= tagBytes;
    }
  }
}

function addToSummary(tag: Tag<unknown>, { value }: Reading, timeMs: number): void {
  tag.count++;
  if (typeof value !== 'number') return;
  const { numbers } = tag;
  if (numbers === undefined) {
    tag.numbers = { first: value, firstMs: timeMs, min: value, max: value, last: value, lastMs: timeMs };
    return;
  }
  numbers.min = Math.min(numbers.min, value);
  numbers.max = Math.max(numbers.max, value);
  if (timeMs < numbers.firstMs) {
    numbers.first = value;
    numbers.firstMs = timeMs;
  } else if (timeMs >= numbers.lastMs) {
    numbers.last = value;
    numbers.lastMs = timeMs;
  }
}
