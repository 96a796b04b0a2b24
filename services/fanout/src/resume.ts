import type { EventLog } from '@tailrace/eventlog/eventlog';
import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import type { Positions } from '@tailrace/protocol/position';
import type { Missing, MissingReason } from '@tailrace/protocol/servermessage';
import { Arrival } from './arrival.ts';
import type { Channel } from './channel.ts';
import { LogBlocks } from './logblocks.ts';
import type { Ownership } from './ownership.ts';
import type { Partition } from './partition.ts';

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
  readonly missing?: Missing;
  /** Oldest first. */
  readonly arrivals: readonly Arrival[];
}

/**
 * Records before the token that are read as well where this node does not know the partition's message IDs, so that a report repeated across that border is not
 * shown again.
 */
const lookbackRecords = 1_000;
const waitMs = 10;
const blocksMax = 128;

/** Finds what a client missed since its position token: in the window of a partition that this node owns, else in the log. */
export class Resume {
  readonly counts = { fromWindow: 0, fromLog: 0, incomplete: 0 };
  readonly blocks: LogBlocks;
  readonly #ownership: Pick<Ownership, 'next' | 'partitions'>;
  readonly #log: Pick<EventLog, 'read' | 'bounds'>;
  readonly #topic: string;
  readonly #epoch: string;
  readonly #clock: Clock;
  readonly #limits: ResumeLimits;

  constructor(parts: {
    ownership: Pick<Ownership, 'next' | 'partitions'>;
    log: Pick<EventLog, 'read' | 'bounds'>;
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

  /** Resolves once this node has come as far as the token. Rejects with `invalid_position` where it does not: the token is ahead of the log. */
  async reach(channel: Channel, after: Positions): Promise<void> {
    if (after.epoch !== this.#epoch) return;
    const deadline = this.#clock.monotonic() + this.#limits.joinDeadlineMs;
    for (const partition of channel.partitions) {
      while ((after.last(partition) ?? -1) >= this.#ownership.next(channel, partition)) {
        if (this.#clock.monotonic() > deadline) {
          const here = this.#ownership.next(channel, partition);
          throw new TailraceError(
            'invalid_position',
            `after is at ${after.last(partition)} of partition ${partition}, where the next report is ${here}; it is ahead of the log`,
          );
        }
        await this.#clock.sleep(waitMs);
      }
    }
  }

  /** Everything of the channel after the token, up to where the channel is at the time of the call. */
  async missed(channel: Channel, after: Positions): Promise<Missed[]> {
    const untils = channel.partitions.map((partition) => this.#ownership.next(channel, partition));
    const missed: Missed[] = [];
    let bytes = 0;
    for (const [i, number] of channel.partitions.entries()) {
      let found = await this.#partition(channel, this.#ownership.partitions[number]!, after, untils[i]!);
      bytes += found.arrivals.reduce((sum, arrival) => sum + arrival.bytes.length, 0);
      if (bytes > this.#limits.resumeBytesMax)
        found = nothing(number, found.missing?.from ?? found.from, untils[i]!, 'too_far');
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
    if (partition.role !== 'elsewhere' && partition.window.from <= from) {
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
    const lookFrom = partition.role === 'elsewhere' ? Math.max(0, from - lookbackRecords) : from;
    const arrivals: Arrival[] = [];
    let firstRead: number | undefined;
    for await (const record of this.blocks.read(number, lookFrom, until)) {
      firstRead ??= record.seq;
      const arrival = new Arrival(number, record.seq, record.value);
      if (delivers(arrival, record.key) && record.seq >= from && channel.covers(record.key)) arrivals.push(arrival);
    }
    // The beginning is there: nothing can be missing, and the log need not be asked where it begins.
    if (firstRead !== undefined && firstRead <= from) return { partition: number, from, arrivals };
    const first = (await this.#log.bounds(this.#topic))[number]?.first ?? from;
    if (first <= from) return { partition: number, from, arrivals };
    return {
      partition: number,
      from: first,
      missing: { partition: number, from, to: Math.min(first, until) - 1, reason: 'retention' satisfies MissingReason },
      arrivals: arrivals.filter((arrival) => arrival.seq >= first),
    };
  }
}

function nothing(partition: number, from: number, until: number, reason: MissingReason): Missed {
  if (until <= from) return { partition, from: until, arrivals: [] };
  return { partition, from: until, missing: { partition, from, to: until - 1, reason }, arrivals: [] };
}

function fromWindow(channel: Channel, partition: Partition, from: number, until: number): Arrival[] {
  const device = partition.devices.get(channel.pattern);
  const arrivals: Arrival[] = [];
  if (channel.partitions.length === 1) {
    if (device === undefined) return arrivals;
    for (const { seq, bytes } of partition.window.ofDevice(device, from)) {
      if (seq < until) arrivals.push(new Arrival(partition.number, seq, bytes));
    }
    return arrivals;
  }
  for (const { seq, bytes, device: each } of partition.window.since(from)) {
    if (seq < until && channel.covers(each.path)) arrivals.push(new Arrival(partition.number, seq, bytes));
  }
  return arrivals;
}
