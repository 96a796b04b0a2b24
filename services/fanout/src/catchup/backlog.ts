import type { EventLog } from '@tailrace/eventlog/eventlog';
import type { Missing } from '@tailrace/protocol/servermessage';
import { Arrival } from '../channels/arrival.ts';
import type { Channel } from '../channels/channel.ts';
import type { Partition } from '../ownership/partition.ts';
import { repeatRecordsMax } from '../ownership/recentids.ts';
import type { LogBlocks } from './logblocks.ts';
import { recentsOf, windowHas } from './recents.ts';

/** Of one partition that is here, taken at once. */
const windowReports = 1_000;

export interface PastReport {
  readonly arrival: Arrival;
  /** When it was appended, epoch ms. */
  readonly timeMs: number;
}

export interface BacklogParts {
  readonly blocks: Pick<LogBlocks, 'piece'>;
  readonly log: Pick<EventLog, 'bounds'>;
  readonly topic: string;
}

/**
 * Reports of a channel in a range of each partition, in the order in which they were appended, over all partitions; of one partition in the order of their
 * positions, whatever the times say. From the window where it reaches back far enough, else from the log, in blocks that are shared: at most one
 * block of each partition is held, and of it only what the channel covers.
 */
export class Backlog {
  /** Ranges that cannot be had, found so far. */
  readonly missing: Missing[] = [];
  readonly #missingNext: Missing[] = [];
  readonly #sources: Source[];

  /** Of each partition: from `from` on, up to `until`, exclusive. */
  constructor(
    channel: Channel,
    ranges: readonly { readonly partition: Partition; readonly from: number; readonly until: number }[],
    parts: BacklogParts,
  ) {
    this.#sources = ranges.map(({ partition, from, until }) => new Source(channel, partition, from, until, parts));
  }

  /** Everything before has been answered. By partition number. */
  *reached(): Iterable<readonly [partition: number, next: number]> {
    for (const source of this.#sources) yield [source.number, source.reached];
  }

  /** Whether it ends early: retention has taken what comes next while it was read. Another one, from where this one ends, begins with saying so. */
  get isCut(): boolean {
    return this.#sources.some((source) => source.isCut);
  }

  /** The next reports, of `bytesMax` or a little more, behind what is `missing` by then; none: that was all. */
  async next(bytesMax: number): Promise<PastReport[]> {
    const reports: PastReport[] = [];
    this.missing.push(...this.#missingNext.splice(0));
    let bytes = 0;
    while (bytes < bytesMax) {
      for (const source of this.#sources) if (source.head === undefined) await this.#fill(source);
      // What is missing behind these reports is said when they have been told.
      if (this.#missingNext.length > 0 && reports.length > 0) break;
      this.missing.push(...this.#missingNext.splice(0));
      let first: Source | undefined;
      for (const source of this.#sources) {
        if (source.head !== undefined && source.head.timeMs < (first?.head?.timeMs ?? Number.POSITIVE_INFINITY))
          first = source;
      }
      if (first === undefined) break;
      const report = first.take();
      bytes += report.arrival.bytes.length;
      reports.push(report);
    }
    return reports;
  }

  async #fill(source: Source): Promise<void> {
    this.#missingNext.push(...(await source.fill()));
  }
}

/** One partition of a backlog. */
class Source {
  readonly #channel: Channel;
  readonly #partition: Partition;
  readonly #parts: BacklogParts;
  #until: number;
  isCut = false;
  #queue: PastReport[] = [];
  #at = 0;
  /** Where the queue ends. */
  #from: number;
  /** Made when the log is read first. */
  #delivers: ((arrival: Arrival, key: string) => boolean) | undefined;

  constructor(channel: Channel, partition: Partition, from: number, until: number, parts: BacklogParts) {
    this.#channel = channel;
    this.#partition = partition;
    this.#from = from;
    this.#until = until;
    this.#parts = parts;
  }

  get number(): number {
    return this.#partition.number;
  }

  get head(): PastReport | undefined {
    return this.#queue[this.#at];
  }

  /** Everything before has been taken. */
  get reached(): number {
    return this.head?.arrival.seq ?? this.#from;
  }

  take(): PastReport {
    return this.#queue[this.#at++]!;
  }

  /** Until there is a head, or nothing is left. Answers what is missing before it. */
  async fill(): Promise<Missing[]> {
    this.#queue = [];
    this.#at = 0;
    const missing: Missing[] = [];
    while (this.#queue.length === 0 && this.#from < this.#until) {
      if (windowHas(this.#partition, this.#from, this.#until)) this.#fromWindow();
      else missing.push(...(await this.#fromLog()));
    }
    return missing;
  }

  #fromWindow(): void {
    const { number } = this.#partition;
    let looked = 0;
    for (const { seq, report, device, atMs } of recentsOf(this.#channel, this.#partition, this.#from)) {
      if (seq >= this.#until) break;
      if (++looked > windowReports) return;
      if (this.#channel.covers(device.path)) {
        this.#queue.push({ arrival: Arrival.of(number, seq, report), timeMs: atMs });
      }
      this.#from = seq + 1;
    }
    this.#from = this.#until;
  }

  async #fromLog(): Promise<Missing[]> {
    const { blocks, log, topic } = this.#parts;
    const { number } = this.#partition;
    const isFirst = this.#delivers === undefined;
    if (this.#delivers === undefined) {
      this.#delivers = this.#partition.replay(true);
      const lookFrom = Math.max(0, this.#from - repeatRecordsMax);
      for (let at = lookFrom; at < this.#from; ) {
        const { records, next } = await blocks.piece(number, at, this.#from);
        for (const { seq, value, key } of records) {
          if (this.#channel.covers(key)) this.#delivers(new Arrival(number, seq, value), key);
        }
        at = next;
      }
    }
    const { records, next: pieceEnd } = await blocks.piece(number, this.#from, this.#until);
    let next = pieceEnd;
    for (const { seq, key, value, timeMs, unreadable } of records) {
      if (unreadable !== undefined) {
        if (seq === this.#from) {
          this.#from = unreadable.until;
          return [{ partition: number, from: seq, to: unreadable.until - 1, reason: 'unreadable' }];
        }
        // What is missing is said when everything before it has been.
        next = seq;
        break;
      }
      // First, because most are others', and looking into each costs more than all else: a device repeats only its own message IDs.
      if (!this.#channel.covers(key)) continue;
      const arrival = new Arrival(number, seq, value);
      if (this.#delivers(arrival, key)) this.#queue.push({ arrival, timeMs });
    }
    const from = this.#from;
    this.#from = next;
    if (records.length === pieceEnd - from) return [];
    const first = (await log.bounds(topic, [number]))[number]?.first ?? from;
    if (first <= from) return [];
    if (!isFirst) {
      this.#queue = [];
      this.#from = from;
      this.#until = from;
      this.isCut = true;
      return [];
    }
    // What was read of the log while its beginning moved is not to be told.
    this.#queue = this.#queue.filter(({ arrival }) => arrival.seq >= first);
    this.#from = Math.max(this.#from, Math.min(first, this.#until));
    return [{ partition: number, from, to: Math.min(first, this.#until) - 1, reason: 'retention' }];
  }
}
