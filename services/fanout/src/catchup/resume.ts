import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import { Positions } from '@tailrace/protocol/position';
import type { Missing, MissingReason } from '@tailrace/protocol/servermessage';
import type { Arrival } from '../channels/arrival.ts';
import type { Channel } from '../channels/channel.ts';
import type { Ownership } from '../ownership/ownership.ts';
import type { Partition } from '../ownership/partition.ts';
import { Backlog } from './backlog.ts';
import { heldBytesOf, type LogRangeParts } from './log-range.ts';
import type { LogBlocks } from './logblocks.ts';
import type { Reservation } from './memory-budget.ts';
import { readRange } from './partition-backlog.ts';
import { type NotReached, PositionWaits } from './position-waits.ts';
import { windowHas } from './recents.ts';
import type { Steps } from './steps.ts';

export interface ResumeLimits {
  /** Records of one partition read from the log for one subscription; more than that behind is `too_far`. */
  readonly resumeRecordsMax: number;
  /** Bytes of the reports that one subscription is given so, from all partitions. */
  readonly resumeBytesMax: number;
  /** How long a subscription may wait for this node to come as far as its token. */
  readonly joinDeadlineMs: number;
}

/** What one partition has for a client that was away. */
export interface Missed {
  readonly partition: number;
  /** Everything from here on is in `arrivals`, or comes after them. */
  readonly from: number;
  /** Ranges before `from`, or of the positions from there on, that cannot be had. */
  readonly missing?: readonly Missing[];
  /** Oldest first. */
  readonly arrivals: readonly Arrival[];
}

/**
 * How long an answer of the log about the end of a partition is used again, ms: thousands of subscriptions may stop
 * waiting at once.
 */
const endReuseMs = 1_000;

/** Finds what a client missed since its position token: in the window of a partition that this node owns, else in the log. */
export class Resume {
  readonly counts = { fromWindow: 0, fromLog: 0, incomplete: 0 };
  readonly #ownership: Pick<Ownership, 'next' | 'partitions'>;
  /** How it reads the log. */
  readonly ranges: LogRangeParts & { readonly blocks: LogBlocks };
  readonly #epoch: string;
  readonly #clock: Clock;
  readonly #limits: ResumeLimits;
  readonly #waits: PositionWaits;
  /** By partition: the question that was asked last, and when, of the clock's `monotonic`. */
  readonly #ends = new Map<number, { readonly askedMs: number; readonly next: Promise<number> }>();

  constructor(parts: {
    ownership: Pick<Ownership, 'next' | 'partitions'>;
    ranges: LogRangeParts & { readonly blocks: LogBlocks };
    epoch: string;
    clock: Clock;
    limits: ResumeLimits;
  }) {
    this.#ownership = parts.ownership;
    this.#epoch = parts.epoch;
    this.#clock = parts.clock;
    this.#limits = parts.limits;
    this.ranges = parts.ranges;
    const { ownership, clock } = parts;
    const next = (channel: Channel, partition: number) => ownership.next(channel, partition);
    this.#waits = new PositionWaits({ next, clock, deadlineMs: parts.limits.joinDeadlineMs });
  }

  /**
   * Resolves once this node has come as far as the token. Rejects with `invalid_position` where the token is ahead of the log, `unavailable` where
   * this node is behind it.
   */
  async reach(channel: Channel, after: Positions): Promise<void> {
    if (after.epoch !== this.#epoch) return;
    const notReached = await this.#waits.reach(channel, after);
    if (notReached !== undefined) throw await this.#errorOf(notReached);
  }

  /** The client gives a token up that is ahead of the log, and must keep one that only this node cannot serve yet. */
  async #errorOf({ partition, last, next: here, startMs }: NotReached): Promise<TailraceError> {
    const next = await this.#endOf(partition, startMs);
    if (last < next) {
      const why = `this node has come to ${here} of partition ${partition}, and after is at ${last}`;
      return new TailraceError('unavailable', `${why}; try again, here or at another node`);
    }
    return new TailraceError(
      'invalid_position',
      `after is at ${last} of partition ${partition}, where the next report is ${next}; it is ahead of the log`,
    );
  }

  /**
   * The position of the next record of a partition; infinite where the log does not know it. The answer is not older
   * than `endReuseMs`, and was asked for after `sinceMs`: a token that was issued before then cannot be ahead of it.
   */
  #endOf(partition: number, sinceMs: number): Promise<number> {
    const nowMs = this.#clock.monotonic();
    const known = this.#ends.get(partition);
    if (known !== undefined && known.askedMs >= sinceMs && nowMs - known.askedMs <= endReuseMs) return known.next;
    const { log, topic } = this.ranges;
    const asked = {
      askedMs: nowMs,
      next: log.bounds(topic, [partition]).then((bounds) => bounds[partition]?.next ?? Number.POSITIVE_INFINITY),
    };
    this.#ends.set(partition, asked);
    // A failure is not used again.
    asked.next.catch(() => this.#ends.get(partition) === asked && this.#ends.delete(partition));
    return asked.next;
  }

