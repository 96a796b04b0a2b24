import { hasReadingTags } from '@tailrace/protocol/reportskim';
import type { Rhythm } from '../presence/rhythm.ts';
import { Arrival } from './arrival.ts';
import type { Channel } from './channel.ts';
import type { Packed } from './packed.ts';

/** A kept report and those of its tags that no later report has brought again. */
interface Kept {
  readonly seq: number;
  readonly report: Packed;
  tags: readonly string[];
}

const noChannels: readonly Channel[] = Object.freeze([]);
const noneKept: readonly Kept[] = Object.freeze([]);

/** Lists of tags by themselves: thousands of machines of a kind send the same ones. Full, lists are no longer shared. */
const tagLists = new Map<string, readonly string[]>();
const tagListsMax = 1_000;
const tagListCharactersMax = 2_000;

/** The tags of the readings, each once. */
function sharedTags(readings: readonly { readonly tag: string }[]): readonly string[] {
  const tags = [...new Set(readings.map((reading) => reading.tag))].slice();
  const key = tags.join('\n');
  const known = tagLists.get(key);
  if (known !== undefined) return known;
  if (tagLists.size < tagListsMax && key.length <= tagListCharactersMax) tagLists.set(key, tags);
  return tags;
}

/**
 * What a node knows of one device: the smallest set of its reports that holds the last value of every tag, oldest first.
 * Whole reports are kept, not merged values, so that a snapshot says nothing that the device did not say, with its own time and
 * position. A device that sends all its tags each time costs one report; one that sends them singly costs one report a tag,
 * up to
 * `reportsMax` and `bytesMax`, beyond which the oldest are forgotten.
 */
export class Device {
  static readonly reportsMax = 1000;
  /** Four of the largest reports. Without it a device whose reports each bring one tag anew would keep 250 MB here. */
  static readonly bytesMax = 1_048_576;

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
  rhythm: Rhythm | undefined;
  /** Stale or offline: see `Presences`. */
  silent = false;
  #kept: readonly Kept[] = noneKept;

  constructor(path: string, partition: number) {
    this.path = path;
    this.partition = partition;
  }

  /** Position of the newest report kept; -1 before the first. */
  get lastSeq(): number {
    return this.#kept.at(-1)?.seq ?? -1;
  }

  /** Takes a report in if it is newer than what is known. */
  keep(arrival: Arrival): void {
    if (arrival.seq <= this.lastSeq) return;
    const only = this.#kept.length === 1 ? this.#kept[0] : undefined;
    if (only !== undefined && hasReadingTags(arrival.bytes, only.tags)) {
      this.#kept = [{ seq: arrival.seq, report: arrival.packed, tags: only.tags }];
      return;
    }
    const tags = sharedTags(arrival.report.readings);
    for (const kept of this.#kept) kept.tags = kept.tags.filter((tag) => !tags.includes(tag));
    let first = 0;
    const left = this.#kept
      .filter((kept) => kept.tags.length > 0)
      .concat({ seq: arrival.seq, report: arrival.packed, tags });
    let keptBytes = left.reduce((sum, kept) => sum + kept.report.length, 0);
    while (left.length - first > Device.reportsMax || keptBytes > Device.bytesMax) {
      keptBytes -= left[first++]!.report.length;
    }
    // A slice has room for what is in it and no more, which counts with a million devices.
    this.#kept = left.slice(first);
  }

  /** The last values as arrivals, oldest first: sent in this order they leave every tag at its last value. */
  lastValues(): Arrival[] {
    return this.#kept.map((kept) => Arrival.of(this.partition, kept.seq, kept.report));
  }
}
