import type { Clock } from '@tailrace/platform/clock';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { type Positions, tokenFromPositions } from '@tailrace/protocol/position';
import { type FrameFlags, noFlags } from '@tailrace/protocol/server-message';
import type { SkippedReason } from '@tailrace/protocol/skipped';
import { LiveBuffer } from '../channels/channels.ts';
import type { Snapshot } from '../channels/snapshot.ts';
import type { SubscribeReplies, SubscribeReply } from '../channels/subscribe-replies.ts';
import type { SubscribeRequest, Subscription } from '../channels/subscription.ts';
import type { PartitionTable } from '../ownership/partition-table.ts';
import type { PresenceMonitor } from '../presence/presence-monitor.ts';
import { Conflation } from '../views/conflation.ts';
import type { Cuts } from '../views/cuts.ts';
import { conflatedFrames, type EncodedFrame, encodedFrames, frameBytesMax } from '../views/frames.ts';
import type { Publication } from '../views/publication.ts';
import type { Views } from '../views/view.ts';
import { type Backlog, backlogBytesOf } from './backlog.ts';
import type { CatchUp } from './catch-up.ts';
import type { History, ResumeBacklog } from './history.ts';
import { type BacklogReport, IdReservation } from './log-range.ts';
import type { Reservation } from './memory-budget.ts';
import { awaited, reserved, type Coroutine } from './coroutine.ts';

export interface CatchUpsOptions {
  readonly views: Pick<Views, 'flush'>;
  readonly table: Pick<PartitionTable, 'next'>;
  readonly presence: PresenceMonitor;
  readonly history: Pick<History, 'reach' | 'since' | 'resume' | 'backlog'>;
  readonly replies: SubscribeReplies;
  readonly clock: Clock;
  readonly cuts: Pick<Cuts, 'enter'>;
  /** Bytes of the backlog with which one subscription resumes, and of the reports conflated at a time for it. */
  readonly resumeBytesMax: number;
  /** Replays with a speed on this node at once. */
  readonly replaysMax: number;
}

const replayFlags: FrameFlags = Object.freeze({ replay: true });
/** Bytes of the reports that come while a subscription catches up: four frames. With more, it takes another pass. */
const liveBufferBytesMax = 4 * frameBytesMax;
/** Bytes of a pass beside the conflated reports: the live buffer, the reports of a frame, and the frame. */
const passBytes = liveBufferBytesMax + 2 * frameBytesMax;
/** Bytes for the live buffer, and for the backlog of most clients. */
const resumeBytesMin = 2 * liveBufferBytesMax;
/** Memory of held reports, in multiples of their bytes. */
const heldFactor = 4;
/** A replay with a speed that is this near to now is followed by live reports, ms. */
const nearMs = 1_000;
/** Reports due within this time are sent together, ms. */
const grainMs = 20;
const retryPauseMs = 500;
/** How often a replay that waits checks whether others wait for its memory, ms. */
const memoryCheckMs = 1_000;
const noHistory: Pick<SubscribeRequest, 'after' | 'from'> = {};

/**
 * Brings every subscription from its request, or from the position where it fell behind or was paused, to live, at the
 * pace of its socket and of the scheduler.
 *
 * **Start.** A subscription starts with last values, after a position (`after`), or from a time (`from`). Its head has
 * the position, and what is missing; the snapshot follows. `after` is read into memory before the head, because the
 * head has the exact ranges that are missing. Its size is limited; what is beyond the limit is `too_far`. `from` has no
 * limit, so it is read while it is sent. Its head has what is before the log; other missing ranges are reported at
 * their place.
 *
 * **Passes.** A pass goes from the position of the subscription to that of its channel. It sends everything (a replay,
 * or a client that was away briefly), or conflates (a slow client). A live buffer collects the reports that come on the
 * channel meanwhile. Passes follow each other until the live buffer of one has not overflowed. While a socket is not
 * writable, only its position is held.
 *
 * **Join.** The subscription joins the topic in a turn of the event loop in which nothing is left to send.
 */
export class CatchUps {
  /** Reports that were conflated for slow clients, and replays in progress. */
  readonly counts = { conflated: 0, replays: 0, pacedReplays: 0 };
  readonly #options: CatchUpsOptions;

  constructor(options: CatchUpsOptions) {
    this.#options = options;
  }

