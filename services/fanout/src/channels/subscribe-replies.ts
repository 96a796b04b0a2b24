import { Positions, tokenFromPositions } from '@tailrace/protocol/position';
import type { Missing } from '@tailrace/protocol/server-message';
import { CatchUp } from '../catch-up/catch-up.ts';
import { liveBufferBytesMax, replayFlags } from '../catch-up/catch-ups.ts';
import { LiveBuffer } from '../catch-up/live-buffer.ts';
import type { Reservation } from '../catch-up/memory-budget.ts';
import type { Resume } from '../catch-up/resume.ts';
import { awaited, reserved, type Steps } from '../catch-up/steps.ts';
import type { PartitionTable } from '../ownership/partition-table.ts';
import { type EncodedFrame, encodedFrames } from '../views/frames.ts';
import type { Views } from '../views/view.ts';
import type { Channel } from './channel.ts';
import { Snapshot } from './snapshot.ts';
import type { Subscription, SubscriptionStart } from './subscription.ts';

export interface SubscribeRepliesOptions {
  readonly views: Pick<Views, 'flush'>;
  readonly table: Pick<PartitionTable, 'next' | 'partitions'>;
  readonly past: Pick<Resume, 'missed' | 'since'>;
  readonly epoch: string;
  /** As in `Snapshot`. */
  readonly snapshotDevicesPerFrame?: number | undefined;
  /** Of what a subscription that was away is given at once. */
  readonly resumeBytesMax: number;
}

/** How a subscription begins: with its head, last values, and what it missed. */
export interface SubscribeReply {
  readonly start: SubscriptionStart;
  readonly snapshot: Snapshot | undefined;
  readonly news: Iterable<EncodedFrame>;
  /** At the position of the head. */
  readonly catchUp: CatchUp;
  /** Where the client is after them. */
  readonly reached: Positions;
  /** What the news take. To be released when they have been given. */
  readonly memory?: Reservation;
}

const nothing: readonly EncodedFrame[] = [];
/** For the tap, and for what most have missed. */
const littleBytes = 2 * liveBufferBytesMax;
/** What reports take while they are held, times their bytes. */
const heldFactor = 4;

/** The three ways in which a subscription begins: with last values, after a position, and from a time. */
export class SubscribeReplies {
  readonly #parts: SubscribeRepliesOptions;

  constructor(parts: SubscribeRepliesOptions) {
    this.#parts = parts;
  }

  /**
   * One moment: what was pending goes to those who were there before, and the head says where the channel is. The
   * snapshot holds what came before, and what comes after is news, however long the snapshot takes.
   */
  withLastValues({ channel, view, request }: Subscription): SubscribeReply {
    this.#parts.views.flush(view);
    const here = this.here(channel);
    const isWanted = request.snapshot && view.options.align === undefined;
    const snapshot = isWanted ? this.#snapshot(channel, view, here) : undefined;
    return {
      start: this.#start(here, snapshot),
      snapshot,
      news: nothing,
      catchUp: new CatchUp(here, false),
      reached: here,
    };
  }

  /**
   * For a client that was away: first what it missed, which may have to be read, then what came meanwhile. The tap
   * takes what came meanwhile from the very turn in which it is settled up to where is read. Most have missed little;
   * for more there has to be memory for all that one may be given.
   */
  *after(subscription: Subscription, after: Positions): Steps<SubscribeReply> {
    const { work } = subscription.subscriber;
    let memory = yield* reserved(work, littleBytes);
    let subscribeReply: SubscribeReply | undefined;
    try {
      subscribeReply = yield* this.#after(subscription, after, memory, memory);
      if (subscribeReply !== undefined) return subscribeReply;
      memory.release();
      memory = yield* reserved(work, littleBytes + heldFactor * this.#parts.resumeBytesMax);
      const granted = memory;
      // What is more than was reserved is counted where there is room for it, and held either way: it has a bound.
      const all = { grow: (bytes: number) => granted.grow(bytes) || true };
      subscribeReply = yield* this.#after(subscription, after, memory, all);
      return subscribeReply!;
    } finally {
      if (subscribeReply === undefined) memory.release();
    }
  }

  /** Undefined where `room` is too small. */
  *#after(
    { channel, view, request }: Subscription,
    after: Positions,
    memory: Reservation,
    room: Pick<Reservation, 'grow'>,
  ): Steps<SubscribeReply | undefined> {
    const liveBuffer = new LiveBuffer(liveBufferBytesMax);
    channel.liveBuffers.add(liveBuffer);
    try {
      const until = this.here(channel);
      const missed = yield* this.#parts.past.missed(channel, after, room);
      if (missed === undefined) return undefined;
      this.#parts.views.flush(view);
      const positions = new Positions(this.#parts.epoch);
      for (const { partition, from } of missed) positions.advance(partition, from - 1);
      const missing = missed.flatMap((each) => each.missing ?? []);
      const here = this.here(channel);
      // Of what is missing the last values can still be had; they are older than what follows, so that positions only grow.
      const snapshot = request.snapshot ? this.#snapshot(channel, view, here, missing) : undefined;
      const logReports = [...missed.flatMap((each) => each.logReports), ...liveBuffer.take()];
      return {
        start: { ...this.#start(positions, snapshot), ...recovery(missing) },
        snapshot,
        news: encodedFrames(view, view.shaped(logReports), replayFlags),
        catchUp: new CatchUp(positions, false),
        reached: liveBuffer.overflowed ? until : here,
        memory,
      };
    } finally {
      channel.liveBuffers.delete(liveBuffer);
    }
  }

  /** What has come since a time is replayed later; here is only what of that cannot be had. */
  *from({ channel, view, request }: Subscription, timeMs: number): Steps<SubscribeReply> {
    const { positions, missing } = yield* awaited(this.#parts.past.since(channel, timeMs));
    const snapshot = request.snapshot ? this.#snapshot(channel, view, this.here(channel), missing) : undefined;
    return {
      start: { ...this.#start(positions, snapshot), ...recovery(missing) },
      snapshot,
      news: nothing,
      catchUp: new CatchUp(positions, true, request.speed),
      reached: positions,
    };
  }

  /** Up to where a live channel is complete. */
  here(channel: Channel): Positions {
    const positions = new Positions(this.#parts.epoch);
    for (const partition of channel.partitions) {
      positions.advance(partition, this.#parts.table.next(channel, partition) - 1);
    }
    return positions;
  }

  /**
   * As of now. Another owner may have got further than the one that the channel follows: what is later than where the
   * channel is comes as news.
   */
  snapshot({ channel, view }: Pick<Subscription, 'channel' | 'view'>, within: readonly Missing[]): Snapshot {
    return this.#snapshot(channel, view, this.here(channel), within);
  }

  #snapshot(channel: Channel, view: Subscription['view'], here: Positions, within?: readonly Missing[]): Snapshot {
    const { table, snapshotDevicesPerFrame: devicesPerFrame } = this.#parts;
    return new Snapshot(channel, view, { partitions: table.partitions, here, within, devicesPerFrame });
  }

  #start(position: Positions, snapshot: Snapshot | undefined): SubscriptionStart {
    return { epoch: this.#parts.epoch, position: tokenFromPositions(position), devices: snapshot?.devices ?? 0 };
  }
}

function recovery(missing: readonly Missing[]): Pick<SubscriptionStart, 'recovered' | 'missing'> {
  return missing.length === 0 ? { recovered: true } : { recovered: false, missing };
}
