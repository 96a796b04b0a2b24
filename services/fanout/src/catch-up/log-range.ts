import { type EventLog, type LogRecord, recordEnd } from '@tailrace/eventlog/event-log';
import { TailraceError } from '@tailrace/protocol/error';
import type { Missing } from '@tailrace/protocol/server-message';
import { LogReport } from '../channels/log-report.ts';
import type { Partition } from '../ownership/partition.ts';
import { type IdMemory, lookbackStart, lookbackTimeMs, type RecentIds } from '../ownership/recent-ids.ts';
import type { LogBlocks } from './log-blocks.ts';
import type { Reservation } from './memory-budget.ts';
import { awaited, type Steps } from './steps.ts';

/** Records of a lookback, at most: with more than these in the window, the window is shorter. */
export const lookbackRecordsMax = 100_000;
/** Records read in one step: a tenth of a millisecond. */
const recordsPerStep = 100;

/** Returns what a report takes while it is held, bytes, about: its bytes, the text it is sent as, and the objects. */
export function heldBytesOf({ bytes }: LogReport): number {
  return 3 * bytes.length + 200;
}

/** A report of the log. */
export interface BacklogReport {
  readonly logReport: LogReport;
  /** When it was appended, epoch ms. */
  readonly timeMs: number;
}

/** Which positions of a range hold a report that repeats a message ID. */
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
   * Returns what another node that owns the partition knows of it; undefined where it does not know all of the range,
   * or does not answer. Never rejects.
   */
  readonly repeatsOf?:
    | ((partition: number, from: number, until: number) => Promise<KnownRepeats | undefined>)
    | undefined;
  readonly counts: LogRangeCounts;
}

export interface LogRangeCounts {
  /** Ranges that needed a lookback for message IDs; and lookbacks that were too short. */
  lookbacks: number;
  shortLookbacks: number;
}

export interface LogRangeOptions {
  /** Records of its lookback, at most. Default `lookbackRecordsMax`. */
  readonly lookbackMax?: number;
  /**
   * For the IDs that it remembers: see `IdReservation`. Where it cannot grow, the oldest IDs are forgotten: what is
   * read then may hold repetitions, so the caller discards it, and reads again with more. Default: not counted.
   */
  readonly memory?: Pick<Reservation, 'grow'> | undefined;
}

/** A part of a range. */
export interface LogChunk {
  /** Oldest first. */
  readonly reports: BacklogReport[];
  /** What is not available before them. */
  readonly missing?: Missing;
}

/**
 * Reads a range of one partition from the log, a chunk at a time: the reports of the devices that are selected,
 * without those that repeat a message ID, and what of the range is not available. Resuming, replaying, catching up and
 * answering other nodes read the log by this.
 *
 * **Repetitions.** Where the partition is here and was read over the range, it is known which positions repeat an ID.
 * Where another node owns it, that node is asked. Else a lookback reads the reports of the selected devices, by the
 * window of message IDs before the first that has one. A device repeats only its own IDs, so that the others need
 * not be decoded.
 *
 * **Retention.** Where fewer records come than there are positions, the log is asked for its first position. What it
 * has deleted at the start of the range is `missing`. What it deletes while the range is read stops the range before
 * (`isTruncated`): another range from there starts with what is missing.
 *
 * **What the log cannot read** is `missing`, after all reports before it.
 */
