import type { Clock } from '@tailrace/platform/clock';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { tokenFromPositions } from '@tailrace/protocol/position';
import { type FrameMarks, type Missing, noMarks } from '@tailrace/protocol/servermessage';
import type { SkippedReason } from '@tailrace/protocol/skipped';
import type { Snapshot } from '../channels/snapshot.ts';
import type { Subscription } from '../channels/subscription.ts';
import type { PartitionTable } from '../ownership/partition-table.ts';
import type { Silences } from '../presence/silences.ts';
import { Conflation } from '../views/conflation.ts';
import type { Cuts } from '../views/cuts.ts';
import { conflatedPiecesOf, frameBytesMax, type Piece, piecesOf } from '../views/frames.ts';
import type { Shown } from '../views/shown.ts';
import type { Views } from '../views/view.ts';
import { type Backlog, backlogBytesOf, type PastReport } from './backlog.ts';
import type { Course } from './course.ts';
import { IdRoom } from './id-room.ts';
import type { Reservation } from './memory-budget.ts';
import type { Resume } from './resume.ts';
import { reserved, type Steps } from './steps.ts';
import { Tap } from './tap.ts';

export interface CatchUpParts {
  readonly views: Pick<Views, 'flush'>;
  readonly table: Pick<PartitionTable, 'next'>;
  readonly silences: Silences;
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

export const replayMarks: FrameMarks = Object.freeze({ replay: true });
/** Of what comes while a subscription catches up: four frames. With more it takes another round. */
export const tapBytesMax: number = 4 * frameBytesMax;
/** What a round holds beside what it conflates: the tap, a frame's reports, and the frame. */
const roundBytes = tapBytesMax + 2 * frameBytesMax;
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
  *steps(subscription: Subscription, course: Course): Steps {
    if (course.whole) this.counts.replays++;
    try {
      while (yield* hasRoom(subscription, course)) {
        if (!this.#isComplete(subscription, course)) yield* this.#inTurn(subscription, course);
        // With the last frame nothing is left in this very turn, though the socket may be full with it.
        if (course.over || !this.#isComplete(subscription, course)) continue;
        if (!(yield* this.#nameSilent(subscription, course))) this.#join(subscription, course);
      }
    } finally {
      if (course.whole) this.counts.replays--;
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
  *#nameSilent(subscription: Subscription, course: Course): Steps<boolean> {
    const { channel, view, subscriber } = subscription;
    const pages = this.#parts.silences.pages(channel, view, course);
    if (pages === undefined) return false;
    for (const frames of pages) {
      if (!(yield* hasRoom(subscription, course))) return true;
      for (const frame of frames) subscriber.give(subscription, frame);
      yield undefined;
    }
    return true;
  }

  /** Nothing is left between the two: from the next frame of the topic on. */
  #join(subscription: Subscription, course: Course): void {
    const { channel, view, subscriber } = subscription;
    const { silences, cuts } = this.#parts;
    // The topic tells what changes: this is what it changes from.
    for (const frame of silences.frames(channel, view, course)) subscriber.give(subscription, frame);
    if (course.over) return;
    if (view.options.align !== undefined) cuts.enter(subscription);
    course.stop();
    this.release(subscription);
    subscription.course = undefined;
    subscription.state = 'live';
    subscription.subscriber.join(subscription, course.whole ? tokenFromPositions(course.position) : undefined);
  }

  /** What one subscription holds while it reads, it holds alone; a replay that goes by the time holds little, and long. */
  *#inTurn(subscription: Subscription, course: Course): Steps {
    const { turns, replayTurns } = subscription.subscriber;
    const queue = course.speed !== undefined ? undefined : course.whole ? replayTurns : turns;
    const turn = queue?.take();
    try {
      if (turn !== undefined) yield turn;
      if (!course.over) yield* this.#round(subscription, course);
    } catch (thrown) {
      if (!isTailraceError(thrown) || !thrown.retryable) throw thrown;
      // The log cannot be had for a moment.
      if (!course.over) yield course.sleep(faultPauseMs, this.#parts.clock);
    } finally {
      queue?.release();
    }
  }

  *#round(subscription: Subscription, course: Course): Steps {
    const { channel, subscriber } = subscription;
    const { table, past, clock } = this.#parts;
    const { idBytes } = course;
    const memory = yield* reserved(subscriber.work, roundBytes + backlogBytesOf(channel.partitions.length) + idBytes);
    const ids = new IdRoom(idBytes, memory);
    const tap = course.isNear(clock, nearMs) ? new Tap(tapBytesMax) : undefined;
    if (tap !== undefined) channel.taps.add(tap);
    try {
      if (course.over) return;
      const untils = channel.partitions.map((partition) => table.next(channel, partition));
      const backlog = past.backlog(channel, course.position, untils, ids);
      const round: Round = { subscription, course, backlog, tap, memory, ids };
      const isWhole = course.whole || clock.monotonic() < course.conflatesFromMs;
      const isTold = yield* isWhole ? this.#replay(round) : this.#conflate(round);
      if (isTold && tap !== undefined) yield* this.#finish(round, tap);
    } finally {
      if (tap !== undefined) channel.taps.delete(tap);
      if (ids.isShort) course.idBytes = ids.nextBytes;
      memory.release();
    }
  }

  /** All of it. Whether the client has it all. */
  *#replay(round: Round): Steps<boolean> {
    const { course, backlog, ids } = round;
    for (;;) {
      const reports = yield* backlog.next(frameBytesMax);
      if (course.over || ids.isShort || !(yield* this.#tellMissing(round))) return false;
      if (reports.length === 0) break;
      for (let from = 0; from < reports.length; ) {
        const to = yield* this.#due(course, reports, from);
        // The client may have been paused, or its socket filled, meanwhile.
        if (!(yield* this.#tell(round, reports.slice(from, to)))) return false;
        from = to;
      }
      yield undefined;
    }
    advance(course, backlog.reached());
    return !backlog.isCut;
  }

  /** Waits for the report at `from`. Up to where they are due with it. */
  *#due(course: Course, reports: readonly PastReport[], from: number): Steps<number> {
    const { clock } = this.#parts;
    if (course.speed === undefined) return reports.length;
    const waitMs = course.waitMs(reports[from]!.timeMs, clock);
    if (waitMs > 0) yield course.sleep(waitMs, clock);
    let to = from + 1;
    while (to < reports.length && course.waitMs(reports[to]!.timeMs, clock) <= grainMs) to++;
    return to;
  }

  *#tell(round: Round, reports: readonly PastReport[]): Steps<boolean> {
    const { subscription, course } = round;
    const { view } = subscription;
    const shown = view.shaped(reports.map(({ arrival }) => arrival));
    for (const piece of piecesOf(view, shown, course.whole ? replayMarks : noMarks)) {
      if (!(yield* this.#hasRoom(round))) return false;
      give(subscription, course, piece);
      yield undefined;
    }
    for (const { arrival } of reports) course.position.advance(arrival.partition, arrival.seq);
    return true;
  }

  /**
   * What is at most one frame is told as it is. More is conflated: from all there is up to what is missing, or as much
   * as may be held at a time. Where the socket has no room for all of that, the rest is read, and conflated, again when
   * it has. Whether the client has it all.
   */
  *#conflate(round: Round): Steps<boolean> {
    const { subscription, course, backlog, memory, ids } = round;
    const { view, subscriber } = subscription;
    const conflation = new Conflation<Shown>();
    let whole: readonly Shown[] | undefined = [];
    let isAll = true;
    let reached = [...backlog.reached()];
    for (let pieces = 1; ; pieces++) {
      const reports = yield* backlog.next(frameBytesMax);
      if (course.over) return false;
      // What is missing is told behind what is gathered, or a client whose socket fills meanwhile would never get that:
      // the next round begins with what is missing.
      isAll = !ids.isShort && (pieces === 1 || backlog.missing.length === 0);
      if (!isAll) break;
      if (!(yield* this.#tellMissing(round))) return false;
      reached = [...backlog.reached()];
      if (reports.length === 0) break;
      const shown = view.shaped(reports.map(({ arrival }) => arrival));
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
    const pieces = whole === undefined ? conflatedPiecesOf(view, conflated) : piecesOf(view, whole, noMarks);
    for (const piece of pieces) {
      if (course.over || subscriber.room() !== undefined) return false;
      give(subscription, course, piece);
      yield undefined;
    }
    if (course.over) return false;
    for (const { count } of conflated.skipped) this.counts.conflated += count;
    advance(course, reached);
    return isAll && !backlog.isCut;
  }

  /** Says what the log no longer has, and what the last values of it are. */
  *#tellMissing(round: Round): Steps<boolean> {
    const { subscription, course, backlog } = round;
    const missing = backlog.missing.splice(0);
    if (missing.length === 0) return true;
    const { view, subscriber } = subscription;
    const skipped = missing.map(({ partition, from, to, reason }) => ({
      ...{ partition, device: '', from, to, count: 0, reason: reason as SkippedReason },
    }));
    if (!(yield* this.#hasRoom(round))) return false;
    const snapshot = this.#parts.snapshot(subscription, missing);
    subscriber.give(subscription, view.frame([], { skipped }));
    if (!(yield* sendSnapshot(subscription, course, snapshot))) return false;
    for (const { partition, to } of missing) course.position.advance(partition, to);
    return true;
  }

  /** What came meanwhile; with the last frame of it nothing is left, and the subscription may join in the same turn. */
  *#finish(round: Round, tap: Tap): Steps {
    const { subscription, course } = round;
    const { view } = subscription;
    const marks = course.whole ? replayMarks : noMarks;
    while (yield* this.#hasRoom(round)) {
      if (tap.overflowed) return;
      const isLast = tap.bytes <= frameBytesMax;
      // To those on the topic before it is joined: it is in the tap, too.
      if (isLast) this.#parts.views.flush(view);
      const arrivals = tap.take();
      for (const piece of piecesOf(view, view.shaped(arrivals), marks)) {
        if (!isLast && !(yield* this.#hasRoom(round))) return;
        give(subscription, course, piece);
      }
      for (const { partition, seq } of arrivals) course.position.advance(partition, seq);
      if (isLast) return this.#reachHere(subscription, course);
      yield undefined;
    }
  }

  /** Of the channel nothing lies between where the client is and where the channel is. */
  #reachHere({ channel }: Subscription, course: Course): void {
    for (const partition of channel.partitions) {
      course.position.advance(partition, this.#parts.table.next(channel, partition) - 1);
    }
  }

  #isComplete(subscription: Subscription, course: Course): boolean {
    const { channel, view } = subscription;
    this.#parts.views.flush(view);
    // The next cut holds everything.
    if (view.options.align !== undefined) return true;
    return channel.partitions.every(
      (partition) => (course.position.last(partition) ?? -1) >= this.#parts.table.next(channel, partition) - 1,
    );
  }

  /** As `hasRoom`. While it waits, nothing is tapped: that is read again. */
  *#hasRoom({ subscription, course, tap, memory }: Round): Steps<boolean> {
    if (tap !== undefined && !tap.overflowed && subscription.subscriber.room() !== undefined) {
      tap.overflow();
      memory.shrink(tapBytesMax);
    }
    return yield* hasRoom(subscription, course);
  }
}

/** One reading of what is missed. */
interface Round {
  readonly subscription: Subscription;
  readonly course: Course;
  readonly backlog: Backlog;
  readonly tap: Tap | undefined;
  readonly memory: Reservation;
  readonly ids: IdRoom;
}

/** Waits for room in the socket. False: the course is over. */
export function* hasRoom({ subscriber }: Subscription, course: Course): Steps<boolean> {
  while (!course.over) {
    const room = subscriber.room();
    if (room === undefined) return true;
    yield room;
  }
  return false;
}

/** All of a snapshot. False: the course is over. */
export function* sendSnapshot(subscription: Subscription, course: Course, snapshot: Snapshot): Steps<boolean> {
  while (!snapshot.isComplete) {
    if (!(yield* hasRoom(subscription, course))) return false;
    const frame = snapshot.next();
    if (frame !== undefined) subscription.subscriber.give(subscription, frame);
    if (!snapshot.isComplete) yield undefined;
  }
  return !course.over;
}

/** In each partition the reports of a piece are the next ones. */
export function give(subscription: Subscription, course: Course, { frame, reports }: Piece): void {
  subscription.subscriber.give(subscription, frame);
  for (const { partition, seq } of reports) course.position.advance(partition, seq);
}

/** `reached`: as `Backlog.reached`. */
function advance(course: Course, reached: Iterable<readonly [partition: number, next: number]>): void {
  for (const [partition, next] of reached) course.position.advance(partition, next - 1);
}
