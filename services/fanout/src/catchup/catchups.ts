import type { Clock } from '@tailrace/platform/clock';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { tokenFromPositions } from '@tailrace/protocol/position';
import { type FrameMarks, type Missing, noMarks } from '@tailrace/protocol/servermessage';
import type { SkippedReason } from '@tailrace/protocol/skipped';
import type { Subscription } from '../channels/subscription.ts';
import type { Ownership } from '../ownership/ownership.ts';
import { Conflation } from '../views/conflation.ts';
import type { Cuts } from '../views/cuts.ts';
import { conflatedPiecesOf, frameBytesMax, type Piece, piecesOf } from '../views/frames.ts';
import type { Shown } from '../views/shown.ts';
import type { Views } from '../views/view.ts';
import type { Backlog, PastReport } from './backlog.ts';
import type { Course } from './course.ts';
import type { Resume } from './resume.ts';
import { Tap } from './tap.ts';

export interface CatchUpParts {
  readonly views: Pick<Views, 'flush'>;
  readonly ownership: Pick<Ownership, 'next' | 'silences'>;
  readonly past: Pick<Resume, 'backlog'>;
  readonly clock: Clock;
  readonly cuts: Pick<Cuts, 'enter'>;
  /** Of what one subscription is told of silent devices. */
  readonly snapshotBytesMax: number;
  /** Of reports conflated at a time for one subscription. */
  readonly conflationBytesMax: number;
  /** Replays that go by the time, on this node at once. */
  readonly replaysMax: number;
  /** Last values of the channel from within these ranges, as frames. */
  readonly lastValues: (subscription: Subscription, within: readonly Missing[]) => Iterable<Piece>;
}

export const replayMarks: FrameMarks = Object.freeze({ replay: true });
/** Of what comes while a subscription catches up: four frames. With more it takes another round. */
const tapBytesMax = 4 * frameBytesMax;
/** A replay with a speed joins what comes now when it is as near as that. */
const nearMs = 1_000;
/** Reports due within this go together. */
const grainMs = 20;
/** Pieces of `frameBytesMax` conflated before others get their turn: some 5 ms. */
const piecesAtOnce = 8;
const faultPauseMs = 500;

/**
 * Brings every subscription that is behind to where its channel is, at the pace of its socket, and lets it join there: in one turn of the loop nothing is left
 * between the two. What comes while the past is read and told is tapped. Rounds, each from where the last one came, until one ends with a tap that
 * has not overflowed. Nothing is held for a socket that has no room, but where it is.
 */
export class CatchUps {
  /** Reports told in sum only, because their client was slow; and courses under way. */
  readonly counts = { conflated: 0, replays: 0, pacedReplays: 0 };
  readonly #parts: CatchUpParts;

  constructor(parts: CatchUpParts) {
    this.#parts = parts;
  }