  /**
   * Brings a new subscription to live, once its channel is live. Takes one turn of the event loop if nothing has to be
   * read, the scheduler has time, and the socket takes everything. Throws if it cannot continue.
   */
  *start(subscription: Subscription): Coroutine {
    const { channel, view, subscriber, request } = subscription;
    const { history, replies } = this.#options;
    // A consistent cut is complete: what was before it adds nothing.
    const { after, from } = view.options.align === undefined ? request : noHistory;
    if (after !== undefined) yield history.reach(channel, after);
    // A client uses memory for one of its subscriptions at a time.
    const turn = subscriber.catchUpMutex.take();
    let catchUp: CatchUp;
    try {
      if (turn !== undefined) yield turn;
      for (let wait = subscriber.whenWritable(); wait !== undefined; wait = subscriber.whenWritable()) yield wait;
      if (subscription.state !== 'waiting') return;
      if (after !== undefined) catchUp = yield* this.#resume(subscription, after);
      else if (from !== undefined) catchUp = yield* this.#replayFrom(subscription, from);
      else catchUp = yield* this.#sendHead(subscription, replies.withLastValues(subscription));
    } finally {
      subscriber.catchUpMutex.release();
    }
    yield* this.continue(subscription, catchUp);
  }

  /** Continues until the subscription is live or its catch-up is stopped. Throws if it cannot continue. */
  *continue(subscription: Subscription, catchUp: CatchUp): Coroutine {
    // Positions of a device only increase, so the rest of the snapshot comes first.
    if (!(yield* sendOwnSnapshot(subscription, catchUp))) return;
    if (catchUp.whole) this.counts.replays++;
    try {
      while (yield* whenWritable(subscription, catchUp)) {
        if (!this.#isComplete(subscription, catchUp)) yield* this.#inTurn(subscription, catchUp);
        // After the last frame nothing is left in this turn, although the frame may have filled the socket.
        if (catchUp.isStopped || !this.#isComplete(subscription, catchUp)) continue;
        if (!(yield* this.#sendPresencePages(subscription, catchUp))) this.#join(subscription, catchUp);
      }
    } finally {
      if (catchUp.whole) this.counts.replays--;
    }
  }

  /** Counts one more replay with a speed. Throws `limit_reached`. Call `release` when it has stopped. */
  reserve(subscription: Subscription): void {
    const { replaysMax } = this.#options;
    if (this.counts.pacedReplays >= replaysMax) {
      throw new TailraceError(
        'limit_reached',
        `expected at most ${replaysMax} replays with a speed on this node, got one more: try later, or without a speed`,
      );
    }
    subscription.isPaced = true;
    this.counts.pacedReplays++;
  }

  /** Idempotent. */
  release(subscription: Subscription): void {
    if (!subscription.isPaced) return;
    subscription.isPaced = false;
    this.counts.pacedReplays--;
  }

  /** Sends the head, and the snapshot as far as the client reads it. */
  *#sendHead(subscription: Subscription, reply: SubscribeReply): Coroutine<CatchUp> {
    const { subscriber } = subscription;
    const { clock, replies } = this.#options;
    const { start, snapshot, catchUp } = reply;
    // The flush before the reply may have closed a full connection.
    if (subscription.state !== 'waiting') {
      catchUp.stop();
      return catchUp;
    }
    subscription.start(catchUp);
    catchUp.start(clock.monotonic());
    subscriber.sendHead(subscription, start);
    replies.counts.started(subscription.request, start, clock.monotonic() - subscription.requestedMs);
    subscription.snapshot = snapshot;
    yield* sendOwnSnapshot(subscription, catchUp);
    return catchUp;
  }

  *#replayFrom(subscription: Subscription, timeMs: number): Coroutine<CatchUp> {
    const { history, replies } = this.#options;
    const { position, missing } = yield* awaited(history.since(subscription.channel, timeMs));
    return yield* this.#sendHead(subscription, replies.fromTime(subscription, position, missing));
  }

  /**
   * Reads the backlog after a token, then sends it. Most clients are a little behind. For more than `resumeBytesMin`,
   * memory for the maximum of one subscription is reserved.
   */
  *#resume(subscription: Subscription, after: Positions): Coroutine<CatchUp> {
    const { history, resumeBytesMax } = this.#options;
    for (let isWhole = false; ; isWhole = true) {
      const bytes = isWhole ? resumeBytesMin + heldFactor * resumeBytesMax : resumeBytesMin;
      const memory = yield* reserved(subscription.subscriber.work, bytes);
      // Bytes beyond the reservation are counted if memory is free, and held in any case: their number is limited.
      const grow = (more: number) => memory.grow(more) || isWhole;
      const pass = new Pass(subscription, memory, new LiveBuffer(liveBufferBytesMax));
      try {
        const backlog = yield* history.resume(subscription.channel, after, { grow });
        if (backlog !== undefined) return yield* this.#sendResume(pass, backlog);
      } finally {
        pass.end();
      }
    }
  }

  *#sendResume(pass: Pass, backlog: ResumeBacklog): Coroutine<CatchUp> {
    const { subscription } = pass;
    const { channel, view } = subscription;
    const { views, replies } = this.#options;
    const liveBuffer = pass.liveBuffer!;
    // In one turn of the event loop: the frames below are complete up to here, and later reports are in the live
    // buffer.
    views.flush(view);
    const reply = replies.afterPosition(subscription, backlog);
    const shaped = view.shaped([...backlog.logReports, ...liveBuffer.take()]);
    const reached = liveBuffer.overflowed ? backlog.reached : replies.here(channel);
    const catchUp = yield* this.#sendHead(subscription, reply);
    for (const encoded of encodedFrames(view, shaped, replayFlags)) {
      if (!(yield* pass.whenWritable(catchUp))) return catchUp;
      send(subscription, catchUp, encoded);
      yield undefined;
    }
    // The next catch-up reads it again.
    if (catchUp.isStopped) return catchUp;
    for (const [partition, last] of reached.entries()) catchUp.position.advance(partition, last);
    yield* this.#sendLiveBuffer(pass, catchUp, liveBuffer);
    return catchUp;
  }

