import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { Histogram } from '@tailrace/platform/measures';
import { tailrace } from '@tailrace/protocol/generated';
import { type Coroutine, runCoroutine } from '../catch-up/coroutine.ts';
import type { WorkScheduler } from '../catch-up/work-scheduler.ts';
import type { Channel, Channels } from '../channels/channels.ts';
import { Device } from '../channels/device.ts';
import { LogReport } from '../channels/log-report.ts';
import type { Partition } from '../ownership/partition.ts';
import type { Owner } from '../ownership/ring.ts';
import type { Pipeline } from '../pipeline.ts';
import { offline, stale } from '../presence/presences.ts';
import { relaySubject } from '../subjects.ts';
import { HeldFrames } from './held-frames.ts';
import { InterestClient } from './interest-client.ts';
import { interestRepliesFrom, showsLoss } from './interest-reply.ts';

const { OwnerReply, RelayFrame } = tailrace.v1;

export interface RelayCounts {
  frames: number;
  /** Rejected frames: unreadable, or not from the owner that this node knows. */
  rejected: number;
  /** Times that a frame did not continue from the last one, or was overdue. */
  gaps: number;
  requests: number;
  requestFailures: number;
  /** The metrics replace it with their own. */
  replySeconds: Histogram;
}

export interface RelaySubscriberOptions {
  readonly bus: Pick<Bus, 'request' | 'subscribe'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** In [0, 1). */
  readonly random: () => number;
  readonly node: string;
  readonly epoch: string;
  readonly channels: Pick<Channels, 'in' | 'find'>;
  readonly pipeline: Pick<Pipeline, 'takeFrame' | 'flushViews'>;
  /** Runs the work of replies. */
  readonly work: Pick<WorkScheduler, 'queue'>;
  readonly counts: RelayCounts;
  /** For one reply of an owner. */
  readonly deadlineMs: number;
  /** After this time without a frame, interest is requested again. An owner sends at least one a second. */
  readonly frameTimeoutMs: number;
  /** Limit of frames held while a reply is pending. Beyond it they are dropped, and interest is requested again. */
  readonly heldBytesMax: number;
}

/** Last values that are applied in one step. */
const updatesPerStep = 64;

/**
 * Follows a partition that another node owns: requests interest in the channels of this node, checks that the frames of
 * the owner have no gap, and otherwise requests interest again from its position. Delivers each report once, and in
 * order.
 *
 * A channel whose reply is pending takes no frames. They are held, and applied when the reply has the position from
 * which they continue.
 */
export class RelaySubscriber {
  readonly #partition: Partition;
  readonly #options: RelaySubscriberOptions;
  readonly #interestClient: InterestClient;
  #owner: Owner | undefined;
  /** The position up to which frames were applied, exclusive; -1 while no channel has joined. */
  #next = -1;
  /** The stream epoch of the frames that include the joined channels. */
  #streamEpoch = 0;
  readonly #held: HeldFrames;
  /** When the last frame was received, monotonic ms. */
  #receivedAtMs = 0;
  readonly #receivedPresences: ReceivedPresences;
  readonly #ownerClock = new OwnerClock();
  #subscription: Promise<BusSubscription> | undefined;

