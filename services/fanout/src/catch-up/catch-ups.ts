import type { Clock } from '@tailrace/platform/clock';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { tokenFromPositions } from '@tailrace/protocol/position';
import { type FrameFlags, type Missing, noFlags } from '@tailrace/protocol/server-message';
import type { SkippedReason } from '@tailrace/protocol/skipped';
import type { Snapshot } from '../channels/snapshot.ts';
import type { Subscription } from '../channels/subscription.ts';
import type { PartitionTable } from '../ownership/partition-table.ts';
import type { PresenceMonitor } from '../presence/presence-monitor.ts';
import { Conflation } from '../views/conflation.ts';
import type { Cuts } from '../views/cuts.ts';
import { conflatedFrames, type EncodedFrame, encodedFrames, frameBytesMax } from '../views/frames.ts';
import type { Publication } from '../views/publication.ts';
import type { Views } from '../views/view.ts';
import { type Backlog, type BacklogReport, backlogBytesOf } from './backlog.ts';
import type { CatchUp } from './catch-up.ts';
import { IdRoom } from './id-room.ts';
import { LiveBuffer } from './live-buffer.ts';
import type { Reservation } from './memory-budget.ts';
import type { Resume } from './resume.ts';
import { reserved, type Steps } from './steps.ts';

export interface CatchUpParts {
  readonly views: Pick<Views, 'flush'>;
  readonly table: Pick<PartitionTable, 'next'>;
  readonly silences: PresenceMonitor;
  readonly past: Pick<Resume, 'backlog'>;
  readonly clock: Clock;
  readonly cuts: Pick<Cuts, 'enter'>;
  /** Of reports conflated at a time for one subscription. */
  readonly conflationBytesMax: number;
  /** Replays that go by the time, on this node at once. */
  readonly replaysMax: number;
  /** Last values of the channel from within these ranges. */
  readonly snapshot: (subscription: Subscription, within: readonly Missing[]) => Snapshot;
}

export const replayFlags: FrameFlags = Object.freeze({ replay: true });
/** Of what comes while a subscription catches up: four frames. With more it takes another round. */
export const liveBufferBytesMax: number = 4 * frameBytesMax;
/** What a round holds beside what it conflates: the tap, a frame's reports, and the frame. */
const roundBytes = liveBufferBytesMax + 2 * frameBytesMax;
/** A replay with a speed joins what comes now when it is as near as that. */
const nearMs = 1_000;
/** Reports due within this go together. */
const grainMs = 20;
const faultPauseMs = 500;

/**
 * Brings every subscription that is behind to where its channel is, at the pace of its socket and of the scheduler, and
 * lets it join there: in one turn of the loop nothing is left between the two. What comes while the past is read and
 * told is tapped. Rounds, each from where the last one came, until one ends with a tap that has not overflowed. Nothing
 * is held for a socket that has no room, but where it is.
 */
export class CatchUps {
  /** Reports told in sum only, because their client was slow; and courses under way. */
  readonly counts = { conflated: 0, replays: 0, pacedReplays: 0 };
  readonly #parts: CatchUpParts;

  constructor(parts: CatchUpParts) {
    this.#parts = parts;
  }

