import type { Missing } from '@tailrace/protocol/server-message';
import type { Channel } from '../channels/channel.ts';
import type { Partition } from '../ownership/partition.ts';
import { type BacklogReport, type LogRangeParts, lookBackRecordsMax } from './log-range.ts';
import type { Reservation } from './memory-budget.ts';
import { PartitionBacklog } from './partition-backlog.ts';
import type { Steps } from './steps.ts';

export type { BacklogReport } from './log-range.ts';

/** Of the reports that wait, of all partitions; and of one at least. */
const queuedBytes = 128 * 1_024;
const queuedBytesMin = 4 * 1_024;

/** What a backlog over so many partitions holds, about: see `heldBytesOf`. */
export function backlogBytesOf(partitions: number): number {
  return 4 * Math.max(queuedBytes, partitions * queuedBytesMin);
}

/**
 * Reports of a channel in a range of each partition, in the order in which they were appended, over all partitions;
 * of one partition in the order of their positions, whatever the times say. From the window where it reaches back far
 * enough, else from the log, in blocks that are shared. Of each partition a few reports are held, and only what the
 * channel covers.
 */
export class Backlog {
  /** Ranges that cannot be had, found so far. */
  readonly missing: Missing[] = [];
  readonly #missingNext: Missing[] = [];
  readonly #sources: PartitionBacklog[];

  /** Of each partition: from `from` on, up to `until`, exclusive. */
  constructor(
    channel: Channel,
    ranges: readonly { readonly partition: Partition; readonly from: number; readonly until: number }[],
    parts: LogRangeParts,
    memory?: Pick<Reservation, 'grow'>,
  ) {
    const options = {
      bytesMax: Math.max(queuedBytesMin, queuedBytes / ranges.length),
      lookBackMax: Math.floor(lookBackRecordsMax / ranges.length),
      memory,
    };
    this.#sources = ranges.map((range) => new PartitionBacklog(channel, range, parts, options));
  }

  /** Everything before has been answered, or is in `missing`. By partition number. */
  *reached(): Iterable<readonly [partition: number, next: number]> {
    for (const { number, reached } of this.#sources) {
      const missing = this.#missingNext.find(({ partition }) => partition === number);
      yield [number, missing?.from ?? reached];
    }
  }

  /** Whether it ends early: retention has taken what comes next while it was read. Another one, from where this one ends, begins with saying so. */
  get isCut(): boolean {
    return this.#sources.some((source) => source.isCut);
  }

  /** The next reports, of `bytesMax` or a little more, behind what is `missing` by then; none: that was all. */
  *next(bytesMax: number): Steps<BacklogReport[]> {
    const reports: BacklogReport[] = [];
    this.missing.push(...this.#missingNext.splice(0));
    let bytes = 0;
    while (bytes < bytesMax) {
      for (const source of this.#sources)
        if (source.head === undefined) this.#missingNext.push(...(yield* source.fill()));
      // What is missing behind these reports is named when they have been sent.
      if (this.#missingNext.length > 0 && reports.length > 0) break;
      this.missing.push(...this.#missingNext.splice(0));
      let first: PartitionBacklog | undefined;
      for (const source of this.#sources) {
        if (source.head !== undefined && source.head.timeMs < (first?.head?.timeMs ?? Number.POSITIVE_INFINITY))
          first = source;
      }
      if (first === undefined) break;
      const report = first.take();
      bytes += report.logReport.bytes.length;
      reports.push(report);
    }
    return reports;
  }
}
