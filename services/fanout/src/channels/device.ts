import { tenantOf } from '@tailrace/protocol/path';
import { hasReadingTags } from '@tailrace/protocol/report-header';
import { effectiveTime } from '@tailrace/protocol/source-time';
import type { Channel } from './channels.ts';
import { LogReport, type Packed } from './log-report.ts';
import { TagIndex } from './tag-index.ts';

/** A report, and its tags whose last value it has. */
interface RetainedReport {
  readonly seq: number;
  readonly report: Packed;
  readonly tags: readonly string[];
  /** Effective time of those readings, epoch ms: of all together, or of each. */
  readonly times: number | readonly number[];
}

const noChannels: readonly Channel[] = Object.freeze([]);
const noReports: readonly RetainedReport[] = Object.freeze([]);

/**
 * A device with more tags than this, in more than one report, has an index of them. The index takes 1 KB, and a linear
 * search of so few tags 0.2 µs.
 */
const unindexedTagsMax = 16;

/** Heap bytes of a kept report; measured. */
function keptBytes(report: Packed): number {
  return 140 + report.length;
}

/** Interned lists of tags: thousands of machines of one kind send the same. When full, the first one is evicted. */
const tagLists = new Map<string, readonly string[]>();
const tagListsMax = 1_000;
const tagListCharactersMax = 2_000;

/**
 * The last values of one device: the smallest set of its reports with the last value of every tag, by position.
 *
 * The last value of a tag is the reading with the newest effective time (see `effectiveTime`). Of equal times, the
 * later position wins, and in one report the later reading. So a late report replaces nothing newer, and a
 * historical one nothing at all. Whole reports are kept, not merged values, so that a snapshot has only reports of the
 * device, with their own time and position.
 *
 * A device that sends all its tags each time costs one report; one that sends them singly costs one report a tag.
 * Beyond `tagsPerDeviceMax` tags the tag reported longest ago is evicted, beyond `bytesMax` the oldest report.
 */
export class Device {
  /**
   * Two of the largest reports, and the limit of a record in the state topic. Without it, a device whose reports each
   * add one tag would take 250 MB.
   */
  static readonly bytesMax = 524_288;

  readonly path: string;
  readonly partition: number;
  /** Cache of the channels that cover this device, valid for `channelsVersion` of `Channels.version`. */
  channels: readonly Channel[] = noChannels;
  channelsVersion = -1;
  /** Cache: whether another node has interest in this device, valid for `interestVersion` of the partition. */
  wantedElsewhere = false;
  interestVersion = -1;
  /** Position of its newest report in the partition's window; -1: none. */
  windowSeq = -1;
  /** Its report interval, if this node reads or has read its partition. */
  reportInterval: ReportInterval | undefined;
  /** Whether it is stale or offline, see `Presences`. */
  isIdle = false;
  /** Position of its newest report, kept or not; -1 before the first. */
  lastSeq = -1;
  /** Undefined: the device is not known, see `KnownDevices`. */
  readonly share: TenantShare | undefined;
  #kept: readonly RetainedReport[] | TagIndex = noReports;

  constructor(path: string, partition: number, share?: TenantShare) {
    this.path = path;
    this.partition = partition;
    this.share = share;
  }

  /** Whether reports of it are kept. False: the limit of known devices is reached, see `KnownDevices`. */
  get isKnown(): boolean {
    return this.share !== undefined;
  }

  /** Approximate heap bytes of its last values. */
  get bytes(): number {
    const kept = this.#kept;
    if (kept instanceof TagIndex) return kept.bytes;
    let bytes = 0;
    for (let i = 0; i < kept.length; i++) bytes += keptBytes(kept[i]!.report);
    return bytes;
  }

  /** Adds a report if its position is after the last one. Hot path: once a report. */
  keep(logReport: LogReport, known: KnownDevices): void {
    const { seq } = logReport;
    if (seq <= this.lastSeq) return;
    this.lastSeq = seq;
    if (logReport.header.isHistorical) {
      known.counts.late++;
      return;
    }
    const kept = this.#kept;
    const only = kept instanceof TagIndex || kept.length !== 1 ? undefined : kept[0]!;
    if (only === undefined || typeof only.times !== 'number' || !hasReadingTags(logReport.bytes, only.tags)) {
      this.#merge(logReport, known);
      return;
    }
    const { timeMs } = logReport;
    if (timeMs < only.times) {
      known.counts.late++;
      return;
    }
    const report = logReport.packed;
    if (this.share !== undefined) known.take(this.share, report.length - only.report.length);
    this.#kept = [{ seq, report, tags: only.tags, times: timeMs }];
  }

