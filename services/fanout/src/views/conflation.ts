import type { Quality, Reading } from '@tailrace/protocol/report';
import type { Skipped, SkippedReason, TagSummary } from '@tailrace/protocol/skipped';
import { effectiveTime, type ReportTimes } from '@tailrace/protocol/source-time';

/** What conflation needs to know of a report; an `LogReport` is one. */
export interface Conflatable {
  readonly partition: number;
  readonly seq: number;
  readonly bytes: { readonly length: number };
  readonly report: ReportTimes & { readonly device: string; readonly readings: readonly Reading[] };
}

/** What is left of many reports: fewer, each as its device sent it, and the sum of those left out. */
export interface Conflated<T> {
  /** By partition, then by position. */
  readonly logReports: readonly T[];
  /** One for each device of which something was left out, by partition, then by position. */
  readonly skipped: readonly Skipped[];
}

/**
 * What stands for these reports, which are in the order of their positions in each partition: of each device the smallest set that holds the last
 * value of every tag, and every report in which the quality of a tag is other than in the reading before. A tag that comes
 * for the first time counts as good before. Nothing is merged: what is kept says what the device said, at its time and position.
 *
 * Last is the reading with the newest effective time, as in `Device`, and the sums go by that, too: a late report does
 * not stand for a newer one.
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
 * Reports that gather, conflated as they come: what it holds grows with the tags of the devices, not with their reports. It remembers between
 * two takes which tags are not good, so that their way back is a change, too.
 */
export class Conflation<T extends Conflatable> {
  /** Of one device; beyond either the oldest are left out, even where a quality changes in them. */
  static readonly reportsMax = 1000;
  static readonly bytesMax = 1_048_576;
  /**
   * Devices with a tag that is not good, remembered between takes, and such tags of one. Of one forgotten the way back
   * to good is no change.
   */
  static readonly troubledMax = 10_000;
  static readonly troubledTagsMax = 1_000;

  /** Of all reports held, as they lie in the log, and about what the sums of their tags take. */
  bytes = 0;
  readonly #devices = new Map<string, ConflatedDevice<T>>();
  readonly #troubled = new Map<string, ReadonlyMap<string, Quality>>();

  get empty(): boolean {
    return this.#devices.size === 0;
  }