  /**
   * Sends the idle devices of a channel with many of them, page by page. Returns false if they are few: `#join` sends
   * them.
   */
  *#sendPresencePages(subscription: Subscription, catchUp: CatchUp): Coroutine<boolean> {
    const { channel, view, subscriber } = subscription;
    const pages = this.#options.presence.pages(channel, view, catchUp);
    if (pages === undefined) return false;
    for (const frames of pages) {
      if (!(yield* whenWritable(subscription, catchUp))) return true;
      for (const frame of frames) subscriber.send(subscription, frame);
      yield undefined;
    }
    return true;
  }

  /** Joins the topic: nothing is left to send before its next frame. */
  #join(subscription: Subscription, catchUp: CatchUp): void {
    const { channel, view, subscriber } = subscription;
    const { presence, cuts } = this.#options;
    // The topic has the changes only, so the present state comes first.
    for (const frame of presence.frames(channel, view, catchUp)) subscriber.send(subscription, frame);
    if (catchUp.isStopped) return;
    if (view.options.align !== undefined) cuts.enter(subscription);
    this.release(subscription);
    subscription.join();
    subscriber.join(subscription, catchUp.whole ? tokenFromPositions(catchUp.position) : undefined);
  }

  /**
   * Runs a pass while no other subscription of the client uses memory. A replay with a speed uses little, for a long
   * time, so it does not wait.
   */
  *#inTurn(subscription: Subscription, catchUp: CatchUp): Coroutine {
    const { catchUpMutex, replayMutex } = subscription.subscriber;
    const mutex = catchUp.speed !== undefined ? undefined : catchUp.whole ? replayMutex : catchUpMutex;
    const turn = mutex?.take();
    try {
      if (turn !== undefined) yield turn;
      if (!catchUp.isStopped) yield* this.#pass(subscription, catchUp);
      const { pauseMs } = catchUp;
      catchUp.pauseMs = 0;
      if (pauseMs > 0 && !catchUp.isStopped) yield catchUp.sleep(pauseMs, this.#options.clock);
    } catch (thrown) {
      if (!isTailraceError(thrown) || !thrown.retryable) throw thrown;
      // The log is unavailable.
      if (!catchUp.isStopped) yield catchUp.sleep(retryPauseMs, this.#options.clock);
    } finally {
      mutex?.release();
    }
  }

  *#pass(subscription: Subscription, catchUp: CatchUp): Coroutine {
    const { channel, subscriber } = subscription;
    const { table, history, clock } = this.#options;
    const { idBytes } = catchUp;
    const memory = yield* reserved(subscriber.work, passBytes + backlogBytesOf(channel.partitions.length) + idBytes);
    const ids = new IdReservation(idBytes, memory);
    const liveBuffer = catchUp.isNear(clock, nearMs) ? new LiveBuffer(liveBufferBytesMax) : undefined;
    const pass = new Pass(subscription, memory, liveBuffer);
    try {
      if (catchUp.isStopped) return;
      const untils = channel.partitions.map((partition) => table.next(channel, partition));
      const backlogPass: BacklogPass = {
        pass,
        catchUp,
        backlog: history.backlog(channel, catchUp.position, untils, ids),
        ids,
      };
      const isWhole = catchUp.whole || clock.monotonic() < catchUp.conflatesFromMs;
      const isSent = yield* isWhole ? this.#sendWhole(backlogPass) : this.#sendConflated(backlogPass);
      if (isSent && liveBuffer !== undefined) yield* this.#sendLiveBuffer(pass, catchUp, liveBuffer);
    } finally {
      if (ids.isShort) catchUp.idBytes = ids.nextBytes;
      pass.end();
    }
  }

  /** Sends everything. Returns whether the client has all of it. */
  *#sendWhole(backlogPass: BacklogPass): Coroutine<boolean> {
    const { catchUp, backlog, ids } = backlogPass;
    for (;;) {
      const reports = yield* backlog.next(frameBytesMax);
      if (catchUp.isStopped || ids.isShort || !(yield* this.#sendMissing(backlogPass))) return false;
      if (reports.length === 0) break;
      for (let from = 0; from < reports.length; ) {
        const to = yield* this.#due(backlogPass, reports, from);
        if (to === undefined) return false;
        // The subscription may have been paused, or its socket filled, in the meantime.
        if (!(yield* this.#sendReports(backlogPass, reports.slice(from, to)))) return false;
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
  *#due({ pass, catchUp }: BacklogPass, reports: readonly BacklogReport[], from: number): Coroutine<number | undefined> {
    const { clock } = this.#options;
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

  *#sendReports({ pass, catchUp }: BacklogPass, reports: readonly BacklogReport[]): Coroutine<boolean> {
    const { subscription } = pass;
    const { view } = subscription;
    const shaped = view.shaped(reports.map(({ logReport }) => logReport));
    for (const encoded of encodedFrames(view, shaped, catchUp.whole ? replayFlags : noFlags)) {
      if (!(yield* pass.whenWritable(catchUp))) return false;
      send(subscription, catchUp, encoded);
      yield undefined;
    }
    for (const { logReport } of reports) catchUp.position.advance(logReport.partition, logReport.seq);
    return true;
  }

  /**
   * Sends a backlog of at most one frame whole, and conflates a larger one: up to the next missing range, or as much as
   * may be held at a time. If the socket cannot take all of it, the rest is read and conflated again later. Returns
   * whether the client has all of it.
   */
  *#sendConflated(backlogPass: BacklogPass): Coroutine<boolean> {
    const { pass, catchUp, backlog, ids } = backlogPass;
    const { subscription, memory } = pass;
    const { view, subscriber } = subscription;
    const conflation = new Conflation<Publication>();
    let whole: readonly Publication[] | undefined = [];
    let isAll = true;
    let reached = [...backlog.reached()];
    for (let chunks = 1; ; chunks++) {
      const reports = yield* backlog.next(frameBytesMax);
      if (catchUp.isStopped) return false;
      // A missing range is reported after the collected reports. Otherwise a client whose socket fills meanwhile would
      // never get those: the next pass starts with the missing range.
      isAll = !ids.isShort && (chunks === 1 || backlog.missing.length === 0);
      if (!isAll) break;
      if (!(yield* this.#sendMissing(backlogPass))) return false;
      reached = [...backlog.reached()];
      if (reports.length === 0) break;
      const shaped = view.shaped(reports.map(({ logReport }) => logReport));
      const before = conflation.bytes;
      if (chunks === 1) whole = shaped;
      else {
        for (const each of whole ?? []) conflation.add(each);
        for (const each of shaped) conflation.add(each);
        whole = undefined;
      }
      isAll = conflation.bytes <= this.#options.resumeBytesMax && memory.grow(conflation.bytes - before);
      if (!isAll) break;
      yield undefined;
    }
    const conflated = conflation.take('slow');
    const frames = whole === undefined ? conflatedFrames(view, conflated) : encodedFrames(view, whole, noFlags);
    for (const encoded of frames) {
      if (catchUp.isStopped || subscriber.whenWritable() !== undefined) return false;
      send(subscription, catchUp, encoded);
      yield undefined;
    }
    if (catchUp.isStopped) return false;
    for (const { count } of conflated.skipped) this.counts.conflated += count;
    advance(catchUp, reached);
    return isAll && !backlog.isTruncated;
  }

  /** Reports the ranges that the log no longer has, and sends the last values in them. */
  *#sendMissing({ pass, catchUp, backlog }: BacklogPass): Coroutine<boolean> {
    const { subscription } = pass;
    const missing = backlog.missing.splice(0);
    if (missing.length === 0) return true;
    const { view, subscriber } = subscription;
    const skipped = missing.map(({ partition, from, to, reason }) => ({
      ...{ partition, device: '', from, to, count: 0, reason: reason as SkippedReason },
    }));
    if (!(yield* pass.whenWritable(catchUp))) return false;
    const snapshot = this.#options.replies.snapshot(subscription, missing);
    subscriber.send(subscription, view.frame([], { skipped }));
    if (!(yield* sendSnapshot(subscription, catchUp, snapshot))) return false;
    for (const { partition, to } of missing) catchUp.position.advance(partition, to);
    return true;
  }

  /**
   * Sends the reports that came meanwhile. After the last frame nothing is left, and the subscription may join in the
   * same turn.
   */
  *#sendLiveBuffer(pass: Pass, catchUp: CatchUp, liveBuffer: LiveBuffer): Coroutine {
    const { subscription } = pass;
    const { view } = subscription;
    const flags = catchUp.whole ? replayFlags : noFlags;
    while (yield* pass.whenWritable(catchUp)) {
      if (liveBuffer.overflowed) return;
      const isLast = liveBuffer.bytes <= frameBytesMax;
      // For the clients on the topic, before this one joins: the live buffer has the same reports.
      if (isLast) this.#options.views.flush(view);
      const logReports = liveBuffer.take();
      for (const encoded of encodedFrames(view, view.shaped(logReports), flags)) {
        if (!isLast && !(yield* pass.whenWritable(catchUp))) return;
        send(subscription, catchUp, encoded);
      }
      for (const { partition, seq } of logReports) catchUp.position.advance(partition, seq);
      if (isLast) return this.#reachHere(subscription, catchUp);
      yield undefined;
    }
  }

  /** Moves the client to the position of the channel: there is nothing in between. */
  #reachHere({ channel }: Subscription, catchUp: CatchUp): void {
    for (const partition of channel.partitions) {
      catchUp.position.advance(partition, this.#options.table.next(channel, partition) - 1);
    }
  }

  #isComplete(subscription: Subscription, catchUp: CatchUp): boolean {
    const { channel, view } = subscription;
    this.#options.views.flush(view);
    // The next cut has everything.
    if (view.options.align !== undefined) return true;
    return channel.partitions.every(
      (partition) => (catchUp.position.last(partition) ?? -1) >= this.#options.table.next(channel, partition) - 1,
    );
  }
}

/** What a subscription holds during a pass: memory, and the reports that come meanwhile. To be closed with `end`. */
class Pass {
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
      this.memory.shrink(liveBufferBytesMax);
    }
    return yield* whenWritable(subscription, catchUp);
  }

  end(): void {
    if (this.liveBuffer !== undefined) this.subscription.channel.liveBuffers.delete(this.liveBuffer);
    this.memory.release();
  }
}

