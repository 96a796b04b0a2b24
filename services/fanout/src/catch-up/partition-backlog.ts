import type { Missing } from '@tailrace/protocol/server-message';
import type { Channel } from '../channels/channel.ts';
import { LogReport } from '../channels/log-report.ts';
import type { Partition } from '../ownership/partition.ts';
import { type BacklogReport, LogRange, type LogRangeOptions, type LogRangeParts } from './log-range.ts';
import { recentsOf, windowHas } from './recent-reports.ts';
import type { Steps } from './steps.ts';

/** Of a partition that is here, looked at in one step. */
const windowReports = 100;
const bytesMaxDefault = 64 * 1_024;

export interface PartitionBacklogOptions extends LogRangeOptions {
  /** Of the reports that wait, or one more. Default 64 KB. */
  readonly bytesMax?: number;
}

/** Whose reports: a channel's, or those of several. */
export type Selection = Pick<Channel, 'covers' | 'pattern' | 'isSubtree'>;

/**
 * Reports of one partition in a range, a few at a time: from the window where that reaches back far enough, else from
 * the log (`LogRange`). The window may come, and go, with the partition while they are read.
 */
export class PartitionBacklog {
  readonly #selection: Selection;
  readonly #partition: Partition;
  readonly #parts: LogRangeParts;
  readonly #options: PartitionBacklogOptions;
  readonly #bytesMax: number;
  #until: number;
  /** Retention has taken what comes next, up to `first`, exclusive. Nothing more comes. */
  isCut = false;
  #queue: BacklogReport[] = [];
  #at = 0;
  /** Where the queue ends. */
  #from: number;
  #range: LogRange | undefined;
  readonly #begin: number;

  constructor(
    selection: Selection,
    { partition, from, until }: { readonly partition: Partition; readonly from: number; readonly until: number },
    parts: LogRangeParts,
    options: PartitionBacklogOptions = {},
  ) {
    this.#selection = selection;
    this.#options = options;
    this.#bytesMax = options.bytesMax ?? bytesMaxDefault;
    this.#partition = partition;
    this.#begin = from;
    this.#from = from;
    this.#until = until;
    this.#parts = parts;
  }

  get number(): number {
    return this.#partition.number;
  }

  /** Where the log was found to begin; 0: that was not looked up. */
  get first(): number {
    return this.#range?.first ?? 0;
  }

  get head(): BacklogReport | undefined {
    return this.#queue[this.#at];
  }

  /** Everything before has been taken. */
  get reached(): number {
    return this.head?.logReport.seq ?? this.#from;
  }

  take(): BacklogReport {
    return this.#queue[this.#at++]!;
  }

  /** Until there is a head, or nothing is left. Answers what is missing before it. */
  *fill(): Steps<Missing[]> {
    this.#queue = [];
    this.#at = 0;
    const missing: Missing[] = [];
    while (this.#queue.length === 0 && this.#from < this.#until) {
      if (windowHas(this.#partition, this.#from, this.#until)) this.#fromWindow();
      else missing.push(...(yield* this.#fromLog()));
      if (this.#queue.length === 0) yield undefined;
    }
    return missing;
  }

  #fromWindow(): void {
    const { number } = this.#partition;
    let looked = 0;
    let bytes = 0;
    for (const { seq, report, device, atMs } of recentsOf(this.#selection, this.#partition, this.#from)) {
      if (seq >= this.#until) break;
      if (++looked > windowReports || bytes >= this.#bytesMax) return;
      if (this.#selection.covers(device.path)) {
        this.#queue.push({ logReport: LogReport.of(number, seq, report), timeMs: atMs });
        bytes += report.length;
      }
      this.#from = seq + 1;
    }
    this.#from = this.#until;
  }

  *#fromLog(): Steps<Missing[]> {
    const [from, until] = [this.#from, this.#until];
    // The window may have answered in between, while the partition was here.
    if (this.#range?.next !== from) {
      const covers = (device: string) => this.#selection.covers(device);
      this.#range = new LogRange(this.#partition, covers, { from, until }, this.#parts, this.#options);
    }
    const { reports, missing } = yield* this.#range.read(this.#bytesMax);
    const isLate = missing?.reason === 'retention' && missing.from > this.#begin;
    if (this.#range.isCut || isLate) {
      this.#queue = [];
      this.#until = from;
      this.isCut = true;
      return [];
    }
    this.#queue = reports;
    this.#from = this.#range.next;
    return missing === undefined ? [] : [missing];
  }
}

/** A whole range, or as much of it as there was room for. */
export interface WholeRange {
  /** Of what lies before nothing can be had any more. */
  readonly from: number;
  /** Everything before is here, or missing. */
  readonly until: number;
  readonly reports: readonly BacklogReport[];
  /** What cannot be had, oldest first. Of what retention has taken one range, from the beginning on. */
  readonly missing: readonly Missing[];
}

/**
 * Reads all of a range that can be had, as long as `take` answers that there is room for the next report. Throws
 * where the log cannot be read.
 */
export function* readRange(
  selection: Selection,
  partition: Partition,
  range: { readonly from: number; readonly until: number },
  parts: LogRangeParts,
  take: (logReport: LogReport) => boolean = () => true,
  options: LogRangeOptions = {},
): Steps<WholeRange> {
  for (let { from } = range; ; ) {
    const part = new PartitionBacklog(selection, { partition, from, until: range.until }, parts, options);
    const reports: BacklogReport[] = [];
    const missing: Missing[] = [];
    let { until } = range;
    while (until === range.until) {
      for (const each of yield* part.fill()) {
        if (each.reason === 'retention') from = each.to + 1;
        else missing.push(each);
      }
      if (part.head === undefined) break;
      while (part.head !== undefined && until === range.until) {
        if (take(part.head.logReport)) reports.push(part.take());
        else until = part.head.logReport.seq;
      }
    }
    if (!part.isCut) {
      if (from > range.from)
        missing.unshift({ partition: partition.number, from: range.from, to: from - 1, reason: 'retention' });
      return { from, until, reports, missing };
    }
    // Retention has passed what was read.
    from = Math.min(part.first, range.until);
  }
}
