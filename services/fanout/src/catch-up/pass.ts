import type { Clock } from '@tailrace/platform/clock';
import { type FrameFlags, noFlags } from '@tailrace/protocol/server-message';
import type { SkippedReason } from '@tailrace/protocol/skipped';
import type { LiveBuffer } from '../channels/channels.ts';
import type { Snapshot } from '../channels/snapshot.ts';
import type { SubscribeReplies } from '../channels/subscribe-replies.ts';
import type { Subscription } from '../channels/subscription.ts';
import { Conflation } from '../views/conflation.ts';
import { conflatedFrames, type EncodedFrame, encodedFrames, frameBytesMax } from '../views/frames.ts';
import type { Publication } from '../views/publication.ts';
import type { Backlog, TimedReport } from './backlog.ts';
import type { CatchUp } from './catch-up.ts';
import type { Coroutine } from './coroutine.ts';
import type { IdReservation } from './log-range.ts';
import type { Reservation } from './memory-budget.ts';

export const replayFlags: FrameFlags = Object.freeze({ replay: true });
/** Bytes of the reports that come while a subscription catches up: four frames. With more, it takes another pass. */
export const liveBufferBytesMax = 4 * frameBytesMax;
/** Reports due within this time are sent together, ms. */
const grainMs = 20;
/** How often a replay that waits checks whether others wait for its memory, ms. */
const memoryCheckMs = 1_000;

/** What a subscription holds during a pass: memory, and the reports that come meanwhile. To be closed with `end`. */
export class Pass {
  readonly subscription: Subscription;
  readonly memory: Reservation;
  /** Undefined: reports that come meanwhile are read again. */
  readonly liveBuffer: LiveBuffer | undefined;

  constructor(subscription: Subscription, memory: Reservation, liveBuffer: LiveBuffer | undefined) {
    this.subscription = subscription;
    this.memory = memory;
    this.liveBuffer = liveBuffer;
    if (liveBuffer !== undefined) subscription.channel.liveBuffers.add(liveBuffer);
  }

  /** As `whenWritable`. If it waits, the live buffer is dropped, and its reports are read again. */
  *whenWritable(catchUp: CatchUp): Coroutine<boolean> {
    const { subscription, liveBuffer } = this;
    if (liveBuffer?.overflowed === false && subscription.subscriber.whenWritable() !== undefined) {
      liveBuffer.overflow();
      this.memory.shrink(liveBuffer.bytesMax);
    }
    return yield* whenWritable(subscription, catchUp);
  }

  /** Sends frames as fast as the socket and the scheduler allow. Returns false if the catch-up is stopped meanwhile. */
  *sendFrames(catchUp: CatchUp, frames: Iterable<EncodedFrame | undefined>): Coroutine<boolean> {
    for (const encoded of frames) {
      if (encoded !== undefined) {
        if (!(yield* this.whenWritable(catchUp))) return false;
        send(this.subscription, catchUp, encoded);
      }
      yield undefined;
    }
    return true;
  }

  end(): void {
    if (this.liveBuffer !== undefined) this.subscription.channel.liveBuffers.delete(this.liveBuffer);
    this.memory.release();
  }
}

export interface BacklogPassOptions {
  readonly pass: Pass;
  readonly catchUp: CatchUp;
  readonly backlog: Backlog;
  readonly ids: IdReservation;
  readonly replies: Pick<SubscribeReplies, 'snapshot'>;
  readonly clock: Clock;
  /** Bytes of the reports conflated at a time. */
  readonly resumeBytesMax: number;
  readonly counts: { conflated: number };
}

/** Sends the backlog of a subscription in a pass: whole, or conflated. */
export class BacklogPass {
  readonly #options: BacklogPassOptions;

  constructor(options: BacklogPassOptions) {
    this.#options = options;
  }