  /** Until the course is over. Throws where it cannot go on. */
  *steps(subscription: Subscription, catchUp: CatchUp): Steps {
    if (catchUp.whole) this.counts.replays++;
    try {
      while (yield* hasRoom(subscription, catchUp)) {
        if (!this.#isComplete(subscription, catchUp)) yield* this.#inTurn(subscription, catchUp);
        // With the last frame nothing is left in this very turn, though the socket may be full with it.
        if (catchUp.over || !this.#isComplete(subscription, catchUp)) continue;
        if (!(yield* this.#nameSilent(subscription, catchUp))) this.#join(subscription, catchUp);
      }
    } finally {
      if (catchUp.whole) this.counts.replays--;
    }
  }

  /** One more replay with a speed. Throws `limit_reached`. `release` it when it is over. */
  reserve(subscription: Subscription): void {
    const { replaysMax } = this.#parts;
    if (this.counts.pacedReplays >= replaysMax) {
      throw new TailraceError(
        'limit_reached',
        `${replaysMax} replays with a speed are the most this node runs at once; try again later, or without a speed`,
      );
    }
    subscription.paced = true;
    this.counts.pacedReplays++;
  }

  /** Idempotent. */
  release(subscription: Subscription): void {
    if (!subscription.paced) return;
    subscription.paced = false;
    this.counts.pacedReplays--;
  }

  /**
   * Tells the client which devices of many are silent, a page at a time. False: they are few, and told with the
   * joining.
   */
  *#nameSilent(subscription: Subscription, catchUp: CatchUp): Steps<boolean> {
    const { channel, view, subscriber } = subscription;
    const pages = this.#parts.silences.pages(channel, view, catchUp);
    if (pages === undefined) return false;
    for (const frames of pages) {
      if (!(yield* hasRoom(subscription, catchUp))) return true;
      for (const frame of frames) subscriber.give(subscription, frame);
      yield undefined;
    }
    return true;
  }

  /** Nothing is left between the two: from the next frame of the topic on. */
  #join(subscription: Subscription, catchUp: CatchUp): void {
    const { channel, view, subscriber } = subscription;
    const { silences, cuts } = this.#parts;
    // The topic tells what changes: this is what it changes from.
    for (const frame of silences.frames(channel, view, catchUp)) subscriber.give(subscription, frame);
    if (catchUp.over) return;
    if (view.options.align !== undefined) cuts.enter(subscription);
    this.release(subscription);
    subscription.join();
    subscription.subscriber.join(subscription, catchUp.whole ? tokenFromPositions(catchUp.position) : undefined);
  }

  /** What one subscription holds while it reads, it holds alone; a replay that goes by the time holds little, and long. */
  *#inTurn(subscription: Subscription, catchUp: CatchUp): Steps {
    const { turns, replayTurns } = subscription.subscriber;
    const queue = catchUp.speed !== undefined ? undefined : catchUp.whole ? replayTurns : turns;
    const turn = queue?.take();
    try {
      if (turn !== undefined) yield turn;
      if (!catchUp.over) yield* this.#round(subscription, catchUp);
    } catch (thrown) {
      if (!isTailraceError(thrown) || !thrown.retryable) throw thrown;
      // The log cannot be had for a moment.
      if (!catchUp.over) yield catchUp.sleep(faultPauseMs, this.#parts.clock);
    } finally {
      queue?.release();
    }
  }

  *#round(subscription: Subscription, catchUp: CatchUp): Steps {
    const { channel, subscriber } = subscription;
    const { table, past, clock } = this.#parts;
    const { idBytes } = catchUp;
    const memory = yield* reserved(subscriber.work, roundBytes + backlogBytesOf(channel.partitions.length) + idBytes);
    const ids = new IdRoom(idBytes, memory);
    const liveBuffer = catchUp.isNear(clock, nearMs) ? new LiveBuffer(liveBufferBytesMax) : undefined;
    if (liveBuffer !== undefined) channel.liveBuffers.add(liveBuffer);
    try {
      if (catchUp.over) return;
      const untils = channel.partitions.map((partition) => table.next(channel, partition));
      const backlog = past.backlog(channel, catchUp.position, untils, ids);
      const round: Round = { subscription, catchUp, backlog, liveBuffer, memory, ids };
      const isWhole = catchUp.whole || clock.monotonic() < catchUp.conflatesFromMs;
      const isTold = yield* isWhole ? this.#replay(round) : this.#conflate(round);
      if (isTold && liveBuffer !== undefined) yield* this.#finish(round, liveBuffer);
    } finally {
      if (liveBuffer !== undefined) channel.liveBuffers.delete(liveBuffer);
      if (ids.isShort) catchUp.idBytes = ids.nextBytes;
      memory.release();
    }
  }

  /** All of it. Whether the client has it all. */
  *#replay(round: Round): Steps<boolean> {
    const { catchUp, backlog, ids } = round;
    for (;;) {
      const reports = yield* backlog.next(frameBytesMax);
      if (catchUp.over || ids.isShort || !(yield* this.#tellMissing(round))) return false;
      if (reports.length === 0) break;
      for (let from = 0; from < reports.length; ) {
        const to = yield* this.#due(catchUp, reports, from);
        // The client may have been paused, or its socket filled, meanwhile.
        if (!(yield* this.#tell(round, reports.slice(from, to)))) return false;
        from = to;
      }
      yield undefined;
    }
    advance(catchUp, backlog.reached());
    return !backlog.isCut;
  }

  /** Waits for the report at `from`. Up to where they are due with it. */
  *#due(catchUp: CatchUp, reports: readonly BacklogReport[], from: number): Steps<number> {
    const { clock } = this.#parts;
    if (catchUp.speed === undefined) return reports.length;
    const waitMs = catchUp.waitMs(reports[from]!.timeMs, clock);
    if (waitMs > 0) yield catchUp.sleep(waitMs, clock);
    let to = from + 1;
    while (to < reports.length && catchUp.waitMs(reports[to]!.timeMs, clock) <= grainMs) to++;
    return to;
  }

  *#tell(round: Round, reports: readonly BacklogReport[]): Steps<boolean> {
    const { subscription, catchUp } = round;
    const { view } = subscription;
    const shown = view.shaped(reports.map(({ logReport }) => logReport));
    for (const piece of encodedFrames(view, shown, catchUp.whole ? replayFlags : noFlags)) {
      if (!(yield* this.#hasRoom(round))) return false;
      give(subscription, catchUp, piece);
      yield undefined;
    }
    for (const { logReport } of reports) catchUp.position.advance(logReport.partition, logReport.seq);
    return true;
  }

  /**
   * What is at most one frame is told as it is. More is conflated: from all there is up to what is missing, or as much
   * as may be held at a time. Where the socket has no room for all of that, the rest is read, and conflated, again when
   * it has. Whether the client has it all.
   */
  *#conflate(round: Round): Steps<boolean> {
    const { subscription, catchUp, backlog, memory, ids } = round;
    const { view, subscriber } = subscription;
    const conflation = new Conflation<Publication>();
    let whole: readonly Publication[] | undefined = [];
    let isAll = true;
    let reached = [...backlog.reached()];
    for (let pieces = 1; ; pieces++) {
      const reports = yield* backlog.next(frameBytesMax);
      if (catchUp.over) return false;
      // What is missing is told behind what is gathered, or a client whose socket fills meanwhile would never get that:
      // the next round begins with what is missing.
      isAll = !ids.isShort && (pieces === 1 || backlog.missing.length === 0);
      if (!isAll) break;
      if (!(yield* this.#tellMissing(round))) return false;
      reached = [...backlog.reached()];
      if (reports.length === 0) break;
      const shown = view.shaped(reports.map(({ logReport }) => logReport));
      const before = conflation.bytes;
      if (pieces === 1) whole = shown;
      else {
        for (const each of whole ?? []) conflation.add(each);
        for (const each of shown) conflation.add(each);
        whole = undefined;
      }
      isAll = conflation.bytes <= this.#parts.conflationBytesMax && memory.grow(conflation.bytes - before);
      if (!isAll) break;
      yield undefined;
    }
    const conflated = conflation.take('slow');
    const pieces = whole === undefined ? conflatedFrames(view, conflated) : encodedFrames(view, whole, noFlags);
    for (const piece of pieces) {
      if (catchUp.over || subscriber.room() !== undefined) return false;
      give(subscription, catchUp, piece);
      yield undefined;
    }
    if (catchUp.over) return false;
    for (const { count } of conflated.skipped) this.counts.conflated += count;
    advance(catchUp, reached);
    return isAll && !backlog.isCut;
  }

  /** Says what the log no longer has, and what the last values of it are. */
  *#tellMissing(round: Round): Steps<boolean> {
    const { subscription, catchUp, backlog } = round;
    const missing = backlog.missing.splice(0);
    if (missing.length === 0) return true;
    const { view, subscriber } = subscription;
    const skipped = missing.map(({ partition, from, to, reason }) => ({
      ...{ partition, device: '', from, to, count: 0, reason: reason as SkippedReason },
    }));
    if (!(yield* this.#hasRoom(round))) return false;
    const snapshot = this.#parts.snapshot(subscription, missing);
    subscriber.give(subscription, view.frame([], { skipped }));
    if (!(yield* sendSnapshot(subscription, catchUp, snapshot))) return false;
    for (const { partition, to } of missing) catchUp.position.advance(partition, to);
    return true;
  }

  /** What came meanwhile; with the last frame of it nothing is left, and the subscription may join in the same turn. */
  *#finish(round: Round, liveBuffer: LiveBuffer): Steps {
    const { subscription, catchUp } = round;
    const { view } = subscription;
    const marks = catchUp.whole ? replayFlags : noFlags;
    while (yield* this.#hasRoom(round)) {
      if (liveBuffer.overflowed) return;
      const isLast = liveBuffer.bytes <= frameBytesMax;
      // To those on the topic before it is joined: it is in the tap, too.
      if (isLast) this.#parts.views.flush(view);
      const logReports = liveBuffer.take();
      for (const piece of encodedFrames(view, view.shaped(logReports), marks)) {
        if (!isLast && !(yield* this.#hasRoom(round))) return;
        give(subscription, catchUp, piece);
      }
      for (const { partition, seq } of logReports) catchUp.position.advance(partition, seq);
      if (isLast) return this.#reachHere(subscription, catchUp);
      yield undefined;
    }
  }

  /** Of the channel nothing lies between where the client is and where the channel is. */
  #reachHere({ channel }: Subscription, catchUp: CatchUp): void {
    for (const partition of channel.partitions) {
      catchUp.position.advance(partition, this.#parts.table.next(channel, partition) - 1);
    }
  }

  #isComplete(subscription: Subscription, catchUp: CatchUp): boolean {
    const { channel, view } = subscription;
    this.#parts.views.flush(view);
    // The next cut holds everything.
    if (view.options.align !== undefined) return true;
    return channel.partitions.every(
      (partition) => (catchUp.position.last(partition) ?? -1) >= this.#parts.table.next(channel, partition) - 1,
    );
  }

  /** As `hasRoom`. While it waits, nothing is tapped: that is read again. */
  *#hasRoom({ subscription, catchUp, liveBuffer, memory }: Round): Steps<boolean> {
    if (liveBuffer !== undefined && !liveBuffer.overflowed && subscription.subscriber.room() !== undefined) {
      liveBuffer.overflow();
      memory.shrink(liveBufferBytesMax);
    }
    return yield* hasRoom(subscription, catchUp);
  }
}

/** One reading of what is missed. */
interface Round {
  readonly subscription: Subscription;
  readonly catchUp: CatchUp;
  readonly backlog: Backlog;
  readonly liveBuffer: LiveBuffer | undefined;
  readonly memory: Reservation;
  readonly ids: IdRoom;
}

/** Waits for room in the socket. False: the course is over. */
export function* hasRoom({ subscriber }: Subscription, catchUp: CatchUp): Steps<boolean> {
  while (!catchUp.over) {
    const room = subscriber.room();
    if (room === undefined) return true;
    yield room;
  }
  return false;
}

/** All of a snapshot. False: the course is over. */
export function* sendSnapshot(subscription: Subscription, catchUp: CatchUp, snapshot: Snapshot): Steps<boolean> {
  while (!snapshot.isComplete) {
    if (!(yield* hasRoom(subscription, catchUp))) return false;
    const frame = snapshot.next();
    if (frame !== undefined) subscription.subscriber.give(subscription, frame);
    if (!snapshot.isComplete) yield undefined;
  }
  return !catchUp.over;
}

/** In each partition the reports of a piece are the next ones. */
export function give(subscription: Subscription, catchUp: CatchUp, { frame, reports }: EncodedFrame): void {
  subscription.subscriber.give(subscription, frame);
  for (const { partition, seq } of reports) catchUp.position.advance(partition, seq);
}

/** `reached`: as `Backlog.reached`. */
function advance(catchUp: CatchUp, reached: Iterable<readonly [partition: number, next: number]>): void {
  for (const [partition, next] of reached) catchUp.position.advance(partition, next - 1);
}