  constructor(partition: Partition, options: RelaySubscriberOptions) {
    this.#partition = partition;
    this.#options = options;
    this.#held = new HeldFrames(options.heldBytesMax);
    this.#receivedPresences = new ReceivedPresences(partition);
    const { bus, clock, logger, random, node, deadlineMs, counts } = options;
    this.#interestClient = new InterestClient({
      bus,
      clock,
      logger,
      random,
      node,
      deadlineMs,
      counts,
      partition: partition.number,
      subscribed: () => this.#subscribe(),
      decode: (reply, isCurrent) => this.#decode(reply, isCurrent),
      onReply: (...reply) => this.#onReply(...reply),
    });
  }

  /** The position up to which joined channels are complete, exclusive. */
  get next(): number {
    return this.#next;
  }

  /** Whether no channel waits for a reply of the owner. */
  get isSettled(): boolean {
    return this.#interestClient.unanswered.size === 0;
  }

  get heldBytes(): number {
    return this.#held.bytes;
  }

  /**
   * Takes the owner from the ring. The same node under a newer assignment continues its frames; from another one all
   * channels are requested.
   */
  follow(owner: Owner | undefined): void {
    const isSame = owner !== undefined && owner.node === this.#owner?.node;
    this.#owner = owner;
    if (isSame) return;
    this.#interestClient.setOwner(owner?.node);
    this.#requestAgain();
  }

  /** Stops, because this node serves the partition itself. */
  stop(): void {
    this.#settle();
    this.#owner = undefined;
    this.#next = -1;
    this.#held.drop();
    this.#interestClient.stop();
    this.#unsubscribe();
  }

  admit(channel: Channel): void {
    this.#interestClient.request(channel);
  }

  release(channel: Channel): void {
    this.#interestClient.release(channel);
    // The index iterates in pages, each copied before its devices are removed.
    for (const device of this.#partition.index.in(channel.pattern)) this.#partition.forget(device);
    for (const _ of this.#options.channels.in(this.#partition.number)) return;
    this.#next = -1;
    this.#unsubscribe();
  }

  renew(): void {
    this.#interestClient.renew();
  }

  /** Checks that frames arrive. Their absence shows that the last one, or the interest at the owner, is lost. */
  watch(nowMs: number): void {
    if (this.#next < 0 || nowMs - this.#receivedAtMs < this.#options.frameTimeoutMs) return;
    this.#options.counts.gaps++;
    this.#receivedAtMs = nowMs;
    this.#requestAgain();
  }

  async #subscribe(): Promise<void> {
    this.#subscription ??= this.#options.bus.subscribe(relaySubject(this.#partition.number), (bytes) =>
      this.#onFrame(bytes),
    );
    try {
      await this.#subscription;
    } catch (thrown) {
      this.#subscription = undefined;
      throw thrown;
    }
  }

  #unsubscribe(): void {
    const subscribed = this.#subscription;
    this.#subscription = undefined;
    // A failed subscription is closed by the bus.
    subscribed?.then((subscription) => subscription.stop()).catch(() => undefined);
  }

  #onFrame(bytes: Uint8Array): void {
    const frame = frameFrom(bytes);
    const owner = this.#owner;
    if (
      frame === undefined ||
      owner === undefined ||
      frame.epoch !== this.#options.epoch ||
      frame.node !== owner.node ||
      frame.generation < owner.generation
    ) {
      this.#options.counts.rejected++;
      return;
    }
    this.#options.counts.frames++;
    const receivedMs = this.#options.clock.monotonic();
    this.#receivedAtMs = receivedMs;
    if (frame.sentMs > 0) this.#ownerClock.observe(frame.chain, frame.sentMs, receivedMs);
    if (this.#interestClient.unanswered.size > 0) this.#hold(frame, bytes.length, receivedMs);
    if (this.#next < 0) return;
    if (frame.previous > this.#next || frame.chain !== this.#streamEpoch) {
      this.#options.counts.gaps++;
      this.#requestAgain();
      this.#hold(frame, bytes.length, receivedMs);
      return;
    }
    this.#options.pipeline.takeFrame(this.#partition, frame, this.#next);
    this.#next = Math.max(this.#next, frame.next);
    this.#partition.progress.onOwnerWatermark(frame.watermark, this.#options.clock.now());
    this.#partition.progress.deliveredThrough(this.#readThroughMs(frame, receivedMs));
    if (!this.#receivedPresences.take(frame.presences, frame.told)) return;
    this.#options.counts.gaps++;
    this.#requestAgain();
  }

  /** Returns the time up to which the owner had read the partition when it sent the frame, by this node's clock. */
  #readThroughMs({ sentMs, behindMs }: tailrace.v1.RelayFrame, receivedMs: number): number {
    // From a node without the field nothing else is known.
    return sentMs === 0 ? receivedMs : this.#ownerClock.localMs(sentMs - behindMs);
  }

  /** Requests all channels again, each from its position. */
  #requestAgain(): void {
    this.#held.drop();
    this.#settle();
    for (const channel of this.#options.channels.in(this.#partition.number)) this.#interestClient.request(channel);
    this.#next = -1;
  }

  /** Stores the position of the joined channels: that of the last applied frame, which may have no report of theirs. */
  #settle(): void {
    for (const channel of this.#options.channels.in(this.#partition.number)) {
      const { number } = this.#partition;
      if (channel.slot(number).state === 'joined') channel.advance(number, this.#next);
    }
  }

  #hold(frame: tailrace.v1.RelayFrame, bytes: number, receivedMs: number): void {
    if (this.#held.hold({ frame, receivedMs }, bytes)) return;
    this.#interestClient.setOwner(this.#owner?.node);
    this.#requestAgain();
  }

  #onReply(channels: readonly Channel[], parts: readonly tailrace.v1.OwnerReply[], requestedMs: number): void {
    const replies = interestRepliesFrom(this.#partition.number, channels, parts);
    const streamEpoch = parts[0]?.chain ?? 0;
    const sentMs = parts[0]?.sentMs ?? 0;
    if (sentMs > 0) this.#ownerClock.observe(streamEpoch, sentMs, this.#options.clock.monotonic());
    // The owner has dropped the interest in a joined channel, or a frame for it is lost.
    const isBroken = this.#next >= 0 && streamEpoch !== this.#streamEpoch;
    if (isBroken || showsLoss(replies, this.#partition, this.#next)) {
      this.#options.counts.gaps++;
      this.#requestAgain();
      return;
    }
    for (const { channel, missingUntil, logReports, unreadable } of replies) {
      const { next } = channel.slot(this.#partition.number);
      if (next >= 0 && missingUntil !== undefined)
        this.#partition.notifyMissing(channel, next, missingUntil, 'retention');
      let reported = 0;
      for (const logReport of logReports) {
        while (reported < unreadable.length && unreadable[reported]!.from! < logReport.seq)
          this.#partition.notifyUnreadable(channel, unreadable[reported++]!);
        this.#replay(channel, logReport);
      }
      for (const range of unreadable.slice(reported)) this.#partition.notifyUnreadable(channel, range);
    }
    if (this.#next < 0 && replies.length > 0) {
      this.#streamEpoch = streamEpoch;
      const { next, last } = this.#held.through(parts[0]!.next, streamEpoch);
      this.#next = next;
      this.#receivedAtMs = this.#options.clock.monotonic();
      const { progress } = this.#partition;
      // The reply was created after the request was sent, whatever its delay.
      progress.deliveredThrough(requestedMs - parts[0]!.behindMs);
      // It may have taken longer than a handover. The held frames show that the owner was reading meanwhile.
      if (last !== undefined) progress.deliveredThrough(this.#readThroughMs(last.frame, last.receivedMs));
      this.#receivedPresences.reset(parts[0]!.told);
    }
    // The last join of a channel starts its waiting subscriptions: only after the held frames, so that their snapshot
    // is as new as what others have.
    for (const { channel, complete, isDeferred } of replies) {
      // What was just sent may have closed the last client of a channel.
      if (this.#options.channels.find(channel.pattern) !== channel) continue;
      if (isDeferred) this.#interestClient.request(channel);
      else this.#catchUp(channel, complete, parts[0]!.next);
    }
    this.#options.pipeline.flushViews();
    // After all reports, because one may be newer than the presence of its device.
    for (const { presences } of replies) this.#receivedPresences.takeAll(presences);
    for (const { frame } of this.#held) this.#receivedPresences.take(frame.presences, frame.told);
    if (this.isSettled) this.#held.drop();
  }

  async #decode(reply: readonly Uint8Array[], isCurrent: () => boolean): Promise<tailrace.v1.OwnerReply[]> {
    const queue = this.#options.work.queue('relay', 'node');
    try {
      return await runCoroutine(queue, this.#applyReply(reply, isCurrent));
    } finally {
      queue.close();
    }
  }

  /**
   * Decodes a reply, and applies the last values of new channels, of which there may be any number: nothing else
   * depends on them. The other updates are left for the turn in which the channels join, and so are those that show the
   * loss of a frame.
   */
  *#applyReply(reply: readonly Uint8Array[], isCurrent: () => boolean): Coroutine<tailrace.v1.OwnerReply[]> {
    const { number } = this.#partition;
    const parts: tailrace.v1.OwnerReply[] = [];
    for (const bytes of reply) {
      const part = OwnerReply.decode(bytes);
      parts.push(part);
      const left: tailrace.v1.IRelayUpdate[] = [];
      for (const [i, update] of part.updates.entries()) {
        if (i % updatesPerStep === updatesPerStep - 1) yield undefined;
        if (!isCurrent()) return parts;
        const logReport = LogReport.fromUpdate(number, update);
        if (this.#isFresh(part.channel) && !this.#isUnseen(logReport)) {
          this.#partition.updateDevice(this.#partition.device(logReport.report.device), logReport);
        } else left.push(update);
      }
      part.updates = left;
      yield undefined;
    }
    return parts;
  }

  /** Whether an open channel has never joined the partition. */
  #isFresh(pattern: string): boolean {
    const channel = this.#options.channels.find(pattern);
    return channel !== undefined && channel.slot(this.#partition.number).next < 0;
  }

  /** Whether a joined channel has not received a report. See `showsLoss`. */
  #isUnseen(logReport: LogReport): boolean {
    if (this.#next < 0 || logReport.seq < this.#next) return false;
    return this.#partition.follows(new Device(logReport.report.device, this.#partition.number));
  }

  /** Applies one report of a reply to one channel: a last value, or one of its backlog. */
  #replay(channel: Channel, logReport: LogReport): void {
    const device = this.#partition.device(logReport.report.device);
    this.#partition.updateDevice(device, logReport);
    if (channel.slot(this.#partition.number).next >= 0) this.#partition.deliverTo(channel, logReport);
  }

  /**
   * Joins a channel that is complete up to a position, after it has taken the held frames. They include the channel
   * from `framesFrom` on: before, the owner did not know the interest.
   */
  #catchUp(channel: Channel, complete: number, framesFrom: number): void {
    const { number } = this.#partition;
    channel.advance(number, complete);
    if (channel.slot(number).next < framesFrom) {
      // The reply has a part of the backlog only.
      this.#interestClient.request(channel);
      return;
    }
    let applied = channel.slot(number).next;
    for (const { frame } of this.#held) {
      if (frame.next <= applied || frame.chain !== this.#streamEpoch) continue;
      if (frame.previous > applied) break;
      for (const update of frame.updates) {
        const logReport = LogReport.fromUpdate(this.#partition.number, update);
        if (logReport.seq < applied || !channel.covers(logReport.report.device)) continue;
        this.#partition.updateDevice(this.#partition.device(logReport.report.device), logReport);
        this.#partition.deliverTo(channel, logReport);
      }
      for (const range of frame.unreadable) this.#partition.notifyUnreadable(channel, range);
      applied = frame.next;
    }
    channel.advance(number, applied);
    if (applied >= this.#next) channel.join(number, applied);
    // A held frame is missing: the channel is complete up to there only.
    else this.#interestClient.request(channel);
  }
}

/** Returns undefined for bytes that are no frame. */
export function frameFrom(bytes: Uint8Array): tailrace.v1.RelayFrame | undefined {
  try {
    return RelayFrame.decode(bytes);
  } catch {
    return undefined;
  }
}

/** A minimum is kept for one to two of these. Clocks that drift by 100 ppm differ by 2 ms after that time. */
const spanMs = 10_000;

/**
 * Converts times of an owner's monotonic clock to this node's.
 *
 * The two clocks have only their rate in common. A frame sent at `s` and received at `r` bounds their offset to at most
 * `r - s`; the rest is delay. So the smallest recent difference is the best bound, and a frame that was delayed in a
 * socket, or in a paused process, keeps its age. LEDBAT finds the base delay by the same minimum filter (RFC 6817,
 * section 3.4.2).
 *
 * Worked example: frames sent at 1,000 and 1,500 are received at 51,003 and 51,502; then one sent at 2,000 is received
 * at 60,000. The offset is 50,002, so the last frame has the state of 52,002.
 */
export class OwnerClock {
  #streamEpoch = -1;
  #spanStartMs = 0;
  #smallest = Number.POSITIVE_INFINITY;
  #smallestBefore = Number.POSITIVE_INFINITY;

  /**
   * Takes a frame sent at `sentMs` by the owner's clock, and received at `receivedMs` by this node's. A new stream
   * epoch may be of another process, whose clock has another start.
   */
  observe(streamEpoch: number, sentMs: number, receivedMs: number): void {
    if (streamEpoch !== this.#streamEpoch) {
      this.#streamEpoch = streamEpoch;
      this.#spanStartMs = receivedMs;
      this.#smallest = Number.POSITIVE_INFINITY;
      this.#smallestBefore = Number.POSITIVE_INFINITY;
    } else if (receivedMs - this.#spanStartMs >= spanMs) {
      this.#spanStartMs = receivedMs;
      this.#smallestBefore = this.#smallest;
      this.#smallest = Number.POSITIVE_INFINITY;
    }
    const difference = receivedMs - sentMs;
    if (difference < this.#smallest) this.#smallest = difference;
  }

  /** Returns a time of the owner's clock by this node's. Not before the first `observe`. */
  localMs(ownerMs: number): number {
    return ownerMs + Math.min(this.#smallest, this.#smallestBefore);
  }
}

/**
 * Takes the presences that the owner of a partition sends in frames and replies. The owner counts them, because the
 * loss of a frame with presences only shows in no gap of positions.
 */
export class ReceivedPresences {
  readonly #partition: Partition;
  /** The owner's count of the presences received so far. */
  #received = 0;

  constructor(partition: Partition) {
    this.#partition = partition;
  }

  /** Takes the count of a reply, which has all presences up to it. */
  reset(count: number): void {
    this.#received = count;
  }

  /**
   * Takes the presences of a frame. `sent`: the owner's count up to this frame. Returns whether a frame before this one
   * is missing.
   */
  take(presences: readonly tailrace.v1.IPresence[], sent: number): boolean {
    this.takeAll(presences);
    if (sent - presences.length > this.#received) return true;
    this.#received = Math.max(this.#received, sent);
    return false;
  }

  /**
   * Takes presences in any order, also repeated ones. Devices that this node does not know are skipped. That a device
   * is online follows from its report, or from the number of its session.
   */
  takeAll(presences: readonly tailrace.v1.IPresence[]): void {
    for (const { device: path, state, since, seq, session } of presences) {
      const device = this.#partition.devices.get(path ?? '');
      if (device === undefined) continue;
      const at = { seq: seq ?? 0, session: session ?? 0 };
      if (state === stale || state === offline) this.#partition.setIdle(device, { state, sinceMs: since ?? 0, ...at });
      else if (!state && at.session > 0) this.#partition.setOnline(device, at);
    }
  }
}