  /** To be read a little at a time: everything of the channel after the position, up to where `untils` says, partition by partition. */
  backlog(channel: Channel, after: Positions, untils: readonly number[], memory?: Pick<Reservation, 'grow'>): Backlog {
    const ranges = channel.partitions.map((number, i) => ({
      partition: this.#ownership.partitions[number]!,
      from: (after.last(number) ?? -1) + 1,
      until: untils[i]!,
    }));
    return new Backlog(channel, ranges, this.ranges, memory);
  }

  /**
   * The position at which everything was appended from `timeMs` on, and what of that may be missing: before the first
   * record kept there may have been others, if that one is not older. Where the window reaches back so far, the log is
   * not asked: else each of a client's requests would be several of this node's to the brokers.
   */
  async since(channel: Channel, timeMs: number): Promise<{ positions: Positions; missing: Missing[] }> {
    const { log, topic } = this.ranges;
    const positions = new Positions(this.#epoch);
    const asked: number[] = [];
    for (const number of channel.partitions) {
      const start = this.#startInWindow(channel, number, timeMs);
      if (start === undefined) asked.push(number);
      else positions.advance(number, start - 1);
    }
    const missing: Missing[] = [];
    if (asked.length === 0) return { positions, missing };
    const [starts, bounds] = await Promise.all([log.positionsAt(topic, timeMs, asked), log.bounds(topic, asked)]);
    for (const number of asked) {
      const first = bounds[number]?.first;
      if (first === undefined) throw new TailraceError('unavailable', `partition ${number} of the log does not answer`);
      // What this node has not worked through yet comes as it does.
      const start = Math.min(starts[number]!, this.#ownership.next(channel, number));
      positions.advance(number, start - 1);
      if (start <= first && first > 0) missing.push({ partition: number, from: 0, to: first - 1, reason: 'retention' });
    }
    return { positions, missing };
  }

  #startInWindow(channel: Channel, number: number, timeMs: number): number | undefined {
    const partition = this.#ownership.partitions[number]!;
    const next = this.#ownership.next(channel, number);
    if (!windowHas(partition, partition.window.from, next)) return undefined;
    return partition.window.positionAt(timeMs, next);
  }

  /**
   * Everything of the channel after the token, up to where the channel is at the time of the call. Undefined where
   * `memory` cannot grow as far as that takes. A partition with which it would be more than `resumeBytesMax` is
   * `too_far`.
   */
  *missed(channel: Channel, after: Positions, memory: Pick<Reservation, 'grow'>): Steps<Missed[] | undefined> {
    const untils = channel.partitions.map((partition) => this.#ownership.next(channel, partition));
    const room = { bytes: this.#limits.resumeBytesMax, isShort: false, memory };
    const missed: Missed[] = [];
    for (const [i, number] of channel.partitions.entries()) {
      const found = yield* this.#partition(channel, this.#ownership.partitions[number]!, after, untils[i]!, room);
      if (room.isShort) return undefined;
      if (found.missing !== undefined) this.counts.incomplete++;
      missed.push(found);
    }
    return missed;
  }

  *#partition(channel: Channel, partition: Partition, after: Positions, until: number, room: Room): Steps<Missed> {
    const { number } = partition;
    if (after.epoch !== this.#epoch) return nothing(number, 0, until, 'epoch');
    const last = after.last(number);
    if (last === undefined) return nothing(number, 0, until, 'unknown');
    const from = last + 1;
    if (from >= until) return { partition: number, from: until, arrivals: [] };
    if (windowHas(partition, from, until)) this.counts.fromWindow++;
    else if (until - from > this.#limits.resumeRecordsMax) return nothing(number, from, until, 'too_far');
    else this.counts.fromLog++;
    const take = (arrival: Arrival) => fits(arrival, room);
    const memory = { grow: (bytes: number) => hasMemory(bytes, room) };
    const found = yield* readRange(channel, partition, { from, until }, this.ranges, take, { memory });
    if (found.until < until) return nothing(number, from, until, 'too_far');
    const { missing } = found;
    const arrivals = found.reports.map(({ arrival }) => arrival);
    return { partition: number, from: found.from, ...(missing.length === 0 ? {} : { missing }), arrivals };
  }
}

/** For what one subscription is given at once. */
interface Room {
  bytes: number;
  /** There is not as much memory now. */
  isShort: boolean;
  readonly memory: Pick<Reservation, 'grow'>;
}

function fits(arrival: Arrival, room: Room): boolean {
  room.bytes -= arrival.bytes.length;
  if (room.bytes < 0) return false;
  return hasMemory(heldBytesOf(arrival), room);
}

function hasMemory(bytes: number, room: Room): boolean {
  room.isShort ||= !room.memory.grow(bytes);
  return !room.isShort;
}

function nothing(partition: number, from: number, until: number, reason: MissingReason): Missed {
  if (until <= from) return { partition, from: until, arrivals: [] };
  return { partition, from: until, missing: [{ partition, from, to: until - 1, reason }], arrivals: [] };
}