  /**
   * Returns the reports with the last values, by position. A client that takes them in this order, and compares the
   * effective times of each tag, has the last value of every tag.
   */
  lastValues(): LogReport[] {
    const kept = this.#kept;
    const reports = kept instanceof TagIndex ? [...kept.reports()] : kept;
    return reports.map(({ seq, report }) => LogReport.of(this.partition, seq, report));
  }

  #merge(logReport: LogReport, known: KnownDevices): void {
    const before = this.bytes;
    const hasLastValue =
      this.#kept instanceof TagIndex
        ? this.#mergeIntoIndex(this.#kept, logReport)
        : this.#mergeIntoFew(this.#kept, logReport);
    if (!hasLastValue) known.counts.late++;
    this.#bound(before, known);
    const { share } = this;
    if (share !== undefined) known.take(share, this.bytes - before);
  }

  #mergeIntoIndex(index: TagIndex, logReport: LogReport): boolean {
    const hasLastValue = index.keep(logReport.seq, logReport.report, logReport.packed);
    // The report has all tags of the index, so the index is not needed.
    const whole = hasLastValue && index.size === 1 ? newest(logReport) : undefined;
    if (whole !== undefined && typeof whole.times === 'number') this.#kept = [whole];
    return hasLastValue;
  }

  #mergeIntoFew(few: readonly RetainedReport[], logReport: LogReport): boolean {
    const added = newest(logReport);
    const tags = few.reduce((sum, kept) => sum + kept.tags.length, added.tags.length);
    if (few.length === 0 && (typeof added.times === 'number' || tags <= unindexedTagsMax)) {
      this.#kept = [added];
      return true;
    }
    if (tags > unindexedTagsMax) {
      const index = new TagIndex(keptBytes);
      for (const kept of few) index.adopt(kept, kept.tags, kept.times);
      this.#kept = index;
      return this.#mergeIntoIndex(index, logReport);
    }
    const left: RetainedReport[] = [];
    let rest: RetainedReport | undefined = added;
    for (const kept of few) {
      // First the late tags are removed from the added report. Its other tags are newer than those of the kept report.
      if (rest !== undefined) rest = without(rest, kept, isOlder);
      const still = rest === undefined ? kept : without(kept, rest, isNotNewer);
      if (still !== undefined) left.push(still);
    }
    if (rest !== undefined) left.push(rest);
    // A slice has no spare capacity, which matters with a million devices.
    this.#kept = left.slice();
    return rest !== undefined;
  }

  /** Evicts what is beyond the limits. `before`: the bytes of its last values before the report that was just added. */
  #bound(before: number, known: KnownDevices): void {
    const { counts, limits } = known;
    let index = this.#kept instanceof TagIndex ? this.#kept : undefined;
    if (index === undefined) {
      const few = this.#kept as readonly RetainedReport[];
      const tags = few.reduce((sum, kept) => sum + kept.tags.length, 0);
      counts.tagsMost = Math.max(counts.tagsMost, Math.min(tags, limits.tagsPerDeviceMax));
      if (tags <= limits.tagsPerDeviceMax && (few.length === 1 || !this.#isTooMuch(before, known))) return;
      index = new TagIndex(keptBytes);
      for (const kept of few) index.adopt(kept, kept.tags, kept.times);
      this.#kept = index;
    }
    counts.tagsMost = Math.max(counts.tagsMost, Math.min(index.tags, limits.tagsPerDeviceMax));
    while (index.tags > limits.tagsPerDeviceMax) {
      index.forgetTag();
      counts.forgottenTags++;
    }
    while (index.size > 1 && this.#isTooMuch(before, known)) counts.forgottenTags += index.forgetReport();
  }

  #isTooMuch(before: number, known: KnownDevices): boolean {
    const { bytes, share } = this;
    if (bytes > Device.bytesMax) return true;
    return bytes > before && share !== undefined && known.isFull(share);
  }
}

/** Returns a report with its tags, and the newest effective time of each. */
function newest({ seq, report, packed }: LogReport): RetainedReport {
  const { readings } = report;
  const times = new Map<string, number>();
  for (const { tag, time } of readings) {
    const timeMs = effectiveTime(report, time);
    if (timeMs >= (times.get(tag) ?? Number.NEGATIVE_INFINITY)) times.set(tag, timeMs);
  }
  const list = [...times.values()];
  const isAlike = list.every((timeMs) => timeMs === list[0]);
  return { seq, report: packed, tags: sharedTags([...times.keys()]), times: isAlike ? list[0]! : list };
}

function sharedTags(tags: readonly string[]): readonly string[] {
  const key = tags.join('\n');
  const known = tagLists.get(key);
  if (known !== undefined || key.length > tagListCharactersMax) return known ?? tags;
  if (tagLists.size >= tagListsMax) tagLists.delete(tagLists.keys().next().value!);
  tagLists.set(key, tags);
  return tags;
}

