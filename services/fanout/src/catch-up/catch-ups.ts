import type { Clock } from '@tailrace/platform/clock';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { type Positions, tokenFromPositions } from '@tailrace/protocol/position';
import { noFlags } from '@tailrace/protocol/server-message';
import { LiveBuffer } from '../channels/channels.ts';
import type { LogReport } from '../channels/log-report.ts';
import { ProgressMessages } from '../channels/progress-messages.ts';
import type { SubscribeReplies, SubscribeReply } from '../channels/subscribe-replies.ts';
import type { SubscribeRequest, Subscription } from '../channels/subscription.ts';
import type { PartitionTable } from '../ownership/partition-table.ts';
import type { PresenceMonitor } from '../presence/presence-monitor.ts';
import type { Cuts } from '../views/cuts.ts';
import { encodedFrames, frameBytesMax } from '../views/frames.ts';
import { SharedMessage } from '../views/shared-message.ts';
import type { Views } from '../views/view.ts';
import { backlogBytesOf } from './backlog.ts';
import type { CatchUp } from './catch-up.ts';
import { awaited, type Coroutine, reserved } from './coroutine.ts';
import type { History, ResumeBacklog } from './history.ts';
import { IdReservation, toLogReport } from './log-range.ts';
import { BacklogPass, liveBufferBytesMax, Pass, replayFlags, send, sendSnapshot, whenWritable } from './pass.ts';

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

/** Bytes of a pass beside the conflated reports: the live buffer, the reports of a frame, and the frame. */
const passBytes = liveBufferBytesMax + 2 * frameBytesMax;
/**
 * Bytes with which a subscription resumes at first: half for the live buffer, half for the backlog of most clients.
 * With more, fewer could resume at a time, and each waits for the log.
 */
const resumeBytesMin = 2 * frameBytesMax;
/** Memory of held reports, in multiples of their bytes. */
const heldFactor = 4;
/** A replay with a speed that is this near to now is followed by live reports, ms. */
const nearMs = 1_000;
const retryPauseMs = 500;
const noHistory: Pick<SubscribeRequest, 'after' | 'from'> = {};

/**
 * Brings every subscription to live: from its request, or from the position where it fell behind or was paused. Its
 * socket and the scheduler determine the pace.
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
   * Reads the backlog after a token, then sends it. Most clients are a little behind. If `resumeBytesMin` are too few
   * and no more are free, memory for the maximum of one subscription is reserved.
   */
  *#resume(subscription: Subscription, after: Positions): Coroutine<CatchUp> {
    const { history, resumeBytesMax } = this.#options;
    for (let isWhole = false; ; isWhole = true) {
      const liveBuffer = new LiveBuffer(isWhole ? liveBufferBytesMax : resumeBytesMin / 2);
      let freeBytes = isWhole ? liveBufferBytesMax + heldFactor * resumeBytesMax : resumeBytesMin / 2;
      const memory = yield* reserved(subscription.subscriber.work, liveBuffer.bytesMax + freeBytes);
      const grow = (more: number) => {
        freeBytes -= more;
        // Of a whole one, bytes beyond the reservation are held even if none are free: their number is limited.
        return freeBytes >= 0 || memory.grow(more) || isWhole;
      };
      const pass = new Pass(subscription, memory, liveBuffer);
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
    const shaped = view.shaped(logReportsOf(backlog, liveBuffer.take()));
    const reached = liveBuffer.overflowed ? backlog.reached : replies.here(channel);
    const catchUp = yield* this.#sendHead(subscription, reply);
    if (!(yield* pass.sendFrames(catchUp, encodedFrames(view, shaped, replayFlags)))) return catchUp;
    // The next catch-up reads it again.
    if (catchUp.isStopped) return catchUp;
    const isFar = reached.entries().some(([partition, last]) => {
      const known = catchUp.position.last(partition) ?? -1;
      return last - known >= ProgressMessages.recordsMin;
    });
    for (const [partition, last] of reached.entries()) catchUp.position.advance(partition, last);
    // Its other clients may have received the position already, and none follows if it disconnects soon.
    if (isFar) subscription.subscriber.send(subscription, positionFrame(subscription, catchUp));
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
    const { table, history, replies, clock, resumeBytesMax } = this.#options;
    const { idBytes } = catchUp;
    const memory = yield* reserved(subscriber.work, passBytes + backlogBytesOf(channel.partitions.length) + idBytes);
    const ids = new IdReservation(idBytes, memory);
    const liveBuffer = catchUp.isNear(clock, nearMs) ? new LiveBuffer(liveBufferBytesMax) : undefined;
    const pass = new Pass(subscription, memory, liveBuffer);
    try {
      if (catchUp.isStopped) return;
      const untils = channel.partitions.map((partition) => table.next(channel, partition));
      const backlog = history.backlog(channel, catchUp.position, untils, ids);
      const { counts } = this;
      const backlogPass = new BacklogPass({ pass, catchUp, backlog, ids, replies, clock, resumeBytesMax, counts });
      const isWhole = catchUp.whole || clock.monotonic() < catchUp.conflatesFromMs;
      const isSent = yield* isWhole ? backlogPass.sendWhole() : backlogPass.sendConflated();
      if (isSent && liveBuffer !== undefined) yield* this.#sendLiveBuffer(pass, catchUp, liveBuffer);
    } finally {
      if (ids.isShort) catchUp.idBytes = ids.nextBytes;
      pass.end();
    }
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
        if (encoded === undefined) {
          if (!isLast) yield undefined;
          continue;
        }
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

/** Sends the rest of the subscription's snapshot. Returns false if the catch-up is stopped: the next one continues. */
function* sendOwnSnapshot(subscription: Subscription, catchUp: CatchUp): Coroutine<boolean> {
  const { snapshot } = subscription;
  if (snapshot !== undefined && !(yield* sendSnapshot(subscription, catchUp, snapshot))) return false;
  subscription.snapshot = undefined;
  return true;
}

/** Iterates over the reports of a backlog, each created when it is encoded, then over those that came meanwhile. */
function* logReportsOf({ parts }: ResumeBacklog, live: readonly LogReport[]): Iterable<LogReport> {
  for (const { partition, reports } of parts) for (const report of reports) yield toLogReport(partition, report);
  yield* live;
}

/** Encodes `progress` with the position of the catch-up. */
function positionFrame({ view }: Subscription, { position }: CatchUp): string | Uint8Array {
  const progress = { view: view.number, position: tokenFromPositions(position) };
  return new SharedMessage({ progress }).frame(view.encoding);
}
