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
  /** Bytes of the backlog that a resumed subscription is sent at once, at most. */
  readonly resumeBytesMax: number;
}

/** The start of a subscription: `subscribed`, last values, and backlog. */
export interface SubscribeReply {
  readonly start: SubscriptionStart;
  readonly snapshot: Snapshot | undefined;
  readonly backlog: Iterable<EncodedFrame>;
  /** At the position of `start`. */
  readonly catchUp: CatchUp;
  /** The position of the client after the backlog. */
  readonly reached: Positions;
  /** Memory of the backlog. To be released when it was sent. */
  readonly memory?: Reservation;
}

const noFrames: readonly EncodedFrame[] = [];
/** For the live buffer, and for most backlogs. */
const littleBytes = 2 * liveBufferBytesMax;
/** Memory of held reports, as a multiple of their bytes. */
const heldFactor = 4;

/** The three ways to start a subscription: with last values, after a position, and from a time. */
export class SubscribeReplies {
  readonly #options: SubscribeRepliesOptions;

  constructor(options: SubscribeRepliesOptions) {
    this.#options = options;
  }

  /**
   * In one turn of the event loop: pending reports are published to the present subscriptions, and the position of the
   * channel is fixed. The snapshot has the reports before it. Later ones are backlog, however long the snapshot takes.
   */
  withLastValues({ channel, view, wish }: Subscription): SubscribeReply {
    this.#options.views.flush(view);
    const here = this.here(channel);
    const isWanted = wish.snapshot && view.options.align === undefined;
    const snapshot = isWanted ? this.#snapshot(channel, view, here) : undefined;
    return {
      start: this.#start(here, snapshot),
      snapshot,
      backlog: noFrames,
      catchUp: new CatchUp(here, false),
      reached: here,
    };
  }

  /**
   * For a client that resumes: first the backlog, which may have to be read, then what arrived meanwhile. The live
   * buffer has what arrives from the turn in which the end of the range to read is fixed. Most backlogs are small; for
   * a larger one memory for the maximum is reserved.
   */
  *after(subscription: Subscription, after: Positions): Steps<SubscribeReply> {
    const { work } = subscription.subscriber;
    let memory = yield* reserved(work, littleBytes);
    let subscribeReply: SubscribeReply | undefined;
    try {
      subscribeReply = yield* this.#after(subscription, after, memory, memory);
      if (subscribeReply !== undefined) return subscribeReply;
      memory.release();
      memory = yield* reserved(work, littleBytes + heldFactor * this.#options.resumeBytesMax);
      const granted = memory;
      // Memory beyond the reservation is counted if the budget allows, and used either way: it is bounded.
      const all = { grow: (bytes: number) => granted.grow(bytes) || true };
      subscribeReply = yield* this.#after(subscription, after, memory, all);
      return subscribeReply!;
    } finally {
      if (subscribeReply === undefined) memory.release();
    }
  }

  /** Returns undefined if `budget` is too small. */
  *#after(
    { channel, view, wish }: Subscription,
    after: Positions,
    memory: Reservation,
    budget: Pick<Reservation, 'grow'>,
  ): Steps<SubscribeReply | undefined> {
    const liveBuffer = new LiveBuffer(liveBufferBytesMax);
    channel.liveBuffers.add(liveBuffer);
    try {
      const until = this.here(channel);
      const backlog = yield* this.#options.past.missed(channel, after, budget);
      if (backlog === undefined) return undefined;
      this.#options.views.flush(view);
      const positions = new Positions(this.#options.epoch);
      for (const { partition, from } of backlog) positions.advance(partition, from - 1);
      const missing = backlog.flatMap((each) => each.missing ?? []);
      const here = this.here(channel);
      // Last values of missing ranges are sent first: they are older than what follows, so positions only increase.
      const snapshot = wish.snapshot ? this.#snapshot(channel, view, here, missing) : undefined;
      const logReports = [...backlog.flatMap((each) => each.logReports), ...liveBuffer.take()];
      return {
        start: { ...this.#start(positions, snapshot), ...recovery(missing) },
        snapshot,
        backlog: encodedFrames(view, view.shaped(logReports), replayFlags),
        catchUp: new CatchUp(positions, false),
        reached: liveBuffer.overflowed ? until : here,
        memory,
      };
    } finally {
      channel.liveBuffers.delete(liveBuffer);
    }
  }

  /** For a replay from a time, which `CatchUps` sends later; here only the missing ranges are determined. */
  *from({ channel, view, wish }: Subscription, timeMs: number): Steps<SubscribeReply> {
    const { positions, missing } = yield* awaited(this.#options.past.since(channel, timeMs));
    const snapshot = wish.snapshot ? this.#snapshot(channel, view, this.here(channel), missing) : undefined;
    return {
      start: { ...this.#start(positions, snapshot), ...recovery(missing) },
      snapshot,
      backlog: noFrames,
      catchUp: new CatchUp(positions, true, wish.speed),
      reached: positions,
    };
  }

  /** Returns the position up to which a live channel is complete. */
  here(channel: Channel): Positions {
    const positions = new Positions(this.#options.epoch);
    for (const partition of channel.partitions) {
      positions.advance(partition, this.#options.table.next(channel, partition) - 1);
    }
    return positions;
  }

  /**
   * Returns a snapshot as of the position of the channel. Last values from another owner that is further ahead are not
   * in it; they follow as backlog.
   */
  snapshot({ channel, view }: Pick<Subscription, 'channel' | 'view'>, within: readonly Missing[]): Snapshot {
    return this.#snapshot(channel, view, this.here(channel), within);
  }

  #snapshot(channel: Channel, view: Subscription['view'], here: Positions, within?: readonly Missing[]): Snapshot {
    const { table, snapshotDevicesPerFrame: devicesPerFrame } = this.#options;
    return new Snapshot(channel, view, { partitions: table.partitions, here, within, devicesPerFrame });
  }

  #start(position: Positions, snapshot: Snapshot | undefined): SubscriptionStart {
    return { epoch: this.#options.epoch, position: tokenFromPositions(position), devices: snapshot?.devices ?? 0 };
  }
}

function recovery(missing: readonly Missing[]): Pick<SubscriptionStart, 'recovered' | 'missing'> {
  return missing.length === 0 ? { recovered: true } : { recovered: false, missing };
}
