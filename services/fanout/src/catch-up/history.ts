import { boundsOf } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import { Positions } from '@tailrace/protocol/position';
import type { Missing, MissingReason } from '@tailrace/protocol/server-message';
import type { Channel } from '../channels/channels.ts';
import type { PartitionTable } from '../ownership/partition-table.ts';
import { Backlog, readRange, windowHas } from './backlog.ts';
import type { Coroutine } from './coroutine.ts';
import type { LogBlocks } from './log-blocks.ts';
import { type BacklogReport, heldBytesOf, type LogRangeContext } from './log-range.ts';
import type { Reservation } from './memory-budget.ts';
import { type NotReached, PositionWaits } from './position-waits.ts';

export interface HistoryLimits {
  /** Records of one partition that are read from the log for one subscription; a larger backlog is `too_far`. */
  readonly resumeRecordsMax: number;
  /** Bytes of the reports that one subscription resumes with, from all partitions. */
  readonly resumeBytesMax: number;
  /** How long a subscription may wait until this node has reached its token. */
  readonly joinDeadlineMs: number;
}

/** The reports after a position token, up to the position of the channel at the time of the read. */
export interface ResumeBacklog {
  /** Everything after it is in `parts`, or follows them. */
  readonly position: Positions;
  /** `parts` are complete up to it. */
  readonly reached: Positions;
  /** Ranges before `position`, or between the reports, that are not available. */
  readonly missing: readonly Missing[];
  /** By partition, then oldest first. */
  readonly parts: readonly { readonly partition: number; readonly reports: readonly BacklogReport[] }[];
}

/** How long the end offset of a partition is reused, ms: thousands of waits may expire at once. */
const endReuseMs = 1_000;

/**
 * The history of channels on this node. Waits for positions, finds the position of a time, and reads the reports after
 * a position, from the window of a partition that this node owns or from the log.
 */
export class History {
  /** Partitions with which subscriptions resumed: from the window, from the log, and with something missing. */
  readonly counts = { fromWindow: 0, fromLog: 0, incomplete: 0 };
  /** The context of its reads of the log. */
  readonly ranges: LogRangeContext & { readonly blocks: LogBlocks };
  readonly #table: Pick<PartitionTable, 'next' | 'partitions'>;
  readonly #epoch: string;
  readonly #clock: Clock;
  readonly #limits: HistoryLimits;
  readonly #waits: PositionWaits;
  /** By partition: the last request for its end offset, and when it was sent, monotonic ms. */
  readonly #nexts = new Map<number, { readonly requestedMs: number; readonly next: Promise<number> }>();

  constructor(options: {
    table: Pick<PartitionTable, 'next' | 'partitions'>;
    ranges: LogRangeContext & { readonly blocks: LogBlocks };
    epoch: string;
    clock: Clock;
    limits: HistoryLimits;
  }) {
    const { table, ranges, epoch, clock, limits } = options;
    this.#table = table;
    this.ranges = ranges;
    this.#epoch = epoch;
    this.#clock = clock;
    this.#limits = limits;
    const next = (channel: Channel, partition: number) => table.next(channel, partition);
    this.#waits = new PositionWaits({ next, clock, deadlineMs: limits.joinDeadlineMs });
  }

  /**
   * Resolves once this node has reached a token. Rejects with `invalid_position` if the token is ahead of the log, with
   * `unavailable` if this node is behind it.
   */
  async reach(channel: Channel, after: Positions): Promise<void> {
    if (after.epoch !== this.#epoch) return;
    const notReached = await this.#waits.reach(channel, after);
    if (notReached !== undefined) throw await this.#errorOf(notReached);
  }

  /** A client drops a token that is ahead of the log, and must keep one that only this node cannot serve yet. */
  async #errorOf({ partition, last, next: here, startMs }: NotReached): Promise<TailraceError> {
    const next = await this.#endOf(partition, startMs);
    if (last < next) {
      const expected = `a position below ${here} in partition ${partition}, which this node has reached`;
      return new TailraceError('unavailable', `after: expected ${expected}, got ${last}: try again, here or elsewhere`);
    }
    return new TailraceError(
      'invalid_position',
      `after: expected a position below ${next} in partition ${partition}, got ${last}: it is ahead of the log`,
    );
  }

  /**
   * Returns the position of the next record of a partition; infinite if the log does not return it. It is at most
   * `endReuseMs` old, and was requested after `sinceMs`: a token issued before then cannot be ahead of it.
   */
  #endOf(partition: number, sinceMs: number): Promise<number> {
    const nowMs = this.#clock.monotonic();
    const known = this.#nexts.get(partition);
    if (known !== undefined && known.requestedMs >= sinceMs && nowMs - known.requestedMs <= endReuseMs)
      return known.next;
    const { eventLog, topic } = this.ranges;
    const request = {
      requestedMs: nowMs,
      next: eventLog.bounds(topic, [partition]).then((bounds) => bounds[partition]?.next ?? Number.POSITIVE_INFINITY),
    };
    this.#nexts.set(partition, request);
    // An error is not reused.
    request.next.catch(() => this.#nexts.get(partition) === request && this.#nexts.delete(partition));
    return request.next;
  }

  /** Returns a reader of the reports of the channel after the position, up to `untils`, one for each partition. */
  backlog(channel: Channel, after: Positions, untils: readonly number[], memory?: Pick<Reservation, 'grow'>): Backlog {
    const ranges = channel.partitions.map((number, i) => ({
      partition: this.#table.partitions[number]!,
      from: (after.last(number) ?? -1) + 1,
      until: untils[i]!,
    }));
    return new Backlog(channel, ranges, this.ranges, memory);
  }

