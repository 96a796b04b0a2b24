import { hasReadingTags } from '@tailrace/protocol/report-header';
import { effectiveTime } from '@tailrace/protocol/source-time';
import type { Channel } from './channels.ts';
import { LogReport, type Packed } from './log-report.ts';
import { TagIndex } from './tag-index.ts';
import { tenantOf } from '@tailrace/protocol/path';

/** A kept report, and those of its tags whose last value it has. */
interface Kept {
  readonly seq: number;
  readonly report: Packed;
  readonly tags: readonly string[];
  /** Effective time of those readings, epoch ms: of all alike, or of each. */
  readonly times: number | readonly number[];
}

const noChannels: readonly Channel[] = Object.freeze([]);
const noneKept: readonly Kept[] = Object.freeze([]);

/**
 * A device with more tags than this, in more than one report, has an index of them: 1 KB, and searching so few by hand
 * takes 0.2 µs.
 */
const unindexedTagsMax = 16;

/** What keeping a report takes in the heap; measured. */
function keptBytes(report: Packed): number {
  return 140 + report.length;
}

/**
 * Lists of tags by themselves: thousands of machines of a kind send the same ones. Full, the one made first gives way.
 */
const tagLists = new Map<string, readonly string[]>();
const tagListsMax = 1_000;
const tagListCharactersMax = 2_000;

/**
 * What a node knows of one device: the smallest set of its reports that holds the last value of every tag, by position.
 *
 * The last value of a tag is the reading with the newest effective time (see `effectiveTime`); of equal times the one
 * of the later position, and in one report the later reading. So a late report replaces nothing newer. Whole reports
 * are kept, not merged values, so that a snapshot says nothing that the device did not say, with its own time and
 * position. A device that sends all its tags each time costs one report; one that sends them singly costs one report a
 * tag, up to `tagsPerDeviceMax` tags, beyond which the one reported longest ago is forgotten, and `bytesMax`, beyond
 * which the oldest report is.
 */
export class Device {
  /**
   * Two of the largest reports, and as much as its record in the state topic may have. Without it a device whose
   * reports each bring one tag anew would keep 250 MB here.
   */
  static readonly bytesMax = 524_288;

  readonly path: string;
  readonly partition: number;
  /** Channels that cover this device, as of `channelsVersion` of the registry: a cache of the pattern match. */
  channels: readonly Channel[] = noChannels;
  channelsVersion = -1;
  /** Whether another node wants this device, as of `interestVersion` of the partition's interests. */
  wantedElsewhere = false;
  interestVersion = -1;
  /** Position of its newest report in the partition's window; -1: none. */
  recentSeq = -1;
  /** How often it speaks; where its partition is, or was, read here. */
  reportInterval: ReportInterval | undefined;
  /** Stale or offline: see `Presences`. */
  silent = false;
  /** Position of its newest report, kept or not; -1 before the first. */
  lastSeq = -1;
  /** Undefined: the device is not known. */
  readonly share: TenantShare | undefined;
  #kept: readonly Kept[] | TagIndex = noneKept;

  constructor(path: string, partition: number, share?: TenantShare) {
    this.path = path;
    this.partition = partition;
    this.share = share;
  }

  /** False: as many devices are known as may be, and of this one nothing is kept; see `KnownDevices`. */
  get isKnown(): boolean {
    return this.share !== undefined;
  }

  /** What its last values take in the heap, about. */
  get bytes(): number {
    const kept = this.#kept;
    if (kept instanceof TagIndex) return kept.bytes;
    let bytes = 0;
    for (let i = 0; i < kept.length; i++) bytes += keptBytes(kept[i]!.report);
    return bytes;
  }

  /** Takes a report in if it is newer than what is known. Hot: once a report. */
  keep(logReport: LogReport, known: KnownDevices): void {
    const { seq } = logReport;
    if (seq <= this.lastSeq) return;
    this.lastSeq = seq;
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
   * The last values as arrivals, by position. Sent in this order, and each tag judged by its effective time, they leave
   * every tag at its last value.
   */
  lastValues(): LogReport[] {
    const kept = this.#kept;
    const reports = kept instanceof TagIndex ? [...kept.reports()] : kept;
    return reports.map(({ seq, report }) => LogReport.of(this.partition, seq, report));
  }

  #merge(logReport: LogReport, known: KnownDevices): void {
    const before = this.bytes;
    const isKept =
      this.#kept instanceof TagIndex
        ? this.#mergeIntoIndex(this.#kept, logReport)
        : this.#mergeIntoFew(this.#kept, logReport);
    if (!isKept) known.counts.late++;
    this.#bound(before, known);
    const { share } = this;
    if (share !== undefined) known.take(share, this.bytes - before);
  }

