import type { Missing } from '@tailrace/protocol/server-message';
import type { Channel } from '../channels/channels.ts';
import type { LogReport } from '../channels/log-report.ts';
import type { Partition } from '../ownership/partition.ts';
import type { WindowDevice, WindowReport } from '../ownership/window.ts';
import type { Coroutine } from './coroutine.ts';
import {
  type BacklogReport,
  LogRange,
  type LogRangeContext,
  type LogRangeOptions,
  lookbackRecordsMax,
  toLogReport,
} from './log-range.ts';
import type { Reservation } from './memory-budget.ts';

/** Bytes of the queued reports: of all partitions together, and at least of each. */
const queuedBytes = 128 * 1_024;
const queuedBytesMin = 4 * 1_024;
/** Bytes of the queued reports of a partition that is read alone. */
const partitionBytesMax = 64 * 1_024;
/** Reports of a window that are checked in one step. */
const windowReportsPerStep = 100;
/** Reports of one device that are looked up in one step, from the newest to the oldest. */
const deviceReportsPerStep = 500;

/** Selects reports: those of a channel, or of several. */
export type Selection = Pick<Channel, 'covers' | 'pattern' | 'isSubtree'>;

/** Positions of one partition, `until` exclusive. */
export interface PartitionRange {
  readonly partition: Partition;
  readonly from: number;
  readonly until: number;
}

/** A report that `Backlog` returns. */
export interface TimedReport {
  readonly logReport: LogReport;
  /** When it was appended, epoch ms. */
  readonly timeMs: number;
}

/** Returns the approximate memory of a backlog of this number of partitions, bytes: see `heldBytesOf`. */
export function backlogBytesOf(partitions: number): number {
  return 4 * Math.max(queuedBytes, partitions * queuedBytesMin);
}

/**
 * Returns whether the window of a partition has all of a range: this node has read the log up to `until`, and the
 * window starts at or before `from`. False while the partition is recovering: channels may be further ahead, by frames
 * of another owner, and the window lacks what they received.
 */
export function windowHas(partition: Partition, from: number, until: number): boolean {
  return partition.role !== 'elsewhere' && partition.next >= until && partition.window.from <= from;
}

/**
 * Streams the reports of a channel in a range of each partition, in the order in which they were appended, over all
 * partitions. The reports of one partition are in the order of their positions, whatever their times. They come from
 * the window if it has the range, otherwise from the log, in shared blocks. Only a few reports of each partition are in
 * memory, and only those that the channel covers.
 */
export class Backlog {
  /** Ranges that are not available, found so far. */
  readonly missing: Missing[] = [];
  readonly #missingNext: Missing[] = [];
  readonly #sources: PartitionBacklog[];

  constructor(
    channel: Channel,
    ranges: readonly PartitionRange[],
    context: LogRangeContext,
    memory?: Pick<Reservation, 'grow'>,
  ) {
    const options = {
      bytesMax: Math.max(queuedBytesMin, queuedBytes / ranges.length),
      lookbackMax: Math.floor(lookbackRecordsMax / ranges.length),
      memory,
    };
    this.#sources = ranges.map((range) => new PartitionBacklog(channel, range, context, options));
  }

  /** Iterates over the partitions by number: everything before `next` was returned, or is in `missing`. */
  *reached(): Iterable<readonly [partition: number, next: number]> {
    for (const { number, reached } of this.#sources) {
      const missing = this.#missingNext.find(({ partition }) => partition === number);
      yield [number, missing?.from ?? reached];
    }
  }

  /**
   * Whether it stopped early, because retention deleted the next reports during the read. Another backlog, from the
   * position where this one stopped, starts with what is missing.
   */
  get isTruncated(): boolean {
    return this.#sources.some((source) => source.isTruncated);
  }