  /**
   * Returns the position after which everything was appended at `timeMs` or later, and the ranges that may be missing:
   * if the first record of the log is not older than `timeMs`, others may have been before it. Queries the log only for
   * partitions whose window does not go back to that time, because a client's request must not cost several requests to
   * the brokers. Rejects with `unavailable` if the broker of a partition does not answer.
   */
  async since(channel: Channel, timeMs: number): Promise<{ position: Positions; missing: Missing[] }> {
    const { eventLog, topic } = this.ranges;
    const position = new Positions(this.#epoch);
    const queried: number[] = [];
    for (const number of channel.partitions) {
      const start = this.#startInWindow(channel, number, timeMs);
      if (start === undefined) queried.push(number);
      else position.advance(number, start - 1);
    }
    const missing: Missing[] = [];
    if (queried.length === 0) return { position, missing };
    const [starts, bounds] = await Promise.all([
      eventLog.positionsAt(topic, timeMs, queried),
      eventLog.bounds(topic, queried),
    ]);
    for (const number of queried) {
      const { first } = boundsOf(bounds, number);
      // Reports that this node has not processed yet come live.
      const start = Math.min(starts[number]!, this.#table.next(channel, number));
      position.advance(number, start - 1);
      if (start <= first && first > 0) missing.push({ partition: number, from: 0, to: first - 1, reason: 'retention' });
    }
    return { position, missing };
  }

  #startInWindow(channel: Channel, number: number, timeMs: number): number | undefined {
    const partition = this.#table.partitions[number]!;
    const next = this.#table.next(channel, number);
    if (!windowHas(partition, partition.window.from, next)) return undefined;
    return partition.window.positionAt(timeMs, next);
  }

  /**
   * Reads the reports of the channel after a token into memory, up to the position of the channel at the time of the
   * call: only then the missing ranges are known exactly. A partition is read whole or not at all. It is `too_far` if
   * it exceeds `resumeBytesMax`, or is more than `resumeRecordsMax` behind. Returns undefined if `memory` cannot grow
   * enough.
   */
  *resume(channel: Channel, after: Positions, memory: Pick<Reservation, 'grow'>): Coroutine<ResumeBacklog | undefined> {
    const untils = channel.partitions.map((partition) => this.#table.next(channel, partition));
    const budget = new ResumeBudget(this.#limits.resumeBytesMax, memory);
    const position = new Positions(this.#epoch);
    const reached = new Positions(this.#epoch);
    const missing: Missing[] = [];
    const parts: { partition: number; reports: readonly BacklogReport[] }[] = [];
    for (const [i, number] of channel.partitions.entries()) {
      const until = untils[i]!;
      const part = yield* this.#resumePartition(channel, number, after, until, budget);
      if (budget.isShort) return undefined;
      if (part.missing.length > 0) this.counts.incomplete++;
      position.advance(number, part.from - 1);
      reached.advance(number, until - 1);
      missing.push(...part.missing);
      parts.push({ partition: number, reports: part.reports });
    }
    return { position, reached, missing, parts };
  }

  *#resumePartition(
    channel: Channel,
    number: number,
    after: Positions,
    until: number,
    budget: ResumeBudget,
  ): Coroutine<ResumePart> {
    if (after.epoch !== this.#epoch) return allMissing(number, 0, until, 'epoch');
    const last = after.last(number);
    if (last === undefined) return allMissing(number, 0, until, 'unknown');
    const from = last + 1;
    if (from >= until) return { from: until, missing: [], reports: [] };
    const partition = this.#table.partitions[number]!;
    if (windowHas(partition, from, until)) this.counts.fromWindow++;
    else if (until - from > this.#limits.resumeRecordsMax) return allMissing(number, from, until, 'too_far');
    else this.counts.fromLog++;
    const take = (report: BacklogReport) => budget.take(report);
    const found = yield* readRange(channel, { partition, from, until }, this.ranges, take, { memory: budget });
    if (found.until < until) return allMissing(number, from, until, 'too_far');
    return { from: found.from, missing: found.missing, reports: found.reports };
  }
}

/** The bytes that one resuming subscription may read. */
class ResumeBudget {
  /** Whether `memory` could not grow enough. */
  isShort = false;
  #leftBytes: number;
  readonly #memory: Pick<Reservation, 'grow'>;

  constructor(bytesMax: number, memory: Pick<Reservation, 'grow'>) {
    this.#leftBytes = bytesMax;
    this.#memory = memory;
  }

  /** Returns whether the report may be read as well. */
  take(report: BacklogReport): boolean {
    this.#leftBytes -= report.report.length;
    return this.#leftBytes >= 0 && this.grow(heldBytesOf(report));
  }

  grow(bytes: number): boolean {
    this.isShort ||= !this.#memory.grow(bytes);
    return !this.isShort;
  }
}

/** The part of a `ResumeBacklog` of one partition. */
interface ResumePart {
  /** Everything from here on is in `reports`, or follows them. */
  readonly from: number;
  readonly missing: readonly Missing[];
  readonly reports: readonly BacklogReport[];
}

function allMissing(partition: number, from: number, until: number, reason: MissingReason): ResumePart {
  const missing = until <= from ? [] : [{ partition, from, to: until - 1, reason }];
  return { from: until, missing, reports: [] };
}