/**
 * Removes the tags whose value in the other report wins, as `loses` of the two times decides. Returns undefined if no
 * tag is left.
 */
function without(
  kept: RetainedReport,
  other: RetainedReport,
  loses: (timeMs: number, otherMs: number) => boolean,
): RetainedReport | undefined {
  const { tags } = kept;
  const isReplaced = (i: number) => {
    const j = other.tags.indexOf(tags[i]!);
    return j >= 0 && loses(timeAt(kept, i), timeAt(other, j));
  };
  let first = 0;
  while (first < tags.length && !isReplaced(first)) first++;
  if (first === tags.length) return kept;
  const left = tags.map((_, i) => i).filter((i) => i < first || (i > first && !isReplaced(i)));
  if (left.length === 0) return undefined;
  const times = typeof kept.times === 'number' ? kept.times : left.map((i) => timeAt(kept, i));
  return { ...kept, tags: sharedTags(left.map((i) => tags[i]!)), times };
}

function isOlder(timeMs: number, otherMs: number): boolean {
  return timeMs < otherMs;
}

function isNotNewer(timeMs: number, otherMs: number): boolean {
  return timeMs <= otherMs;
}

function timeAt({ times }: RetainedReport, i: number): number {
  return typeof times === 'number' ? times : times[i]!;
}

/** The usage of one tenant. */
export interface TenantShare {
  readonly tenant: string;
  devices: number;
  /** Heap bytes of its devices and their last values. */
  bytes: number;
}

export interface KnownDeviceLimits {
  /** Devices that a node knows, in all and of one tenant. */
  readonly devicesMax: number;
  readonly devicesPerTenantMax: number;
  /** Tags of one device whose last value is kept. */
  readonly tagsPerDeviceMax: number;
  /** Memory for the last values of all devices, as `Device.bytes` counts it. */
  readonly lastValuesBytesMax: number;
}

export interface KnownDeviceCounts {
  /** Times that a device was refused. */
  refused: number;
  /** Tags whose last value was evicted at a limit. */
  forgottenTags: number;
  /** Reports without the last value of any tag: newer ones arrived before, or they are historical. */
  late: number;
  /** The largest number of tags of one device. */
  tagsMost: number;
}

/**
 * Heap bytes of a device without its last values: object, path, report interval, entries in maps and lists. Measured.
 */
const deviceBytes = 520;

/** A tenant may have this many times the free memory. */
const leftFactor = 2;
const nothingYet = Object.freeze({ devices: 0, bytes: 0 });

/**
 * Limits the devices that a node knows, of all partitions, and their memory. Senders choose names and tags, and no
 * sender must be able to fill the memory of a node.
 *
 * Beyond a limit a new device is not known: its reports are delivered, and none is kept. A device that is known keeps
 * its memory; when no more is free, its oldest reports are evicted for its newest.
 *
 * A tenant may use twice as much memory as is free (Choudhury and Hahne, Dynamic queue length thresholds, 1998): a
 * single tenant gets two thirds, and some is always free for another.
 */
export class KnownDevices {
  readonly limits: KnownDeviceLimits;
  readonly counts: KnownDeviceCounts;
  size = 0;
  bytes = 0;
  readonly #tenants = new Map<string, TenantShare>();

  constructor(
    limits: KnownDeviceLimits,
    counts: KnownDeviceCounts = { refused: 0, forgottenTags: 0, late: 0, tagsMost: 0 },
  ) {
    this.limits = limits;
    this.counts = counts;
  }

  /** Devices of the tenant that has most. */
  get mostOfOneTenant(): number {
    let most = 0;
    for (const { devices } of this.#tenants.values()) most = Math.max(most, devices);
    return most;
  }

  /** Adds a device. Returns undefined at a limit. Each returned share is to be released with `leave`. */
  admit(path: string): TenantShare | undefined {
    const tenant = tenantOf(path);
    let share = this.#tenants.get(tenant);
    const { devicesMax, devicesPerTenantMax } = this.limits;
    const { devices, bytes } = share ?? nothingYet;
    if (this.size >= devicesMax || devices >= devicesPerTenantMax || this.#isTooMuch(bytes, deviceBytes)) {
      this.counts.refused++;
      return undefined;
    }
    if (share === undefined) {
      share = { tenant, devices: 0, bytes: 0 };
      this.#tenants.set(tenant, share);
    }
    this.size++;
    share.devices++;
    this.take(share, deviceBytes);
    return share;
  }

  /** Removes a device whose last values took `bytes`. */
  leave(share: TenantShare, bytes: number): void {
    this.size--;
    share.devices--;
    this.take(share, -deviceBytes - bytes);
    if (share.devices === 0) this.#tenants.delete(share.tenant);
  }

  /** Adds `bytes` of last values of a tenant; negative: subtracts. */
  take(share: TenantShare, bytes: number): void {
    this.bytes += bytes;
    share.bytes += bytes;
  }

  /** Whether the tenant is at its limit of memory. */
  isFull(share: TenantShare): boolean {
    return this.#isTooMuch(share.bytes, 0);
  }

  /** Whether a tenant with `bytes` would be over its limit with `more`. */
  #isTooMuch(bytes: number, more: number): boolean {
    const left = this.limits.lastValuesBytesMax - this.bytes - more;
    return bytes + more > leftFactor * left;
  }