/** A pass, and the backlog that it sends. */
interface BacklogPass {
  readonly pass: Pass;
  readonly catchUp: CatchUp;
  readonly backlog: Backlog;
  readonly ids: IdReservation;
}

/** Waits until the socket is writable. Returns false if the catch-up is stopped. */
function* whenWritable({ subscriber }: Subscription, catchUp: CatchUp): Coroutine<boolean> {
  while (!catchUp.isStopped) {
    const wait = subscriber.whenWritable();
    if (wait === undefined) return true;
    yield wait;
  }
  return false;
}

/** Sends all of a snapshot. Returns false if the catch-up is stopped. */
function* sendSnapshot(subscription: Subscription, catchUp: CatchUp, snapshot: Snapshot): Coroutine<boolean> {
  while (!snapshot.isComplete) {
    if (!(yield* whenWritable(subscription, catchUp))) return false;
    const frame = snapshot.next();
    if (frame !== undefined) subscription.subscriber.send(subscription, frame);
    if (!snapshot.isComplete) yield undefined;
  }
  return !catchUp.isStopped;
}

/** Sends the rest of the subscription's snapshot. Returns false if the catch-up is stopped: the next one continues. */
function* sendOwnSnapshot(subscription: Subscription, catchUp: CatchUp): Coroutine<boolean> {
  const { snapshot } = subscription;
  if (snapshot !== undefined && !(yield* sendSnapshot(subscription, catchUp, snapshot))) return false;
  subscription.snapshot = undefined;
  return true;
}

/** Sends a frame, and moves the position to its reports, which are the next ones of each partition. */
function send(subscription: Subscription, catchUp: CatchUp, { frame, reports }: EncodedFrame): void {
  subscription.subscriber.send(subscription, frame);
  for (const { partition, seq } of reports) catchUp.position.advance(partition, seq);
}

/** `reached`: as `Backlog.reached`. */
function advance(catchUp: CatchUp, reached: Iterable<readonly [partition: number, next: number]>): void {
  for (const [partition, next] of reached) catchUp.position.advance(partition, next - 1);
}
