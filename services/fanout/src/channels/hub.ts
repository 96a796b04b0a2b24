import type { Clock } from '@tailrace/platform/clock';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { type Positions, tokenFromPositions } from '@tailrace/protocol/position';
import { CatchUp } from '../catch-up/catch-up.ts';
import { CatchUps, give, hasRoom, sendSnapshot } from '../catch-up/catch-ups.ts';
import type { Reservation } from '../catch-up/memory-budget.ts';
import type { Resume } from '../catch-up/resume.ts';
import { drive, type Steps } from '../catch-up/steps.ts';
import type { PartitionTable } from '../ownership/partition-table.ts';
import type { PresenceMonitor } from '../presence/presence-monitor.ts';
import { Cuts } from '../views/cuts.ts';
import type { View, Views } from '../views/view.ts';
import type { Channel } from './channel.ts';
import type { Channels } from './channels.ts';
import { LingeringChannels } from './lingering-channels.ts';
import { SubscribeReplies, type SubscribeRepliesOptions } from './subscribe-replies.ts';
import { SubscribeReplyCounts } from './subscribe-reply-counts.ts';
import { type SubscribeRequest, type Subscriber, Subscription, type SubscriptionOwner } from './subscription.ts';

export interface HubParts extends SubscribeRepliesOptions {
  readonly channels: Channels;
  readonly views: Views;
  readonly table: Pick<PartitionTable, 'admit' | 'release' | 'next' | 'partitions'>;
  readonly silences: PresenceMonitor;
  readonly clock: Clock;
  /** How long a subscription may wait for the owners of its partitions. */
  readonly joinDeadlineMs: number;
  /** How long after its moment a cut waits for partitions. */
  readonly alignWaitMs: number;
  /** As in `Cuts`. */
  readonly cutBytesMax: number;
  readonly wholeCutBytesMax?: number | undefined;
  /** Replays that go by the time, on this node at once. */
  readonly replaysMax: number;
  /** How long a subtree of which other nodes have a part outlives its last subscription. Default: not at all. */
  readonly channelLingerMs?: number | undefined;
  readonly past: Pick<Resume, 'reach' | 'missed' | 'since' | 'backlog'>;
}

/**
 * Where clients' wishes meet what the node has: opens channels, joins snapshot and live without a gap, lets channels
 * go.
 */
export class Hub implements SubscriptionOwner {
  readonly catchUps: CatchUps;
  /** Views that get cuts instead of data. */
  readonly cuts: Cuts;
  readonly #parts: HubParts;
  readonly counts = new SubscribeReplyCounts();
  readonly #subscribeReplies: SubscribeReplies;
  readonly lingering: LingeringChannels;

  constructor(parts: HubParts) {
    this.#parts = parts;
    this.#subscribeReplies = new SubscribeReplies(parts);
    const { table, views, silences, past, clock } = parts;
    this.lingering = new LingeringChannels({
      clock,
      lingerMs: parts.channelLingerMs ?? 0,
      close: (channel) => this.#close(channel),
    });
    this.cuts = new Cuts({
      clock,
      views,
      partitions: table.partitions,
      next: (channel, partition) => table.next(channel, partition),
      alignWaitMs: parts.alignWaitMs,
      cutBytesMax: parts.cutBytesMax,
      wholeCutBytesMax: parts.wholeCutBytesMax,
    });
    this.catchUps = new CatchUps({
      views,
      table,
      silences,
      past,
      clock,
      cuts: this.cuts,
      replaysMax: parts.replaysMax,
      conflationBytesMax: parts.resumeBytesMax,
      snapshot: (subscription, within) => this.#subscribeReplies.snapshot(subscription, within),
    });
  }

