import type { EventLog } from '@tailrace/eventlog/eventlog';
import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import { Positions } from '@tailrace/protocol/position';
import type { Missing, MissingReason } from '@tailrace/protocol/servermessage';
import { Arrival } from '../channels/arrival.ts';
import type { Channel } from '../channels/channel.ts';
import type { Ownership } from '../ownership/ownership.ts';
import type { Partition } from '../ownership/partition.ts';
import { repeatRecordsMax } from '../ownership/recentids.ts';
import { Backlog } from './backlog.ts';
import { LogBlocks } from './logblocks.ts';
import { isReadTo, recentsOf, windowHas } from './recents.ts';

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

const waitMs = 10;
const blocksMax = 128;

/** Finds what a client missed since its position token: in the window of a partition that this node owns, else in the log. */
export class Resume {
  readonly counts = { fromWindow: 0, fromLog: 0, incomplete: 0 };
  readonly blocks: LogBlocks;
  readonly #ownership: Pick<Ownership, 'next' | 'partitions'>;
  readonly #log: Pick<EventLog, 'read' | 'bounds' | 'positionsAt'>;
  readonly #topic: string;
  readonly #epoch: string;
  readonly #clock: Clock;
  readonly #limits: ResumeLimits;

  constructor(parts: {
    ownership: Pick<Ownership, 'next' | 'partitions'>;
    log: Pick<EventLog, 'read' | 'bounds' | 'positionsAt'>;
    topic: string;
    epoch: string;
    clock: Clock;
    limits: ResumeLimits;
  }) {
    this.#ownership = parts.ownership;
    this.#log = parts.log;
    this.#topic = parts.topic;
    this.#epoch = parts.epoch;
    this.#clock = parts.clock;
    this.#limits = parts.limits;
    this.blocks = new LogBlocks(parts.log, parts.topic, blocksMax);
  }

