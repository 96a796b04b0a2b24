import { hasReadingTags } from '@tailrace/protocol/report-header';
import { effectiveTime } from '@tailrace/protocol/source-time';
import type { ReportInterval } from '../presence/report-interval.ts';
import type { Channel } from './channel.ts';
import type { KnownDevices, TenantShare } from './known-devices.ts';
import { LogReport } from './log-report.ts';
import type { Packed } from './packed.ts';
import { TagIndex } from './tag-index.ts';

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