  /**
   * Starts a subscription to a valid pattern, now or as soon as the channel is live. `onRefused` is called where that
   * does not happen within `joinDeadlineMs`, or it cannot go on; the subscription is closed then. Throws
   * `limit_reached` where the client may have no view with options more, or the node runs as many replays with a speed
   * as it may.
   */
  subscribe(
    subscriber: Subscriber,
    request: SubscribeRequest,
    onRefused: (error: TailraceError) => void,
  ): Subscription {
    const { channels, table, clock, joinDeadlineMs } = this.#parts;
    const isNew = channels.find(request.channel) === undefined;
    const channel = channels.open(request.channel);
    const view = this.#enter(channel, subscriber, request);
    const requestedMs = clock.monotonic();
    const subscription = new Subscription({ channel, view, subscriber, request, requestedMs, owner: this, onRefused });
    channel.subscriptions++;
    this.lingering.remove(channel);
    // Before the subscription may be refused: a channel that lingers then is subscribed to again as it is.
    if (isNew) table.admit(channel);
    if (request.speed !== undefined) {
      try {
        this.catchUps.reserve(subscription);
      } catch (thrown) {
        this.unsubscribe(subscription);
        throw thrown;
      }
    }
    channel.wait(subscription);
    if (subscription.state === 'waiting' && !channel.live) {
      subscription.deadline = clock.after(joinDeadlineMs, () => subscription.refuse(this.#notJoined(channel)));
    }
    return subscription;
  }

  #enter(channel: Channel, { encoding, views }: Subscriber, { options }: SubscribeRequest): View {
    try {
      return this.#parts.views.enter(channel, encoding, options, views);
    } catch (thrown) {
      if (channel.subscriptions === 0 && !this.lingering.has(channel)) this.#parts.channels.close(channel);
      throw thrown;
    }
  }

  /** The subscription concerns its client alone: the others wait for their turn, and the batch at hand goes on. */
  onLive(subscription: Subscription): void {
    this.#drive(subscription, this.#start(subscription));
  }

  /** Idempotent. The last one to leave closes the channel. */
  unsubscribe(subscription: Subscription): void {
    const { channel, view, subscriber, state } = subscription;
    if (state === 'closed') return;
    subscription.close();
    channel.waiting.delete(subscription);
    this.catchUps.release(subscription);
    if (state === 'live') subscriber.part(subscription);
    this.cuts.leave(subscription);
    this.#parts.views.leave(channel, view, subscriber.views);
    if (--channel.subscriptions > 0) return;
    if (this.#lingers(channel)) this.lingering.add(channel);
    else this.#close(channel);
  }

  /** The node stops: channels without subscriptions are closed. */
  stop(): void {
    this.lingering.stop();
  }

  #lingers({ isSubtree, partitions }: Channel): boolean {
    if (!isSubtree || (this.#parts.channelLingerMs ?? 0) === 0) return false;
    return partitions.some((partition) => this.#parts.table.partitions[partition]!.role === 'elsewhere');
  }

  #close(channel: Channel): void {
    this.#parts.channels.close(channel);
    this.#parts.table.release(channel);
  }

  /** Where a subscription is: a client that goes on from there misses nothing. Undefined before it has begun. */
  position({ state, catchUp, channel, view }: Subscription): Positions | undefined {
    if (state !== 'live') return catchUp?.position;
    this.#parts.views.flush(view);
    return this.#subscribeReplies.here(channel);
  }

  /** The client takes no more as it comes: off the topic, to catch up at its own pace. Not in the middle of a batch. */
  fallBehind(subscription: Subscription): void {
    if (subscription.state !== 'live') return;
    const catchUp = this.#leave(subscription);
    subscription.fallBehind(catchUp);
    this.#drive(subscription, this.#goOn(subscription, catchUp));
  }

  /** Nothing more until `resume`. Answers the token of up to where the client has everything. Throws `conflict`. */
  pause(subscription: Subscription): string {
    const { state, request } = subscription;
    if (state !== 'live' && state !== 'behind') {
      throw new TailraceError(
        'conflict',
        `subscription ${shown(request.id)}: expected one that has started, got one that is ${state}`,
      );
    }
    const catchUp = subscription.catchUp ?? this.#leave(subscription);
    subscription.pause(catchUp);
    this.catchUps.release(subscription);
    return tokenFromPositions(catchUp.position);
  }

  /**
   * Everything since the pause, then live. Throws `conflict`, and `limit_reached` where a speed is asked for and too
   * many have one.
   */
  resume(subscription: Subscription, speed?: number): void {
    const { state, catchUp, request } = subscription;
    if (state !== 'paused' || catchUp === undefined) {
      throw new TailraceError(
        'conflict',
        `subscription ${shown(request.id)}: expected one that is paused, got one that is ${state}`,
      );
    }
    if (speed !== undefined) this.catchUps.reserve(subscription);
    const rest = new CatchUp(catchUp.position, true, speed);
    rest.presencesKnown = catchUp.presencesKnown;
    rest.interrupted = catchUp.interrupted;
    subscription.resume(rest);
    this.#drive(subscription, this.#goOn(subscription, rest));
  }

  /** From live, off the topic. Everything before has been published, so that the position is exact. */
  #leave(subscription: Subscription): CatchUp {
    const { channel, view, subscriber } = subscription;
    const { views, silences } = this.#parts;
    views.flush(view);
    subscriber.part(subscription);
    const catchUp = new CatchUp(this.#subscribeReplies.here(channel), false);
    catchUp.presencesKnown = silences.presences.counts.told;
    catchUp.interrupted = silences.interruptions.message(channel, view) !== undefined;
    return catchUp;
  }

  /** Positions of a device only grow: what is left of the snapshot comes before what the client has missed. */
  *#goOn(subscription: Subscription, catchUp: CatchUp): Steps {
    if (yield* restOfSnapshot(subscription, catchUp)) yield* this.catchUps.steps(subscription, catchUp);
  }

  /**
   * As long as the subscription lasts: what is read for one that has ended would be read again for its next attempt.
   */
  #drive(subscription: Subscription, steps: Steps): void {
    const isWanted = () => subscription.state !== 'closed';
    drive(subscription.subscriber.work, steps, isWanted).catch((thrown: unknown) =>
      subscription.refuse(tailraceErrorFrom(thrown)),
    );
  }

  /**
   * In one turn of the loop where nothing has to be read, the scheduler has time, and the socket has room for all of
   * it.
   */
  *#start(subscription: Subscription): Steps {
    const { subscriber, request, channel } = subscription;
    if (request.after !== undefined) yield this.#parts.past.reach(channel, request.after);
    // What is held for the client, or what it missed, is held for one of its subscriptions at a time.
    const turn = subscriber.turns.take();
    let memory: Reservation | undefined;
    try {
      if (turn !== undefined) yield turn;
      for (let room = subscriber.room(); room !== undefined; room = subscriber.room()) yield room;
      if (subscription.state !== 'waiting') return;
      // A cut holds everything: what was before it, or was missed, says no more.
      const { from, after } = subscription.view.options.align === undefined ? request : {};
      const subscribeReply =
        after !== undefined
          ? yield* this.#subscribeReplies.after(subscription, after)
          : from !== undefined
            ? yield* this.#subscribeReplies.from(subscription, from)
            : this.#subscribeReplies.withLastValues(subscription);
      memory = subscribeReply.memory;
      if (isClosed(subscription)) return;
      const { catchUp, start, snapshot, news, reached } = subscribeReply;
      subscription.start(catchUp);
      catchUp.begin(this.#parts.clock.monotonic());
      subscriber.begin(subscription, start);
      this.counts.began(request, start, this.#parts.clock.monotonic() - subscription.requestedMs);
      subscription.snapshot = snapshot;
      if (!(yield* restOfSnapshot(subscription, catchUp))) return;
      for (const piece of news) {
        if (!(yield* hasRoom(subscription, catchUp))) return;
        give(subscription, catchUp, piece);
        yield undefined;
      }
      for (const [partition, last] of reached.entries()) catchUp.position.advance(partition, last);
    } finally {
      memory?.release();
      subscriber.turns.release();
    }
    // What came meanwhile, or all that it wants of the past; nothing in most cases.
    yield* this.catchUps.steps(subscription, subscription.catchUp!);
  }

  #notJoined(channel: Channel): TailraceError {
    const missing = channel.partitions.filter((partition) => channel.slot(partition).state !== 'joined');
    return new TailraceError(
      'unavailable',
      `nobody served ${channel.pattern} within ${this.#parts.joinDeadlineMs} ms: partitions ${missing.join(', ')} wait for their owners; try again`,
    );
  }
}

/** False: the course is over, and the rest is for the next one. */
function* restOfSnapshot(subscription: Subscription, catchUp: CatchUp): Steps<boolean> {
  const { snapshot } = subscription;
  if (snapshot !== undefined && !(yield* sendSnapshot(subscription, catchUp, snapshot))) return false;
  subscription.snapshot = undefined;
  return true;
}

/** A function, because TypeScript believes that a field keeps its value over calls that change it. */
function isClosed(subscription: Subscription): boolean {
  return subscription.state === 'closed';
}