  /**
   * Resolves once this node has come as far as the token. Rejects with `invalid_position` where the token is ahead of the log, `unavailable` where
   * this node is behind it.
   */
  async reach(channel: Channel, after: Positions): Promise<void> {
    if (after.epoch !== this.#epoch) return;
    const deadline = this.#clock.monotonic() + this.#limits.joinDeadlineMs;
    for (const partition of channel.partitions) {
      while ((after.last(partition) ?? -1) >= this.#ownership.next(channel, partition)) {
        if (this.#clock.monotonic() > deadline) {
          throw await this.#notReached(partition, after.last(partition)!, this.#ownership.next(channel, partition));
        }
        await this.#clock.sleep(waitMs);
      }
    }
  }

  /** The client gives a token up that is ahead of the log, and must keep one that only this node cannot serve yet. */
  async #notReached(partition: number, last: number, here: number): Promise<TailraceError> {
    const { next = 0 } = (await this.#log.bounds(this.#topic, [partition]))[partition] ?? {};
    if (last < next) {
      const why = `this node has come to ${here} of partition ${partition}, and after is at ${last}`;
      return new TailraceError('unavailable', `${why}; try again, here or at another node`);
    }
    return new TailraceError(
      'invalid_position',
      `after is at ${last} of partition ${partition}, where the next report is ${next}; it is ahead of the log`,
    );
  }

  /** To be read a little at a time: everything of the channel after the position, up to where `untils` says, partition by partition. */
  backlog(channel: Channel, after: Positions, untils: readonly number[]): Backlog {
    const ranges = channel.partitions.map((number, i) => ({
      partition: this.#ownership.partitions[number]!,
      from: (after.last(number) ?? -1) + 1,
      until: untils[i]!,
    }));
    return new Backlog(channel, ranges, { blocks: this.blocks, log: this.#log, topic: this.#topic });
  }

  /**
   * The position at which everything was appended from `timeMs` on, and what of that may be missing: before the first record kept there may have been others, if
   * that one is not older.
   */
  async since(channel: Channel, timeMs: number): Promise<{ positions: Positions; missing: Missing[] }> {
    const [starts, bounds] = await Promise.all([
      this.#log.positionsAt(this.#topic, timeMs, channel.partitions),
      this.#log.bounds(this.#topic, channel.partitions),
    ]);
    const positions = new Positions(this.#epoch);
    const missing: Missing[] = [];
    for (const number of channel.partitions) {
      const { first = 0 } = bounds[number] ?? {};
      // What this node has not worked through yet comes as it does.
      const start = Math.min(starts[number]!, this.#ownership.next(channel, number));
      positions.advance(number, start - 1);
      if (start <= first && first > 0) missing.push({ partition: number, from: 0, to: first - 1, reason: 'retention' });
    }
    return { positions, missing };
  }

  /** Everything of the channel after the token, up to where the channel is at the time of the call. */
  async missed(channel: Channel, after: Positions): Promise<Missed[]> {
    const untils = channel.partitions.map((partition) => this.#ownership.next(channel, partition));
    const missed: Missed[] = [];
    let bytes = 0;
    for (const [i, number] of channel.partitions.entries()) {
      let found = await this.#partition(channel, this.#ownership.partitions[number]!, after, untils[i]!);
      bytes += found.arrivals.reduce((sum, arrival) => sum + arrival.bytes.length, 0);
      if (bytes > this.#limits.resumeBytesMax) {
        // What retention took lies before `from`, what the log cannot read behind it.
        found = nothing(number, Math.min(found.from, found.missing?.[0]?.from ?? found.from), untils[i]!, 'too_far');
      }
      if (found.missing !== undefined) this.counts.incomplete++;
      missed.push(found);
    }
    return missed;
  }

  async #partition(channel: Channel, partition: Partition, after: Positions, until: number): Promise<Missed> {
    const { number } = partition;
    if (after.epoch !== this.#epoch) return nothing(number, 0, until, 'epoch');
    const last = after.last(number);
    if (last === undefined) return nothing(number, 0, until, 'unknown');
    const from = last + 1;
    if (from >= until) return { partition: number, from: until, arrivals: [] };
    if (windowHas(partition, from, until)) {
      this.counts.fromWindow++;
      return { partition: number, from, arrivals: fromWindow(channel, partition, from, until) };
    }
    if (until - from > this.#limits.resumeRecordsMax) return nothing(number, from, until, 'too_far');
    this.counts.fromLog++;
    return await this.#fromLog(channel, partition, from, until);
  }

  async #fromLog(channel: Channel, partition: Partition, from: number, until: number): Promise<Missed> {
    const { number } = partition;
    const delivers = partition.replay();
    const lookFrom = isReadTo(partition, from, until) ? from : Math.max(0, from - repeatRecordsMax);
    const arrivals: Arrival[] = [];
    const missing: Missing[] = [];
    let count = 0;
    for await (const records of this.blocks.read(number, lookFrom, until)) {
      for (const { key, seq, value, unreadable } of records) {
        if (unreadable !== undefined && unreadable.until > from) {
          const first = Math.max(seq, from);
          missing.push({ partition: number, from: first, to: unreadable.until - 1, reason: 'unreadable' });
          count += unreadable.until - first;
        } else if (seq >= from) count++;
        // First, because most are others', and looking into each costs more than all else: a device repeats only its own message IDs.
        if (!channel.covers(key)) continue;
        const arrival = new Arrival(number, seq, value);
        if (delivers(arrival, key) && seq >= from) arrivals.push(arrival);
      }
    }
    // Every position was there. Else retention may have been here, before the first block or between two.
    const found = { partition: number, from, ...(missing.length === 0 ? {} : { missing }), arrivals };
    if (count === until - from) return found;
    const first = (await this.#log.bounds(this.#topic, [number]))[number]?.first ?? from;
    if (first <= from) return found;
    const gone: Missing = { partition: number, from, to: Math.min(first, until) - 1, reason: 'retention' };
    return {
      partition: number,
      from: first,
      missing: [gone, ...missing.flatMap((range) => behind(range, first))],
      arrivals: arrivals.filter((arrival) => arrival.seq >= first),
    };
  }
}

/** What of a range lies at a position or after it. */
function behind(range: Missing, first: number): Missing[] {
  return range.to < first ? [] : [{ ...range, from: Math.max(range.from, first) }];
}

function nothing(partition: number, from: number, until: number, reason: MissingReason): Missed {
  if (until <= from) return { partition, from: until, arrivals: [] };
  return { partition, from: until, missing: [{ partition, from, to: until - 1, reason }], arrivals: [] };
}

function fromWindow(channel: Channel, partition: Partition, from: number, until: number): Arrival[] {
  const arrivals: Arrival[] = [];
  for (const { seq, report, device } of recentsOf(channel, partition, from)) {
    if (seq < until && channel.covers(device.path)) arrivals.push(Arrival.of(partition.number, seq, report));
  }
  return arrivals;
}