  /** Resolves when the course is over. Rejects where it cannot go on. */
  async run(subscription: Subscription, course: Course): Promise<void> {
    if (course.whole) this.counts.replays++;
    try {
      while (await this.#ready(subscription, course)) {
        if (this.#isComplete(subscription, course)) this.join(subscription, course);
        else await this.#inTurn(subscription, course);
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

  /** Nothing is left between the two: from the next frame of the topic on. Throws `limit_reached` where it takes too much to name the silent devices. */
  join(subscription: Subscription, course: Course): void {
    const { channel, view, subscriber } = subscription;
    const { ownership, cuts, snapshotBytesMax } = this.#parts;
    // The topic tells what changes: this is what it changes from.
    for (const frame of ownership.silences.frames(channel, view, snapshotBytesMax, course)) {
      subscriber.give(subscription, frame);
    }
    if (course.over) return;
    if (view.options.align !== undefined) cuts.enter(channel, view, subscription);
    course.stop();
    this.release(subscription);
    subscription.course = undefined;
    subscription.state = 'live';
    subscription.subscriber.join(subscription, course.whole ? tokenFromPositions(course.position) : undefined);
  }

  /** What one subscription holds while it reads, it holds alone; a replay that goes by the time holds little, and long. */
  async #inTurn(subscription: Subscription, course: Course): Promise<void> {
    const { turns, replayTurns } = subscription.subscriber;
    const queue = course.speed !== undefined ? undefined : course.whole ? replayTurns : turns;
    const turn = queue?.take();
    if (turn !== undefined) await turn;
    try {
      if (!course.over) await this.#round(subscription, course);
    } catch (thrown) {
      if (!isTailraceError(thrown) || !thrown.retryable) throw thrown;
      // The log cannot be had for a moment.
      if (!course.over) await course.sleep(faultPauseMs, this.#parts.clock);
    } finally {
      queue?.release();
    }
  }

  async #round(subscription: Subscription, course: Course): Promise<void> {
    const { channel } = subscription;
    const { ownership, past, clock } = this.#parts;
    const tap = course.isNear(clock, nearMs) ? new Tap(tapBytesMax) : undefined;
    if (tap !== undefined) channel.taps.add(tap);
    try {
      const untils = channel.partitions.map((partition) => ownership.next(channel, partition));
      const backlog = past.backlog(channel, course.position, untils);
      const told = course.whole
        ? await this.#replay(subscription, course, backlog)
        : await this.#conflate(subscription, course, backlog);
      if (told && tap !== undefined) await this.#finish(subscription, course, tap);
    } finally {
      if (tap !== undefined) channel.taps.delete(tap);
    }
  }

  /** All of it. Whether the client has it all. */
  async #replay(subscription: Subscription, course: Course, backlog: Backlog): Promise<boolean> {
    for (;;) {
      const reports = await backlog.next(frameBytesMax);
      if (course.over || !(await this.#tellMissing(subscription, course, backlog))) return false;
      if (reports.length === 0) break;
      for (let from = 0; from < reports.length; ) {
        const to = await this.#due(course, reports, from);
        // The client may have been paused, or its socket filled, meanwhile.
        if (!(await this.#tell(subscription, course, reports.slice(from, to)))) return false;
        from = to;
      }
    }
    advance(course, backlog);
    return !backlog.isCut;
  }

  /** Waits for the report at `from`. Up to where they are due with it. */
  async #due(course: Course, reports: readonly PastReport[], from: number): Promise<number> {
    const { clock } = this.#parts;
    if (course.speed === undefined) return reports.length;
    const waitMs = course.waitMs(reports[from]!.timeMs, clock);
    if (waitMs > 0) await course.sleep(waitMs, clock);
    let to = from + 1;
    while (to < reports.length && course.waitMs(reports[to]!.timeMs, clock) <= grainMs) to++;
    return to;
  }

  async #tell(subscription: Subscription, course: Course, reports: readonly PastReport[]): Promise<boolean> {
    const { view } = subscription;
    const shown = view.shaped(reports.map(({ arrival }) => arrival));
    for (const piece of piecesOf(view, shown, course.whole ? replayMarks : noMarks)) {
      if (!(await this.#ready(subscription, course))) return false;
      give(subscription, course, piece);
    }
    for (const { arrival } of reports) course.position.advance(arrival.partition, arrival.seq);
    return true;
  }

  /**
   * What is at most one frame is told as it is. More is conflated: from all there is, or as much as may be held at a time. Where the socket has no room for all
   * of that, the rest is read, and conflated, again when it has. Whether the client has it all.
   */
  async #conflate(subscription: Subscription, course: Course, backlog: Backlog): Promise<boolean> {
    const { view } = subscription;
    const conflation = new Conflation<Shown>();
    let whole: readonly Shown[] | undefined = [];
    let isAll = true;
    for (let pieces = 1; ; pieces++) {
      const reports = await backlog.next(frameBytesMax);
      if (course.over || !(await this.#tellMissing(subscription, course, backlog))) return false;
      if (reports.length === 0) break;
      const shown = view.shaped(reports.map(({ arrival }) => arrival));
      if (pieces === 1) whole = shown;
      else {
        for (const each of whole ?? []) conflation.add(each);
        for (const each of shown) conflation.add(each);
        whole = undefined;
      }
      isAll = conflation.bytes <= this.#parts.conflationBytesMax;
      if (!isAll) break;
      if (pieces % piecesAtOnce === 0) await course.sleep(0, this.#parts.clock);
    }
    const conflated = conflation.take('slow');
    const pieces = whole === undefined ? conflatedPiecesOf(view, conflated) : piecesOf(view, whole, noMarks);
    for (const piece of pieces) {
      if (course.over || subscription.subscriber.room() !== undefined) return false;
      give(subscription, course, piece);
    }
    for (const { count } of conflated.skipped) this.counts.conflated += count;
    advance(course, backlog);
    return isAll && !backlog.isCut;
  }

  /** Says what the log no longer has, and what the last values of it are. */
  async #tellMissing(subscription: Subscription, course: Course, backlog: Backlog): Promise<boolean> {
    const missing = backlog.missing.splice(0);
    if (missing.length === 0) return true;
    const { view } = subscription;
    const skipped = missing.map(({ partition, from, to, reason }) => ({
      ...{ partition, device: '', from, to, count: 0, reason: reason as SkippedReason },
    }));
    if (!(await this.#ready(subscription, course))) return false;
    subscription.subscriber.give(subscription, view.frame([], { skipped }));
    for (const piece of this.#parts.lastValues(subscription, missing)) {
      if (!(await this.#ready(subscription, course))) return false;
      subscription.subscriber.give(subscription, piece.frame);
    }
    for (const { partition, to } of missing) course.position.advance(partition, to);
    return true;
  }

  /** What came meanwhile; with the last frame of it the subscription joins. */
  async #finish(subscription: Subscription, course: Course, tap: Tap): Promise<void> {
    const { view } = subscription;
    const marks = course.whole ? replayMarks : noMarks;
    while (await this.#ready(subscription, course)) {
      if (tap.overflowed) return;
      const isLast = tap.bytes <= frameBytesMax;
      // To those on the topic before it is joined: it is in the tap, too.
      if (isLast) this.#parts.views.flush(view);
      const arrivals = tap.take();
      for (const piece of piecesOf(view, view.shaped(arrivals), marks)) {
        if (!isLast && !(await this.#ready(subscription, course))) return;
        give(subscription, course, piece);
      }
      for (const { partition, seq } of arrivals) course.position.advance(partition, seq);
      if (isLast) return this.join(subscription, course);
    }
  }

  #isComplete(subscription: Subscription, course: Course): boolean {
    const { channel, view } = subscription;
    this.#parts.views.flush(view);
    // The next cut holds everything.
    if (view.options.align !== undefined) return true;
    return channel.partitions.every(
      (partition) => (course.position.last(partition) ?? -1) >= this.#parts.ownership.next(channel, partition) - 1,
    );
  }

  /** Waits for room. False: the course is over. */
  async #ready(subscription: Subscription, course: Course): Promise<boolean> {
    while (!course.over) {
      const room = subscription.subscriber.room();
      if (room === undefined) return true;
      await room;
    }
    return false;
  }
}

/** In each partition the reports of a piece are the next ones. */
function give(subscription: Subscription, course: Course, { frame, reports }: Piece): void {
  subscription.subscriber.give(subscription, frame);
  for (const { partition, seq } of reports) course.position.advance(partition, seq);
}

function advance(course: Course, backlog: Backlog): void {
  for (const [partition, next] of backlog.reached()) course.position.advance(partition, next - 1);
}
