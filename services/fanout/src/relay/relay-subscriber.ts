import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { Histogram } from '@tailrace/platform/measures';
import { tailrace } from '@tailrace/protocol/generated';
import { drive, type Steps } from '../catch-up/steps.ts';
import type { WorkScheduler } from '../catch-up/work-scheduler.ts';
import type { Channel } from '../channels/channel.ts';
import type { Channels } from '../channels/channels.ts';
import { Device } from '../channels/device.ts';
import type { LogReport } from '../channels/log-report.ts';
import type { Partition } from '../ownership/partition.ts';
import type { Owner } from '../ownership/ring.ts';
import type { Pipeline } from '../pipeline.ts';
import { ReceivedPresences } from '../presence/received-presences.ts';
import { relaySubject } from '../subjects.ts';
import { frameFrom, type HeldFrame, HeldFrames, logReportFrom } from './held-frames.ts';
import { InterestClient } from './interest-client.ts';
import { interestRepliesFrom, showsLoss } from './interest-reply.ts';
import { OwnerClock } from './owner-clock.ts';

const { OwnerReply } = tailrace.v1;

export interface RelayCounts {
  frames: number;
  /** Frames that do not parse, or come from a node that is not the owner as far as this node knows: dropped. */
  foreign: number;
  /** Times that a frame did not follow on the one before, or none came. */
  breaks: number;
  asks: number;
  askFailures: number;
  /** A metric may put its own in its place. */
  askSeconds: Histogram;
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
  /** For what owners answer. */
  readonly work: Pick<WorkScheduler, 'queue'>;
  readonly counts: RelayCounts;
  /** For one answer of an owner. */
  readonly deadlineMs: number;
  /** An owner sends a frame a second at least; after this long without one it is asked again. */
  readonly silenceMs: number;
  /** Frames kept while an answer is under way. Beyond it they are dropped, and the owner is asked again. */
  readonly heldBytesMax: number;
}

/** Last values taken in in one step. */
const updatesPerStep = 64;

/**
 * A partition that another node owns, as this node follows it: asks the owner for the channels its clients watch,
 * checks that the owner's frames follow each other without a gap, and asks again from where it is whenever they do not.
 * Delivers nothing newer before what was missed, and nothing twice.
 *
 * A channel that is being asked for takes no frames. They are held, and worked through when its answer says from where
 * on they count.
 */
export class RelaySubscriber {
  readonly #partition: Partition;
  readonly #parts: RelaySubscriberOptions;
  readonly #interestClient: InterestClient;
  #owner: Owner | undefined;
  /** How far the frames have been followed; -1 while no channel has joined. */
  #next = -1;
  /** Of the frames that have what the channels that joined asked for. */
  #chain = 0;
  readonly #held: HeldFrames;
  #heardAt = 0;
  readonly #receivedPresences: ReceivedPresences;
  readonly #ownerClock = new OwnerClock();
  #listening: Promise<BusSubscription> | undefined;