  /** Returns a copy with the same usage, for devices that are collected before they are added here. */
  fork(): KnownDevices {
    const fork = new KnownDevices(this.limits, this.counts);
    fork.size = this.size;
    fork.bytes = this.bytes;
    for (const [tenant, share] of this.#tenants) fork.#tenants.set(tenant, { ...share });
    return fork;
  }
}

export interface ReportIntervalLimits {
  /** A device may be idle for this many times its report interval and deviation, because reports may get lost. */
  readonly staleFactor: number;
  readonly staleMsMin: number;
  readonly staleMsMax: number;
}

/** Reports closer together than this are one burst, and count as one: the interval is measured between bursts. */
const burstMs = 1_000;
/** Gains of RFC 6298, section 2.3, for the interval; that of the deviation is twice as large. */
const gainMax = 1 / 8;
/** Gain for an interval that is short for the device: hundreds of them change the estimate, a few dozen do not. */
const gainMin = 1 / 64;
const outlierFactor = 4;
/** Bursts needed for an estimate, and for one in which a long interval is an outlier. */
const burstsMin = 3;
const burstsKnown = 8;

/**
 * The estimated report interval of one device, from the times at which ingest received its reports: a smoothed interval
 * and a smoothed deviation, as TCP estimates its retransmission timeout (V. Jacobson; RFC 6298, section 2).
 *
 * Two things differ. An interval that is short for the device changes both by less, in proportion to the time it
 * covers: a gateway that sends fifty stored reports at one a second, once an hour, keeps the interval of an hour. And
 * once the interval is known, a longer one counts as at most `outlierFactor` times the usual: a device that was broken
 * for a day is not allowed a day from then on.
 *
 * A few numbers a device, changed in place: a report allocates nothing.
 */
export class ReportInterval {
  /** When ingest received its newest report, epoch ms; 0: none. */
  lastMs = 0;
  /** When this node received its last report, seconds of the node's monotonic clock; negative: before its start. */
  reportedSecond = 0;
  /** Its slot in the timing wheel of `Freshness`; -1: none. */
  slot = -1;
  /** Smoothed; 0: unknown. */
  intervalMs = 0;
  #deviationMs = 0;
  /** Start of the last burst. */
  #burstStartMs = 0;
  #bursts = 0;

  /** Adds a report that ingest received at `atMs`. An older one than the last, as when it is read again, is ignored. */
  add(atMs: number): void {
    if (atMs > this.lastMs) this.lastMs = atMs;
    let intervalMs = atMs - this.#burstStartMs;
    if (intervalMs < burstMs) return;
    this.#burstStartMs = atMs;
    if (this.#bursts < burstsKnown) this.#bursts++;
    if (this.#bursts === 1) return;
    if (this.intervalMs === 0) {
      // Section 2.2: the first measurement.
      this.intervalMs = intervalMs;
      this.#deviationMs = intervalMs / 2;
      return;
    }
    if (this.#bursts === burstsKnown) {
      intervalMs = Math.min(intervalMs, outlierFactor * (this.intervalMs + 4 * this.#deviationMs));
    }
    const share = (gainMax * intervalMs) / this.intervalMs;
    const gain = share > gainMax ? gainMax : share < gainMin ? gainMin : share;
    this.#deviationMs += 2 * gain * (Math.abs(intervalMs - this.intervalMs) - this.#deviationMs);
    this.intervalMs += gain * (intervalMs - this.intervalMs);
  }

  /** Takes the estimate of a previous owner. It has no deviation, which starts as after a first measurement. */
  restore(intervalMs: number, lastMs: number): void {
    if (lastMs <= this.lastMs) return;
    this.lastMs = lastMs;
    this.#burstStartMs = lastMs;
    this.#bursts = intervalMs > 0 ? burstsKnown : 1;
    this.intervalMs = intervalMs;
    this.#deviationMs = intervalMs / 2;
  }

  /** Returns how long the device may be idle, ms; undefined while there are too few reports. */
  allowedMs(limits: ReportIntervalLimits): number | undefined {
    if (this.#bursts < burstsMin) return undefined;
    const { staleFactor, staleMsMin, staleMsMax } = limits;
    return Math.min(staleMsMax, Math.max(staleMsMin, (this.intervalMs + 4 * this.#deviationMs) * staleFactor));
  }
}
