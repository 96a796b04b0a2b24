import { boundsOf, type EventLog, type LogRecord, recordEnd } from '@tailrace/eventlog/event-log';
import type { ReportHeader } from '@tailrace/protocol/report-header';
import type { Missing } from '@tailrace/protocol/server-message';
import { LogReport, type Packed } from '../channels/log-report.ts';
import type { Partition } from '../ownership/partition.ts';
import { type IdMemory, lookbackStart, lookbackTimeMs, type RecentIds } from '../ownership/recent-ids.ts';
import { awaited, type Coroutine } from './coroutine.ts';
import type { LogBlocks } from './log-blocks.ts';
import type { Reservation } from './memory-budget.ts';

/** Maximum of the records of a lookback. If the window of message IDs has more, the lookback is too short. */
export const lookbackRecordsMax = 100_000;
/** Records processed in one step: a tenth of a millisecond. */
const recordsPerStep = 100;

/** Returns the approximate memory of a held report, bytes: its bytes, its text for clients, and the objects. */
export function heldBytesOf({ report }: BacklogReport): number {
  return 3 * report.length + 200;
}

/**
 * A report of a backlog in one partition, which may be held in thousands until it is sent. In a window it exists
 * already: reading it allocates nothing. A `LogReport` for each would have to be copied by the garbage collector, while
 * live data waits.
 */
export interface BacklogReport {
  readonly seq: number;
  readonly report: Uint8Array | Packed;
  /** When it was appended, epoch ms. */
  readonly atMs: number;
  /** If it was parsed already. */
  readonly header?: ReportHeader;
}

/** Returns a new object, to be held for as long as one frame. */
export function toLogReport(partition: number, { seq, report, header }: BacklogReport): LogReport {
  if (typeof report === 'string') return LogReport.of(partition, seq, report);
  return new LogReport(partition, seq, report, header);
}

/** The positions of a range whose reports repeat a message ID. */
export interface KnownRepeats {
  has(seq: number): boolean;
}

/** What all readers of ranges share. */
export interface LogRangeContext {
  readonly blocks: Pick<LogBlocks, 'read'>;
  readonly eventLog: Pick<EventLog, 'bounds' | 'positionsAt'>;
  readonly topic: string;
  readonly ids: Pick<IdMemory, 'detached' | 'limits'>;
  /**
   * Requests the repeated positions from the owner of the partition. Resolves with undefined if the owner does not know
   * all of the range, or does not reply. Never rejects.
   */
  readonly repeatsOf: (partition: number, from: number, until: number) => Promise<KnownRepeats | undefined>;
  readonly counts: LogRangeCounts;
}

export interface LogRangeCounts {
  /** Ranges that needed a lookback for message IDs. */
  lookbacks: number;
  /** Lookbacks that did not include the whole window of message IDs. */
  shortLookbacks: number;
}

export interface LogRangeOptions {
  /** Maximum of the records of its lookback. Default: `lookbackRecordsMax`. */
  readonly lookbackMax?: number;
  /**
   * Memory for the remembered IDs: see `IdReservation`. If it cannot grow, the oldest IDs are forgotten. What is read
   * then may have duplicates, so the caller discards it, and reads again with more memory. Default: not counted.
   */
  readonly memory?: Pick<Reservation, 'grow'> | undefined;
}

/** A part of a range. */
export interface LogChunk {
  /** Oldest first. */
  readonly reports: BacklogReport[];
  /** The range before them that is not available. */
  readonly missing?: Missing;
}

/**
 * Reads a range of one partition from the log in chunks: the reports of the selected devices, without duplicates, and
 * the ranges that are not available. Used for resuming, replay, catching up and replies to other nodes.
 *
 * **Duplicates.** If this node has read the partition over the range, it knows the repeated positions. If another node
 * owns the partition, they are requested from that node. Otherwise a lookback reads the reports of the selected devices
 * in the window of message IDs before the first report with an ID. A device repeats only its own IDs, so other reports
 * are not decoded.
 *
 * **Retention.** If there are fewer records than positions, the first position of the log is requested. What retention
 * has deleted at the start of the range is `missing`. If retention deletes records during the read, the range stops
 * before them (`isTruncated`): another range from there starts with what is missing.
 *
 * **Unreadable positions** are `missing`, after all reports before them.
 */