  /** Sends everything. Returns whether the client has all of it. */
  *sendWhole(): Coroutine<boolean> {
    const { catchUp, backlog, ids } = this.#options;
    for (;;) {
      const reports = yield* backlog.next(frameBytesMax);
      if (catchUp.isStopped || ids.isShort || !(yield* this.#sendMissing())) return false;
      if (reports.length === 0) break;
      for (let from = 0; from < reports.length; ) {
        const to = yield* this.#due(reports, from);
        if (to === undefined) return false;
        // The subscription may have been paused, or its socket filled, in the meantime.
        if (!(yield* this.#sendReports(reports.slice(from, to)))) return false;
        from = to;
      }
      yield undefined;
    }
    advance(catchUp, backlog.reached());
    return !backlog.isTruncated;
  }

  /**
   * Waits until the report at `from` is due. Returns the end of the reports that are due with it. Undefined: others
   * wait for memory, so this pass stops, and another one continues when the report is due.
   */
  *#due(reports: readonly TimedReport[], from: number): Coroutine<number | undefined> {
    const { pass, catchUp, clock } = this.#options;
    if (catchUp.speed === undefined) return reports.length;
    for (;;) {
      const waitMs = catchUp.waitMs(reports[from]!.timeMs, clock);
      if (waitMs <= 0 || catchUp.isStopped) break;
      if (pass.memory.isWanted) {
        catchUp.pauseMs = waitMs;
        return undefined;
      }
      yield catchUp.sleep(Math.min(waitMs, memoryCheckMs), clock);
      if (waitMs <= memoryCheckMs) break;
    }
    let to = from + 1;
    while (to < reports.length && catchUp.waitMs(reports[to]!.timeMs, clock) <= grainMs) to++;
    return to;
  }

  *#sendReports(reports: readonly TimedReport[]): Coroutine<boolean> {
    const { pass, catchUp } = this.#options;
    const { view } = pass.subscription;
    const shaped = view.shaped(reports.map(({ logReport }) => logReport));
    const frames = encodedFrames(view, shaped, catchUp.whole ? replayFlags : noFlags);
    if (!(yield* pass.sendFrames(catchUp, frames))) return false;
    for (const { logReport } of reports) catchUp.position.advance(logReport.partition, logReport.seq);
    return true;
  }

  /**
   * Sends a backlog of at most one frame whole, and conflates a larger one: up to the next missing range, or as much as
   * may be held at a time. If the socket cannot take all of it, the rest is read and conflated again later. Returns
   * whether the client has all of it.
   */
  *sendConflated(): Coroutine<boolean> {
    const { pass, catchUp, backlog, ids, resumeBytesMax, counts } = this.#options;
    const { subscription, memory } = pass;
    const { view, subscriber } = subscription;
    const conflation = new Conflation<Publication>();
    let whole: Publication[] | undefined = [];
    let isAll = true;
    let reached = [...backlog.reached()];
    for (let chunks = 1; ; chunks++) {
      const reports = yield* backlog.next(frameBytesMax);
      if (catchUp.isStopped) return false;
      // A missing range is reported after the collected reports. Otherwise a client whose socket fills meanwhile would
      // never get those: the next pass starts with the missing range.
      isAll = !ids.isShort && (chunks === 1 || backlog.missing.length === 0);
      if (!isAll) break;
      if (!(yield* this.#sendMissing())) return false;
      reached = [...backlog.reached()];
      if (reports.length === 0) break;
      const shaped = [...view.shaped(reports.map(({ logReport }) => logReport))];
      const before = conflation.bytes;
      if (chunks === 1) whole = shaped;
      else {
        for (const each of whole ?? []) conflation.add(each);
        for (const each of shaped) conflation.add(each);
        whole = undefined;
      }
      isAll = conflation.bytes <= resumeBytesMax && memory.grow(conflation.bytes - before);
      if (!isAll) break;
      yield undefined;
    }
    const conflated = conflation.take('slow');
    const frames = whole === undefined ? conflatedFrames(view, conflated) : encodedFrames(view, whole, noFlags);
    for (const encoded of frames) {
      if (catchUp.isStopped || subscriber.whenWritable() !== undefined) return false;
      if (encoded !== undefined) send(subscription, catchUp, encoded);
      yield undefined;
    }
    if (catchUp.isStopped) return false;
    for (const { count } of conflated.skipped) counts.conflated += count;
    advance(catchUp, reached);
    return isAll && !backlog.isTruncated;
  }

  /** Reports the ranges that the log no longer has, and sends the last values in them. */
  *#sendMissing(): Coroutine<boolean> {
    const { pass, catchUp, backlog, replies } = this.#options;
    const { subscription } = pass;
    const missing = backlog.missing.splice(0);
    if (missing.length === 0) return true;
    const { view, subscriber } = subscription;
    const skipped = missing.map(({ partition, from, to, reason }) => ({
      ...{ partition, device: '', from, to, count: 0, reason: reason as SkippedReason },
    }));
    if (!(yield* pass.whenWritable(catchUp))) return false;
    const snapshot = replies.snapshot(subscription, missing);
    subscriber.send(subscription, view.frame([], { skipped }));
    if (!(yield* sendSnapshot(subscription, catchUp, snapshot))) return false;
    for (const { partition, to } of missing) catchUp.position.advance(partition, to);
    return true;
  }
}

/** Waits until the socket is writable. Returns false if the catch-up is stopped. */
export function* whenWritable({ subscriber }: Subscription, catchUp: CatchUp): Coroutine<boolean> {
  while (!catchUp.isStopped) {
    const wait = subscriber.whenWritable();
    if (wait === undefined) return true;
    yield wait;
  }
  return false;
}

/** Sends all of a snapshot. Returns false if the catch-up is stopped. */
export function* sendSnapshot(subscription: Subscription, catchUp: CatchUp, snapshot: Snapshot): Coroutine<boolean> {
  while (!snapshot.isComplete) {
    if (!(yield* whenWritable(subscription, catchUp))) return false;
    const frame = snapshot.next();
    if (frame !== undefined) subscription.subscriber.send(subscription, frame);
    if (!snapshot.isComplete) yield undefined;
  }
  return !catchUp.isStopped;
}

/** Sends a frame, and moves the position to its reports, which are the next ones of each partition. */
export function send(subscription: Subscription, catchUp: CatchUp, { frame, reports }: EncodedFrame): void {
  subscription.subscriber.send(subscription, frame);
  for (const { partition, seq } of reports) catchUp.position.advance(partition, seq);
}

/** `reached`: as `Backlog.reached`. */
function advance(catchUp: CatchUp, reached: Iterable<readonly [partition: number, next: number]>): void {
  for (const [partition, next] of reached) catchUp.position.advance(partition, next - 1);
}