export class LogRange {
  /** Everything before has been returned, or is missing. */
  next: number;
  /** Exclusive. */
  readonly until: number;
  /** Retention has deleted what comes next, up to `first`, exclusive. Nothing more comes. */
  isTruncated = false;
  /** The first position that the log was found to have; 0: that was not looked up. */
  first = 0;
  readonly #partition: Partition;
  readonly #covers: (device: string) => boolean;
  readonly #from: number;
  readonly #context: LogRangeContext;
  readonly #options: LogRangeOptions;
  /** Memory that the remembered IDs have taken. */
  #idBytes = 0;
  /** The lookback was too short: counted once. */
  #isShort = false;
  /** Known once a report has an ID. */
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
   * Returns the next chunk, of `bytesMax` or one report more; it may have none. Throws where the log cannot be read:
   * the same chunk comes with the next call.
   */
  *read(bytesMax: number = Number.POSITIVE_INFINITY): Steps<LogChunk> {
    const from = this.next;
    const { number } = this.#partition;
    const block = yield* this.#context.blocks.read(number, from, this.until);
    if (positionsIn(block.records, from) < block.next - from) this.first = yield* awaited(this.#first());
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
      // What was read while the start of the log moved is not to be sent.
      if (record.seq < first) continue;
      const report = yield* this.#reportOf(record);
      if (this.first !== first) return yield* this.read(bytesMax);
      if (report === undefined) continue;
      reports.push(report);
      bytes += report.logReport.bytes.length;
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

  *#reportOf(record: LogRecord): Steps<BacklogReport | undefined> {
    const { key, seq, value, timeMs } = record;
    if (!this.#covers(key)) return undefined;
    const header = this.#partition.headerOf(key, value);
    if (header === undefined) return undefined;
    if (header.id !== '') {
      this.#repeats ??= yield* this.#findRepeats(record);
      if (this.#repeats?.(record, header.id) !== false) return undefined;
    }
    return { logReport: new LogReport(this.#partition.number, seq, value, header), timeMs };
  }

  async #first(): Promise<number> {
    const { eventLog, topic } = this.#context;
    const { number } = this.#partition;
    const bounds = (await eventLog.bounds(topic, [number]))[number];
    if (bounds === undefined) {
      throw new TailraceError('unavailable', `expected the bounds of partition ${number}, got none: no broker answers`);
    }
    return bounds.first;
  }

  /**
   * From the first record on that has an ID. Undefined where retention has deleted it: it was remembered, and what it
   * may repeat is not in the log any more.
   */
  *#findRepeats(record: LogRecord): Steps<((record: LogRecord, id: string) => boolean) | undefined> {
    const { number, role, next, ids } = this.#partition;
    if (role !== 'elsewhere' && next >= this.until && ids.decidedFrom <= record.seq) return ({ seq }) => ids.has(seq);
    if (role === 'elsewhere') {
      const asked = this.#context.repeatsOf?.(number, record.seq, this.until);
      const known = asked === undefined ? undefined : yield* awaited(asked);
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

  *#lookback({ seq: until, timeMs }: LogRecord): Steps<RecentIds | undefined> {
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
      const { records, next } = yield* blocks.read(number, from, until);
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

  /** Takes memory for what the IDs have grown by, or forgets the oldest until they fit. */
  #takeMemory(ids: RecentIds): void {
    const { memory } = this.#options;
    while (memory !== undefined && ids.bytes > this.#idBytes) {
      const { bytes } = ids;
      if (memory.grow(bytes - this.#idBytes)) this.#idBytes = bytes;
      else ids.forgetOldest();
    }
  }
}

/** Returns the number of positions from `from` on that these records account for. */
function positionsIn(records: readonly LogRecord[], from: number): number {
  let positions = 0;
  for (const record of records) positions += recordEnd(record) - Math.max(record.seq, from);
  return positions;
}

/** Of a second attempt, at least: the IDs of a few thousand reports. */
const secondBytesMin = 64 * 1_024;

/**
 * Memory for the message IDs that one reader of the log remembers: so much of it is reserved, and more is taken where
 * it is free. A reader that was short of it has forgotten IDs, so what it returned last may hold repetitions. That is
 * not to be sent, but to be read again with `nextBytes` reserved before.
 */
export class IdReservation {
  isShort = false;
  readonly #memory: Pick<Reservation, 'grow'>;
  #reservedBytes: number;
  #grantedBytes = 0;
  #wantedBytes = 0;

  /** `reservedBytes`: the part of what `memory` holds that is for IDs. */
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