  /**
   * Returns the next reports, up to `bytesMax` or one more. They follow what is in `missing` by then. None at the end.
   */
  *next(bytesMax: number): Coroutine<TimedReport[]> {
    const reports: TimedReport[] = [];
    this.missing.push(...this.#missingNext.splice(0));
    let bytes = 0;
    while (bytes < bytesMax) {
      for (const source of this.#sources)
        if (source.head === undefined) this.#missingNext.push(...(yield* source.fill()));
      // What is missing after these reports is reported when they have been sent.
      if (this.#missingNext.length > 0 && reports.length > 0) break;
      this.missing.push(...this.#missingNext.splice(0));
      let first: PartitionBacklog | undefined;
      for (const source of this.#sources) {
        if (source.head !== undefined && source.head.atMs < (first?.head?.atMs ?? Number.POSITIVE_INFINITY))
          first = source;
      }
      if (first === undefined) break;
      const report = first.take();
      bytes += report.report.length;
      reports.push({ logReport: toLogReport(first.number, report), timeMs: report.atMs });
    }
    return reports;
  }
}

/** The result of `readRange`: the whole range, or the part that `take` accepted. */
export interface WholeRange {
  /** Nothing before it is available. */
  readonly from: number;
  /** Everything before it is in `reports` or `missing`. */
  readonly until: number;
  readonly reports: readonly BacklogReport[];
  /** The ranges that are not available, oldest first. What retention has deleted is one range, the first. */
  readonly missing: readonly Missing[];
}

/**
 * Reads the available part of a range into memory, as long as `take` returns true for the next report. If retention
 * deletes records during the read, it starts again from the first one left: what is missing comes before the first
 * report. Throws if the log cannot be read.
 */
export function* readRange(
  selection: Selection,
  { partition, from: start, until: end }: PartitionRange,
  context: LogRangeContext,
  take: (report: BacklogReport) => boolean = () => true,
  options: LogRangeOptions = {},
): Coroutine<WholeRange> {
  for (let from = start; ; ) {
    const backlog = new PartitionBacklog(selection, { partition, from, until: end }, context, options);
    const reports: BacklogReport[] = [];
    const missing: Missing[] = [];
    let until = end;
    while (until === end) {
      for (const each of yield* backlog.fill()) {
        if (each.reason === 'retention') from = each.to + 1;
        else missing.push(each);
      }
      if (backlog.head === undefined) break;
      while (backlog.head !== undefined && until === end) {
        if (take(backlog.head)) reports.push(backlog.take());
        else until = backlog.head.seq;
      }
    }
    if (!backlog.isTruncated) {
      if (from > start)
        missing.unshift({ partition: partition.number, from: start, to: from - 1, reason: 'retention' });
      return { from, until, reports, missing };
    }
    from = Math.min(backlog.first, end);
  }
}

interface PartitionBacklogOptions extends LogRangeOptions {
  /** Bytes of the queued reports, or one report more. Default: 64 KB. */
  readonly bytesMax?: number;
}

/**
 * The reports of one partition in a range, a few at a time: from the window if it has the range, otherwise from the log
 * (`LogRange`). This node may gain and lose the partition, and with it the window, during the read.
 */
class PartitionBacklog {
  readonly #selection: Selection;
  readonly #partition: Partition;
  readonly #context: LogRangeContext;
  readonly #options: PartitionBacklogOptions;
  readonly #bytesMax: number;
  readonly #start: number;
  #until: number;
  /** Whether retention has deleted the next records, up to `first`, exclusive. Nothing follows. */
  isTruncated = false;
  #queue: BacklogReport[] = [];
  #at = 0;
  /** The position after the queue. */
  #from: number;
  #range: LogRange | undefined;
  /** The reports of one device in the window that are found, and the position of the next one to find. */
  #ofDevice: { readonly newestFirst: WindowReport[]; nextSeq: number } | undefined;

  constructor(
    selection: Selection,
    { partition, from, until }: PartitionRange,
    context: LogRangeContext,
    options: PartitionBacklogOptions,
  ) {
    this.#selection = selection;
    this.#options = options;
    this.#bytesMax = options.bytesMax ?? partitionBytesMax;
    this.#partition = partition;
    this.#start = from;
    this.#from = from;
    this.#until = until;
    this.#context = context;
  }

  get number(): number {
    return this.#partition.number;
  }

  /** The first position of the log, if it was looked up; otherwise 0. */
  get first(): number {
    return this.#range?.first ?? 0;
  }

  get head(): BacklogReport | undefined {
    return this.#queue[this.#at];
  }

  /** Everything before it was taken. */
  get reached(): number {
    return this.head?.seq ?? this.#from;
  }

  take(): BacklogReport {
    return this.#queue[this.#at++]!;
  }

  /** Reads until there is a head, or nothing is left. Returns the ranges that are missing before it. */
  *fill(): Coroutine<Missing[]> {
    this.#queue = [];
    this.#at = 0;
    const missing: Missing[] = [];
    while (this.#queue.length === 0 && this.#from < this.#until) {
      if (windowHas(this.#partition, this.#from, this.#until)) this.#readWindow();
      else missing.push(...(yield* this.#readLog()));
      if (this.#queue.length === 0) yield undefined;
    }
    return missing;
  }

  /** Reads nothing for a selection without a known device, and of one device only its own reports. */
  #readWindow(): void {
    const { devices, index, window } = this.#partition;
    const { pattern, isSubtree } = this.#selection;
    if (!this.#partition.knowsDevicesFrom(this.#from)) this.#readReports(window.since(this.#from));
    else if (!isSubtree) this.#readDevice(devices.get(pattern));
    else if (index.count(pattern) > 0) this.#readReports(window.since(this.#from));
    else this.#from = this.#until;
  }

  #readReports(reports: Iterable<WindowReport>): void {
    let checked = 0;
    let bytes = 0;
    for (const each of reports) {
      const { seq, report, device } = each;
      if (seq >= this.#until) break;
      if (++checked > windowReportsPerStep || bytes >= this.#bytesMax) return;
      if (this.#selection.covers(device.path)) {
        this.#queue.push(each);
        bytes += report.length;
      }
      this.#from = seq + 1;
    }
    this.#from = this.#until;
  }

  /** Each report of a device has the position of the one before it, so they are found from the newest on. */
  #readDevice(device: WindowDevice | undefined): void {
    const { window } = this.#partition;
    this.#ofDevice ??= { newestFirst: [], nextSeq: device?.windowSeq ?? -1 };
    const { newestFirst } = this.#ofDevice;
    for (let checked = 0; this.#ofDevice.nextSeq >= this.#from; checked++) {
      if (checked === deviceReportsPerStep) return;
      const report = window.at(this.#ofDevice.nextSeq);
      if (report !== undefined && report.seq < this.#until) newestFirst.push(report);
      this.#ofDevice.nextSeq = report?.previousSeq ?? -1;
    }
    for (let bytes = 0, read = 0; newestFirst.length > 0; read++) {
      if (read === windowReportsPerStep || bytes >= this.#bytesMax) return;
      const report = newestFirst.pop()!;
      this.#queue.push(report);
      bytes += report.report.length;
      this.#from = report.seq + 1;
    }
    this.#from = this.#until;
  }

  *#readLog(): Coroutine<Missing[]> {
    const [from, until] = [this.#from, this.#until];
    this.#ofDevice = undefined;
    // The window may have been read in the meantime, while this node had the partition.
    if (this.#range?.next !== from) {
      const covers = (device: string) => this.#selection.covers(device);
      this.#range = new LogRange(this.#partition, covers, { from, until }, this.#context, this.#options);
    }
    const { reports, missing } = yield* this.#range.read(this.#bytesMax);
    const isLate = missing?.reason === 'retention' && missing.from > this.#start;
    if (this.#range.isTruncated || isLate) {
      this.#queue = [];
      this.#until = from;
      this.isTruncated = true;
      return [];
    }
    this.#queue = reports;
    this.#from = this.#range.next;
    return missing === undefined ? [] : [missing];
  }
}