export class LogRange {
  /** Everything before it was returned, or is missing. */
  next: number;
  /** Exclusive. */
  readonly until: number;
  /** Whether retention has deleted the next records, up to `first`, exclusive. Nothing follows. */
  isTruncated = false;
  /** The first position of the log, if it was looked up; otherwise 0. */
  first = 0;
  readonly #partition: Partition;
  readonly #covers: (device: string) => boolean;
  readonly #from: number;
  readonly #context: LogRangeContext;
  readonly #options: LogRangeOptions;
  /** Memory of the remembered IDs. */
  #idBytes = 0;
  /** Whether the lookback was too short, which is counted once. */
  #isShort = false;
  /** Set with the first report that has an ID. */
  #repeats: ((record: LogRecord, id: string) => boolean) | undefined;

  constructor(
    partition: Partition,
    covers: (device: string) => boolean,
    range: { readonly from: number; readonly until: number },
    context: LogRangeContext,
    options: LogRangeOptions = {},
  ) {
    this.#partition = partition;
    this.#covers = covers;
    this.#from = range.from;
    this.next = range.from;
    this.until = range.until;
    this.#context = context;
    this.#options = options;
  }

  get isComplete(): boolean {
    return this.isTruncated || this.next >= this.until;
  }

  /**
   * Returns the next chunk, up to `bytesMax` or one report more; it may have no report. Throws if the log cannot be
   * read: the next call returns the same chunk.
   */
  *read(bytesMax: number = Number.POSITIVE_INFINITY): Coroutine<LogChunk> {
    const from = this.next;
    const { number } = this.#partition;
    const block = yield* this.#context.blocks.read(number, from, this.until, this.#covers);
    const isShort = !block.isWhole && positionsIn(block.records, from) < block.next - from;
    if (isShort) this.first = yield* awaited(this.#first());
    const { first } = this;
    if (first > from && from > this.#from) {
      this.isTruncated = true;
      return { reports: [] };
    }
    let { next } = block;
    const reports: BacklogReport[] = [];
    let bytes = 0;
    for (const [i, record] of block.records.entries()) {
      if (i % recordsPerStep === recordsPerStep - 1) yield undefined;
      if (record.unreadable !== undefined && record.unreadable.until > first) {
        next = Math.max(record.seq, first);
        if (next === from) next = Math.min(record.unreadable.until, this.until);
        break;
      }
      // Records that were read before the start of the log moved must not be sent.
      if (record.seq < first || !this.#covers(record.key)) continue;
      const report = yield* this.#reportOf(record);
      if (this.first !== first) return yield* this.read(bytesMax);
      if (report === undefined) continue;
      reports.push(report);
      bytes += report.report.length;
      if (bytes < bytesMax || i + 1 === block.records.length) continue;
      next = record.seq + 1;
      break;
    }
    this.next = Math.max(next, Math.min(first, this.until));
    if (first > from) {
      const to = Math.min(first, this.until) - 1;
      return { reports, missing: { partition: number, from, to, reason: 'retention' } };
    }
    const [head] = block.records;
    if (head?.unreadable === undefined || head.seq > from) return { reports };
    return { reports, missing: { partition: number, from, to: this.next - 1, reason: 'unreadable' } };
  }

  *#reportOf(record: LogRecord): Coroutine<BacklogReport | undefined> {
    const { key, seq, value, timeMs } = record;
    const header = this.#partition.headerOf(key, value);
    if (header === undefined) return undefined;
    if (header.id !== '') {
      this.#repeats ??= yield* this.#findRepeats(record);
      if (this.#repeats?.(record, header.id) !== false) return undefined;
    }
    return { seq, report: value, atMs: timeMs, header };
  }

  async #first(): Promise<number> {
    const { eventLog, topic } = this.#context;
    const { number } = this.#partition;
    return boundsOf(await eventLog.bounds(topic, [number]), number).first;
  }

  /**
   * Returns a function that returns whether a record repeats an ID. `record`: the first one with an ID. Undefined if
   * retention has deleted that record: the log does not have what it may repeat any more.
   */
  *#findRepeats(record: LogRecord): Coroutine<((record: LogRecord, id: string) => boolean) | undefined> {
    const { number, role, next, ids } = this.#partition;
    if (role !== 'elsewhere' && next >= this.until && ids.decidedFrom <= record.seq) return ({ seq }) => ids.has(seq);
    if (role === 'elsewhere') {
      const known = yield* awaited(this.#context.repeatsOf(number, record.seq, this.until));
      if (known !== undefined) return ({ seq }) => known.has(seq);
    }
    const own = yield* this.#lookback(record);
    if (own === undefined) return undefined;
    return ({ key, seq, timeMs }, id) => {
      const repeats = own.repeats(key, id, seq, timeMs);
      this.#takeMemory(own);
      return repeats;
    };
  }

  *#lookback({ seq: until, timeMs }: LogRecord): Coroutine<RecentIds | undefined> {
    const { blocks, eventLog, topic, ids: memory, counts } = this.#context;
    const { number } = this.#partition;
    const { lookbackMax = lookbackRecordsMax } = this.#options;
    const ids = memory.detached(lookbackMax);
    counts.lookbacks++;
    const fromMs = lookbackTimeMs(timeMs, memory.limits.idWindowMs);
    const at = (yield* awaited(eventLog.positionsAt(topic, fromMs, [number])))[number];
    if (at !== undefined && at > until) {
      this.first = yield* awaited(this.#first());
      if (this.first > until) return undefined;
    }
    const start = lookbackStart(at, until, lookbackMax);
    if (start.isShort) this.#countShort();
    for (let { from } = start; from < until; ) {
      const { records, next } = yield* blocks.read(number, from, until, this.#covers);
      for (const [i, { key, seq, value, timeMs: atMs }] of records.entries()) {
        if (i % recordsPerStep === recordsPerStep - 1) yield undefined;
        const id = this.#covers(key) ? this.#partition.headerOf(key, value)?.id : '';
        if (id) ids.repeats(key, id, seq, atMs);
      }
      this.#takeMemory(ids);
      from = next;
    }
    return ids;
  }

  #countShort(): void {
    if (!this.#isShort) this.#context.counts.shortLookbacks++;
    this.#isShort = true;
  }

  /** Takes memory for the growth of the IDs, or forgets the oldest until they fit. */
  #takeMemory(ids: RecentIds): void {
    const { memory } = this.#options;
    while (memory !== undefined && ids.bytes > this.#idBytes) {
      const { bytes } = ids;
      if (memory.grow(bytes - this.#idBytes)) this.#idBytes = bytes;
      else ids.forgetOldest();
    }
  }
}

/** Returns the number of positions from `from` on that the records cover. */
function positionsIn(records: readonly LogRecord[], from: number): number {
  let positions = 0;
  for (const record of records) positions += recordEnd(record) - Math.max(record.seq, from);
  return positions;
}

/** Minimum reservation of a second attempt, bytes: the IDs of a few thousand reports. */
const secondBytesMin = 64 * 1_024;

/**
 * Memory for the message IDs of one reader of the log: a reserved part, and more if it is free. A reader without enough
 * memory has forgotten IDs, so its last result may have duplicates. The result must not be sent, but read again with
 * `nextBytes` reserved before.
 */
export class IdReservation {
  isShort = false;
  readonly #memory: Pick<Reservation, 'grow'>;
  #reservedBytes: number;
  #grantedBytes = 0;
  #wantedBytes = 0;

  /** `reservedBytes`: the part of `memory` that is for IDs. */
  constructor(reservedBytes: number, memory: Pick<Reservation, 'grow'>) {
    this.#reservedBytes = reservedBytes;
    this.#memory = memory;
  }

  /** Bytes to reserve for IDs before the next attempt. */
  get nextBytes(): number {
    return Math.max(secondBytesMin, 2 * this.#wantedBytes);
  }

  grow(bytes: number): boolean {
    this.#wantedBytes = Math.max(this.#wantedBytes, this.#grantedBytes + bytes);
    if (bytes <= this.#reservedBytes) this.#reservedBytes -= bytes;
    else if (!this.#memory.grow(bytes)) {
      this.isShort = true;
      return false;
    }
    this.#grantedBytes += bytes;
    return true;
  }
}