  #mergeIntoIndex(index: TagIndex, logReport: LogReport): boolean {
    const isKept = index.keep(logReport.seq, logReport.report, logReport.packed);
    // The report has all tags there are: what it cost to look at them was its own.
    const whole = isKept && index.size === 1 ? newest(logReport) : undefined;
    if (whole !== undefined && typeof whole.times === 'number') this.#kept = [whole];
    return isKept;
  }

  #mergeIntoFew(few: readonly Kept[], logReport: LogReport): boolean {
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
    const left: Kept[] = [];
    let rest: Kept | undefined = added;
    for (const kept of few) {
      // What is late there is taken out of what is added, and what is left of that is newer than what it meets.
      if (rest !== undefined) rest = without(rest, kept, isOlder);
      const still = rest === undefined ? kept : without(kept, rest, isNotNewer);
      if (still !== undefined) left.push(still);
    }
    if (rest !== undefined) left.push(rest);
    // A slice has room for what is in it and no more, which counts with a million devices.
    this.#kept = left.slice();
    return rest !== undefined;
  }

  /**
   * Forgets what is more than may be kept. `before`: what its last values took before the report that has just come.
   */
  #bound(before: number, known: KnownDevices): void {
    const { counts, limits } = known;
    let index = this.#kept instanceof TagIndex ? this.#kept : undefined;
    if (index === undefined) {
      const few = this.#kept as readonly Kept[];
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

/** A report with the newest reading of each of its tags. */
function newest({ seq, report, packed }: LogReport): Kept {
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
 * Without the tags of which another report has a last value that `yields` says comes before; undefined where none is
 * left.
 */
function without(kept: Kept, other: Kept, yields: (timeMs: number, otherMs: number) => boolean): Kept | undefined {
  const { tags } = kept;
  const gives = (i: number) => {
    const j = other.tags.indexOf(tags[i]!);
    return j >= 0 && yields(timeAt(kept, i), timeAt(other, j));
  };
  let first = 0;
  while (first < tags.length && !gives(first)) first++;
  if (first === tags.length) return kept;
  const left = tags.map((_, i) => i).filter((i) => i < first || (i > first && !gives(i)));
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

function timeAt({ times }: Kept, i: number): number {
  return typeof times === 'number' ? times : times[i]!;
}

/** What is known of the devices of one tenant. */
export interface TenantShare {
  readonly tenant: string;
  devices: number;
  /** Of their last values. */
  bytes: number;
}

export interface KnownDeviceLimits {
  /** Devices that a node knows, and of one tenant. */
  readonly devicesMax: number;
  readonly devicesPerTenantMax: number;
  /** Tags of one device whose last value is kept. */
  readonly tagsPerDeviceMax: number;
  /** Memory for the last values of all devices, as `Device.bytes` counts it. */
  readonly lastValuesBytesMax: number;
}

export interface KnownDeviceCounts {
  /** Times that a device was not taken in. */
  refused: number;
  /** Tags whose last value was forgotten because there were too many, or no room. */
  forgottenTags: number;
  /** Reports that hold the last value of no tag, because newer ones came before. */
  late: number;
  /** Tags of the device that has had most at once. */
  tagsMost: number;
}

/**
 * What a device is known by besides its last values, in the heap: itself, its path, its rhythm, its places in maps,
 * sets and lists. Measured.
 */
const deviceBytes = 520;

/** So many times what is left a tenant may have. */
const leftFactor = 2;
const nothingYet = Object.freeze({ devices: 0, bytes: 0 });

/**
 * The devices that a node knows, whichever partition they are in, and what they take: names and tags are made up by
 * senders, and a sender must not be able to fill the memory of a node.
 *
 * Beyond a limit a new device is not known: its reports are delivered, and nothing is kept of it. A device that is
 * known keeps the room that it has; where there is no more, its oldest reports give way to its newest.
 *
 * A tenant may take twice as much memory as is left (Choudhury and Hahne, Dynamic queue length thresholds, 1998): one
 * alone gets two thirds, and there is always room for another.
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

  /** A place for one more device; undefined where there is none. `leave` for each that is given. */
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

  /** A device is not known any more, whose last values took so much. */
  leave(share: TenantShare, bytes: number): void {
    this.size--;
    share.devices--;
    this.take(share, -deviceBytes - bytes);
    if (share.devices === 0) this.#tenants.delete(share.tenant);
  }

  /** Last values of a tenant take so much more, or less. */
  take(share: TenantShare, bytes: number): void {
    this.bytes += bytes;
    share.bytes += bytes;
  }

  /** Whether there is no room for more last values of the tenant. */
  isFull(share: TenantShare): boolean {
    return this.#isTooMuch(share.bytes, 0);
  }

  /** Whether a tenant that has so much takes too much with so much more. */
  #isTooMuch(bytes: number, more: number): boolean {
    const left = this.limits.lastValuesBytesMax - this.bytes - more;
    return bytes + more > leftFactor * left;
  }

  /**
   * For what is gathered before it is taken in: begins with the devices that are known, and has the room that is left.
   */
  fork(): KnownDevices {
    const fork = new KnownDevices(this.limits, this.counts);
    fork.size = this.size;
    fork.bytes = this.bytes;
    for (const [tenant, share] of this.#tenants) fork.#tenants.set(tenant, { ...share });
    return fork;
  }
}

export interface ReportIntervalLimits {
  /** So many times what its rhythm allows a device may be silent, for reports that got lost on the way. */
  readonly staleFactor: number;
  readonly staleMsMin: number;
  readonly staleMsMax: number;
}

/** Reports nearer to each other than this are one utterance: a burst says nothing of how often a device speaks. */
const utteranceMs = 1_000;
/** Gains of RFC 6298, section 2.3, for the interval; the deviation's is twice as large. */
const gainMax = 1 / 8;
/** Of an interval that is short for the device: hundreds of them are a new rhythm, a few dozen are not. */
const gainMin = 1 / 64;
const silenceFactor = 4;
/** To be judged; and to have a rhythm of which one silence is an exception. */
const utterancesMin = 3;
const utterancesKnown = 8;

/**
 * How often one device speaks, learnt from the times at which ingest took its reports: a smoothed interval and a smoothed deviation from it, as TCP
 * estimates the time after which an answer is overdue (V. Jacobson; RFC 6298, section 2). Other than there, an interval that is short for the device moves both by
 * less, in proportion to the time it covers: a gateway that hands over fifty stored reports at one a second, once an hour, still has the rhythm of an hour. And once
 * it is known, a silence counts as at most `silenceFactor` of what was usual: a device that was broken for a day is not given a day from then on.
 *
 * A few numbers a device, changed in place: nothing is allocated per report.
 */
export class ReportInterval {
  /** Its newest report, epoch ms by ingest's clock; 0: none. */
  lastMs = 0;
  /** When this node last heard of it, seconds of the node's monotonic clock; before the node's start it is negative. */
  heardSecond = 0;
  /** Where it waits to be looked at; -1: nowhere. See `Freshness`. */
  slot = -1;
  /** Smoothed; 0: not known yet. */
  intervalMs = 0;
  #deviationMs = 0;
  /** Beginning of the last utterance. */
  #spokeMs = 0;
  #utterances = 0;

  /** A report that ingest took then. One that is older than what is known, which is read for the second time or came another way, says nothing. */
  heard(atMs: number): void {
    if (atMs > this.lastMs) this.lastMs = atMs;
    let intervalMs = atMs - this.#spokeMs;
    if (intervalMs < utteranceMs) return;
    this.#spokeMs = atMs;
    if (this.#utterances < utterancesKnown) this.#utterances++;
    if (this.#utterances === 1) return;
    if (this.intervalMs === 0) {
      // Section 2.2: the first measurement.
      this.intervalMs = intervalMs;
      this.#deviationMs = intervalMs / 2;
      return;
    }
    if (this.#utterances === utterancesKnown) {
      intervalMs = Math.min(intervalMs, silenceFactor * (this.intervalMs + 4 * this.#deviationMs));
    }
    const share = (gainMax * intervalMs) / this.intervalMs;
    const gain = share > gainMax ? gainMax : share < gainMin ? gainMin : share;
    this.#deviationMs += 2 * gain * (Math.abs(intervalMs - this.intervalMs) - this.#deviationMs);
    this.intervalMs += gain * (intervalMs - this.intervalMs);
  }

  /** As its owner before had learnt it. The deviation is not kept: it begins as after a first measurement. */
  restore(intervalMs: number, lastMs: number): void {
    if (lastMs <= this.lastMs) return;
    this.lastMs = lastMs;
    this.#spokeMs = lastMs;
    this.#utterances = intervalMs > 0 ? utterancesKnown : 1;
    this.intervalMs = intervalMs;
    this.#deviationMs = intervalMs / 2;
  }

  /** How long the device may be silent, ms; undefined while it has spoken too seldom to say. */
  allowedMs(limits: ReportIntervalLimits): number | undefined {
    if (this.#utterances < utterancesMin) return undefined;
    const { staleFactor, staleMsMin, staleMsMax } = limits;
    return Math.min(staleMsMax, Math.max(staleMsMin, (this.intervalMs + 4 * this.#deviationMs) * staleFactor));
  }
}