  constructor(partition: Partition, parts: RelaySubscriberOptions) {
    this.#partition = partition;
    this.#parts = parts;
    this.#held = new HeldFrames(parts.heldBytesMax);
    this.#receivedPresences = new ReceivedPresences(partition);
    const { bus, clock, logger, random, node, deadlineMs, counts } = parts;
    this.#interestClient = new InterestClient({
      bus,
      clock,
      logger,
      random,
      node,
      deadlineMs,
      counts,
      partition: partition.number,
      listening: () => this.#listen(),
      decode: (answer, counts) => this.#decode(answer, counts),
      onAnswer: (...answer) => this.#answered(...answer),
    });
  }

  /** How far a channel that has joined is complete. */
  get next(): number {
    return this.#next;
  }

  /** Whether all channels have joined, as far as the owner has answered. */
  get isSettled(): boolean {
    return this.#interestClient.idle;
  }

  get heldBytes(): number {
    return this.#held.bytes;
  }

  /**
   * The ring says who has the partition. The same node under a newer assignment goes on with its chain; another one is
   * asked for everything.
   */
  follow(owner: Owner | undefined): void {
    const same = owner !== undefined && owner.node === this.#owner?.node;
    this.#owner = owner;
    if (same) return;
    this.#interestClient.turnTo(owner?.node);
    this.#askAgain();
  }

  /** This node has the partition itself now. */
  stop(): void {
    this.#settle();
    this.#owner = undefined;
    this.#next = -1;
    this.#held.drop();
    this.#interestClient.stop();
    this.#unlisten();
  }

  admit(channel: Channel): void {
    this.#interestClient.ask(channel);
  }

  release(channel: Channel): void {
    this.#interestClient.release(channel);
    // In pages, each taken before its devices go.
    for (const device of this.#partition.index.in(channel.pattern)) this.#partition.forget(device);
    for (const _ of this.#parts.channels.in(this.#partition.number)) return;
    this.#next = -1;
    this.#unlisten();
  }

  renew(): void {
    this.#interestClient.renew();
  }

  /** Called every now and then: a lost last frame, or an owner that forgot us, shows as silence. */
  watch(nowMs: number): void {
    if (this.#next < 0 || nowMs - this.#heardAt < this.#parts.silenceMs) return;
    this.#parts.counts.breaks++;
    this.#heardAt = nowMs;
    this.#askAgain();
  }

  async #listen(): Promise<void> {
    this.#listening ??= this.#parts.bus.subscribe(relaySubject(this.#partition.number), (bytes) =>
      this.#onFrame(bytes),
    );
    try {
      await this.#listening;
    } catch (thrown) {
      this.#listening = undefined;
      throw thrown;
    }
  }

  #unlisten(): void {
    const listening = this.#listening;
    this.#listening = undefined;
    // The subscription ends by itself with the bus, if it failed.
    listening?.then((subscription) => subscription.stop()).catch(() => undefined);
  }

  #onFrame(bytes: Uint8Array): void {
    const frame = frameFrom(bytes);
    const owner = this.#owner;
    if (
      frame === undefined ||
      owner === undefined ||
      frame.epoch !== this.#parts.epoch ||
      frame.node !== owner.node ||
      frame.generation < owner.generation
    ) {
      this.#parts.counts.foreign++;
      return;
    }
    this.#parts.counts.frames++;
    this.#heardAt = this.#parts.clock.monotonic();
    if (!this.#interestClient.idle) this.#hold(frame, bytes.length);
    if (this.#next < 0) return;
    if (frame.previous > this.#next || frame.chain !== this.#chain) {
      this.#parts.counts.breaks++;
      this.#askAgain();
      this.#hold(frame, bytes.length);
      return;
    }
    this.#parts.pipeline.takeFrame(this.#partition, frame, this.#next);
    this.#next = Math.max(this.#next, frame.next);
    this.#partition.progress.onOwnerWatermark(frame.watermark, this.#parts.clock.now());
    this.#partition.progress.deliveredThrough(this.#readThroughMs(frame));
    if (!this.#receivedPresences.take(frame)) return;
    this.#parts.counts.breaks++;
    this.#askAgain();
  }

  /** Up to when the owner had read the partition when it sent the frame, by this node's clock. */
  #readThroughMs({ chain, sentMs, behindMs }: tailrace.v1.RelayFrame): number {
    // A node of before the field: that it sends is all that is known.
    if (sentMs === 0) return this.#heardAt;
    this.#ownerClock.note(chain, sentMs, this.#heardAt);
    return this.#ownerClock.here(sentMs - behindMs);
  }

  /** Every channel goes back to asking, from as far as it is complete. */
  #askAgain(): void {
    this.#held.drop();
    this.#settle();
    for (const channel of this.#parts.channels.in(this.#partition.number)) this.#interestClient.ask(channel);
    this.#next = -1;
  }

  /**
   * Writes down how far the channels that joined have come: as far as the frames were followed, though none may have
   * been theirs.
   */
  #settle(): void {
    for (const channel of this.#parts.channels.in(this.#partition.number)) {
      const slot = channel.slot(this.#partition.number);
      if (slot.state === 'joined') slot.next = Math.max(slot.next, this.#next);
    }
  }

  #hold(frame: HeldFrame, bytes: number): void {
    if (this.#held.hold(frame, bytes)) return;
    this.#interestClient.turnTo(this.#owner?.node);
    this.#askAgain();
  }

  #answered(asked: readonly Channel[], replies: readonly tailrace.v1.OwnerReply[], askedMs: number): void {
    const answers = interestRepliesFrom(this.#partition.number, asked, replies);
    const chain = replies[0]?.chain ?? 0;
    const sentMs = replies[0]?.sentMs ?? 0;
    if (sentMs > 0) this.#ownerClock.note(chain, sentMs, this.#parts.clock.monotonic());
    // A channel that has joined was let go by the owner, or was not told something.
    const isBroken = this.#next >= 0 && chain !== this.#chain;
    if (isBroken || showsLoss(answers, this.#partition, this.#next)) {
      this.#parts.counts.breaks++;
      this.#askAgain();
      return;
    }
    for (const { channel, missingUntil, logReports, unreadable } of answers) {
      const had = channel.slot(this.#partition.number).next;
      if (had >= 0 && missingUntil !== undefined) this.#partition.miss(channel, had, missingUntil, 'retention');
      let told = 0;
      for (const logReport of logReports) {
        while (told < unreadable.length && unreadable[told]!.from! < logReport.seq)
          this.#partition.missUnreadable(channel, unreadable[told++]!);
        this.#replay(channel, logReport);
      }
      for (const range of unreadable.slice(told)) this.#partition.missUnreadable(channel, range);
    }
    if (this.#next < 0 && answers.length > 0) {
      this.#chain = chain;
      this.#next = this.#held.through(replies[0]!.next, chain);
      this.#heardAt = this.#parts.clock.monotonic();
      // It was made after the question: so much is certain, however long it took to come.
      this.#partition.progress.deliveredThrough(askedMs - replies[0]!.behindMs);
      this.#receivedPresences.reset(replies[0]!.told);
    }
    // The waiting clients of a channel are attached by its last join: only after the held frames, so that what they are
    // shown first is as new as what the others have.
    for (const { channel, complete, isDeferred } of answers) {
      if (isDeferred) this.#interestClient.ask(channel);
      else this.#catchUp(channel, complete, replies[0]!.next);
    }
    this.#parts.pipeline.flushViews();
    // After all reports, of which one may be newer than the silence.
    for (const { presences } of answers) this.#receivedPresences.takeAll(presences);
    for (const frame of this.#held) this.#receivedPresences.take(frame);
    if (this.#interestClient.idle) this.#held.drop();
  }

  async #decode(answer: readonly Uint8Array[], counts: () => boolean): Promise<tailrace.v1.OwnerReply[]> {
    const queue = this.#parts.work.queue('relay', 'node');
    try {
      return await drive(queue, this.#learn(answer, counts));
    } finally {
      queue.close();
    }
  }

  /**
   * Takes in the last values of channels that have had nothing yet, of which there may be any number: nothing else
   * depends on them. The rest of the answer is left for the turn in which the channels join, and so is what would show
   * the loss of a frame.
   */
  *#learn(answer: readonly Uint8Array[], counts: () => boolean): Steps<tailrace.v1.OwnerReply[]> {
    const { number } = this.#partition;
    const replies: tailrace.v1.OwnerReply[] = [];
    for (const part of answer) {
      const reply = OwnerReply.decode(part);
      replies.push(reply);
      const left: tailrace.v1.IRelayUpdate[] = [];
      for (const [i, update] of reply.updates.entries()) {
        if (i % updatesPerStep === updatesPerStep - 1) yield undefined;
        if (!counts()) return replies;
        const logReport = logReportFrom(number, update);
        if (this.#isFresh(reply.channel) && !this.#isUnseen(logReport)) {
          this.#partition.learn(this.#partition.device(logReport.report.device), logReport);
        } else left.push(update);
      }
      reply.updates = left;
      yield undefined;
    }
    return replies;
  }

  /** Whether a channel, which is still watched, has had nothing of the partition yet. */
  #isFresh(pattern: string): boolean {
    const channel = this.#parts.channels.find(pattern);
    return channel !== undefined && channel.slot(this.#partition.number).next < 0;
  }

  /** Whether a report is news to a channel that has joined. See `showsLoss`. */
  #isUnseen(logReport: LogReport): boolean {
    if (this.#next < 0 || logReport.seq < this.#next) return false;
    return this.#partition.follows(new Device(logReport.report.device, this.#partition.number));
  }

  /** One report of an answer, for one channel: a last value, or one that it missed. */
  #replay(channel: Channel, logReport: LogReport): void {
    const device = this.#partition.device(logReport.report.device);
    this.#partition.learn(device, logReport);
    const slot = channel.slot(this.#partition.number);
    if (slot.next >= 0) this.#partition.deliverTo(channel, logReport);
  }

  /**
   * Joins a channel that is complete up to a position, after what the held frames have for it. They have it from
   * `heeded` on only: what is before went by when the owner did not know yet that it is wanted.
   */
  #catchUp(channel: Channel, complete: number, heeded: number): void {
    const slot = channel.slot(this.#partition.number);
    slot.next = Math.max(slot.next, complete);
    if (slot.next < heeded) {
      // The owner did not answer for all of what was missed.
      this.#interestClient.ask(channel);
      return;
    }
    let followed = slot.next;
    for (const frame of this.#held) {
      if (frame.next <= followed || frame.chain !== this.#chain) continue;
      if (frame.previous > followed) break;
      for (const update of frame.updates) {
        const logReport = logReportFrom(this.#partition.number, update);
        if (logReport.seq < followed || !channel.covers(logReport.report.device)) continue;
        this.#partition.learn(this.#partition.device(logReport.report.device), logReport);
        this.#partition.deliverTo(channel, logReport);
      }
      for (const range of frame.unreadable) this.#partition.missUnreadable(channel, range);
      followed = frame.next;
    }
    slot.next = Math.max(slot.next, followed);
    if (followed >= this.#next) channel.join(this.#partition.number, slot.next);
    // One of the held frames is missing: complete up to there only.
    else this.#interestClient.ask(channel);
  }
}