  /** Positions of a device only grow. */
  add(logReport: T): void {
    const path = logReport.report.device;
    let device = this.#devices.get(path);
    if (device === undefined) {
      device = new ConflatedDevice(logReport.partition, path, this.#troubled.get(path));
      this.#devices.set(path, device);
    }
    const before = device.bytes;
    device.add(logReport);
    this.bytes += device.bytes - before;
  }

  /** What there is, and nothing of it again. `reason` why it was not sent as it came. */
  take(reason: SkippedReason): Conflated<T> {
    const logReports: T[] = [];
    const skipped: Skipped[] = [];
    for (const [path, device] of this.#devices) {
      for (const kept of device.kept) logReports.push(kept.logReport);
      const left = device.skipped(reason);
      if (left !== undefined) skipped.push(left);
      this.#remember(path, device);
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
    this.#troubled.clear();
    this.bytes = 0;
  }

  #remember(path: string, device: ConflatedDevice<T>): void {
    const troubled = device.troubled();
    this.#troubled.delete(path);
    if (troubled.size === 0) return;
    this.#troubled.set(path, troubled);
    if (this.#troubled.size > Conflation.troubledMax) this.#troubled.delete(this.#troubled.keys().next().value!);
  }
}

/** What the sum of one tag takes in a frame and here, about. */
const tagBytes = 64;

/** A report that is not left out, yet. */
interface Kept<T> {
  readonly logReport: T;
  /** Tags whose last value it has. */
  open: number;
  /** A quality changes in it. */
  readonly turns: boolean;
}

interface Tag<T> {
  count: number;
  quality: Quality;
  /** Effective time of its last value, epoch ms. */
  timeMs: number;
  /** Where its last value is. */
  kept: Kept<T> | undefined;
  /** Of its numbers; undefined before the first. */
  numbers: Numbers | undefined;
}

/** First and last by effective time. */
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
  readonly kept = new Set<Kept<T>>();
  readonly #partition: number;
  readonly #path: string;
  readonly #before: ReadonlyMap<string, Quality> | undefined;
  readonly #tags = new Map<string, Tag<T>>();
  #count = 0;
  #from = Number.POSITIVE_INFINITY;
  #to = -1;

  constructor(partition: number, path: string, before: ReadonlyMap<string, Quality> | undefined) {
    this.#partition = partition;
    this.#path = path;
    this.#before = before;
  }

  add(logReport: T): void {
    const { report } = logReport;
    const { readings } = report;
    const kept: Kept<T> = { logReport, open: 0, turns: this.#turns(readings) };
    this.kept.add(kept);
    this.bytes += logReport.bytes.length;
    for (const reading of readings) {
      const tag = this.#tag(reading.tag);
      const timeMs = effectiveTime(report, reading.time);
      note(tag, reading, timeMs);
      if (timeMs < tag.timeMs) continue;
      tag.timeMs = timeMs;
      tag.quality = reading.quality ?? 'good';
      if (tag.kept === kept) continue;
      const older = tag.kept;
      kept.open++;
      tag.kept = kept;
      if (older !== undefined && --older.open === 0 && !older.turns) this.#leaveOut(older);
    }
    if (kept.open === 0 && !kept.turns) this.#leaveOut(kept);
    while (this.kept.size > Conflation.reportsMax || (this.bytes > Conflation.bytesMax && this.kept.size > 1)) {
      this.#forget(this.kept.values().next().value!);
    }
  }

  skipped(reason: SkippedReason): Skipped | undefined {
    if (this.#count === 0) return undefined;
    return {
      partition: this.#partition,
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

  /** Tags that are not good as of now. */
  troubled(): ReadonlyMap<string, Quality> {
    const troubled = new Map(this.#before);
    for (const [tag, { quality }] of this.#tags) {
      if (quality === 'good') troubled.delete(tag);
      else if (troubled.size < Conflation.troubledTagsMax || troubled.has(tag)) troubled.set(tag, quality);
    }
    return troubled;
  }

  /** Whether a quality is other than before. A report may bring a tag twice. */
  #turns(readings: readonly Reading[]): boolean {
    const here = new Map<string, Quality>();
    for (const { tag, quality = 'good' } of readings) {
      const before = here.get(tag) ?? this.#tags.get(tag)?.quality ?? this.#before?.get(tag) ?? 'good';
      if (quality !== before) return true;
      here.set(tag, quality);
    }
    return false;
  }

  #tag(name: string): Tag<T> {
    let tag = this.#tags.get(name);
    if (tag === undefined) {
      tag = { count: 0, quality: 'good', timeMs: Number.NEGATIVE_INFINITY, kept: undefined, numbers: undefined };
      this.#tags.set(name, tag);
      this.bytes += tagBytes;
    }
    return tag;
  }

  #leaveOut(kept: Kept<T>): void {
    this.kept.delete(kept);
    const { seq, bytes } = kept.logReport;
    this.bytes -= bytes.length;
    this.#count++;
    this.#from = Math.min(this.#from, seq);
    this.#to = Math.max(this.#to, seq);
  }

  /** As `#leaveOut`; the tags whose last value it had are known no more. */
  #forget(kept: Kept<T>): void {
    this.#leaveOut(kept);
    for (const { tag } of kept.logReport.report.readings) {
      if (this.#tags.get(tag)?.kept !== kept) continue;
      this.#tags.delete(tag);
      this.bytes -= tagBytes;
    }
  }
}

function note(tag: Tag<unknown>, { value }: Reading, timeMs: number): void {
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
