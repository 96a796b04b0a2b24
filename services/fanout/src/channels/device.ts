import { sameReadingTags } from '@tailrace/protocol/reportskim';
import type { Rhythm } from '../presence/rhythm.ts';
import { Arrival } from './arrival.ts';
import type { Channel } from './channel.ts';

/** A kept report and those of its tags that no later report has brought again. */
interface Kept {
  readonly seq: number;
  readonly bytes: Uint8Array;
  tags: readonly string[];
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
  channels: readonly Channel[] = [];
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
  #kept: Kept[] = [];

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
    const { bytes } = arrival;
    const only = this.#kept.length === 1 ? this.#kept[0] : undefined;
    if (only !== undefined && sameReadingTags(only.bytes, bytes)) {
      this.#kept[0] = { seq: arrival.seq, bytes, tags: only.tags };
      return;
    }
    const tags = [...new Set(arrival.report.readings.map((reading) => reading.tag))];
    for (const kept of this.#kept) kept.tags = kept.tags.filter((tag) => !tags.includes(tag));
    this.#kept = this.#kept.filter((kept) => kept.tags.length > 0);
    this.#kept.push({ seq: arrival.seq, bytes, tags });
    let keptBytes = this.#kept.reduce((sum, kept) => sum + kept.bytes.length, 0);
    while (this.#kept.length > Device.reportsMax || keptBytes > Device.bytesMax) {
      keptBytes -= this.#kept.shift()!.bytes.length;
    }
  }

  /** The last values as arrivals, oldest first: sent in this order they leave every tag at its last value. */
  lastValues(): Arrival[] {
    return this.#kept.map((kept) => new Arrival(this.partition, kept.seq, kept.bytes));
  }
}
