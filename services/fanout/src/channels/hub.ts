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
import type { SubscribeRequest, Subscriber, Subscription } from './subscription.ts';

export type { Subscriber, Subscription, SubscriptionStart } from './subscription.ts';

export interface HubOptions extends SubscribeRepliesOptions {
  readonly channels: Channels;
  readonly views: Views;
  readonly table: Pick<PartitionTable, 'admit' | 'release' | 'next' | 'partitions'>;
  readonly silences: PresenceMonitor;
  readonly clock: Clock;
  /** How long a subscription may wait for the owners of its partitions. */
  readonly joinDeadlineMs: number;
  /** How long after its time a cut waits for partitions. */
  readonly alignWaitMs: number;
  /** As in `Cuts`. */
  readonly cutBytesMax: number;
  readonly wholeCutBytesMax?: number | undefined;
  /** Replays with a speed on this node at once. */
  readonly replaysMax: number;
  /** How long a subtree with partitions of other nodes outlives its last subscription. Default: 0. */
  readonly channelLingerMs?: number | undefined;
  readonly past: Pick<Resume, 'reach' | 'missed' | 'since' | 'backlog'>;
}

/**
 * Subscribes clients to channels: opens and closes channels, and joins snapshot, backlog and live data without a gap.
 */
export class Hub {
  readonly catchUps: CatchUps;
  /** Views that get cuts instead of data. */
  readonly cuts: Cuts;
  readonly #options: HubOptions;
  readonly counts = new SubscribeReplyCounts();
  readonly #subscribeReplies: SubscribeReplies;
  readonly lingering: LingeringChannels;

  constructor(options: HubOptions) {
    this.#options = options;
    this.#subscribeReplies = new SubscribeReplies(options);
    const { table, views, silences, past, clock } = options;
    this.lingering = new LingeringChannels({
      clock,
      lingerMs: options.channelLingerMs ?? 0,
      close: (channel) => this.#close(channel),
    });
    this.cuts = new Cuts({
      clock,
      views,
      partitions: table.partitions,
      next: (channel, partition) => table.next(channel, partition),
      alignWaitMs: options.alignWaitMs,
      cutBytesMax: options.cutBytesMax,
      wholeCutBytesMax: options.wholeCutBytesMax,
    });
    this.catchUps = new CatchUps({
      views,
      table,
      silences,
      past,
      clock,
      cuts: this.cuts,
      replaysMax: options.replaysMax,
      conflationBytesMax: options.resumeBytesMax,
      snapshot: (subscription, within) => this.#subscribeReplies.snapshot(subscription, within),
    });
  }

  /**
   * Subscribes to a valid pattern, now or as soon as the channel is live. Calls `onRefused` if that takes longer than
   * `joinDeadlineMs`, or the subscription cannot continue; it is closed then. Throws `limit_reached` at the limit of
   * views with options of the client, or of replays with a speed of the node.
   */
  subscribe(subscriber: Subscriber, wish: SubscribeRequest, onRefused: (error: TailraceError) => void): Subscription {
    const { channels, table, clock, joinDeadlineMs } = this.#options;
    const isNew = channels.find(wish.channel) === undefined;
    const channel = channels.open(wish.channel);
    const view = this.#enter(channel, subscriber, wish);
    const startMs = clock.monotonic();
    const subscription: Subscription = {
      ...{ channel, view, subscriber, wish, catchUp: undefined, deadline: undefined, paced: false },
      snapshot: undefined,
      state: 'waiting',
      onLive: () => {
        subscription.deadline?.cancel();
        // An error concerns this client only: the others wait, and the batch that made the channel live continues.
        this.#drive(subscription, this.#start(subscription, startMs));
      },
      refuse: (error) => {
        if (subscription.state === 'ended') return;
        this.unsubscribe(subscription);
        onRefused(error);
      },
    };
    channel.subscriptions++;
    this.lingering.remove(channel);
    // Before the subscription may be refused: then the channel lingers as one that was admitted.
    if (isNew) table.admit(channel);
    if (wish.speed !== undefined) {
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
      return this.#options.views.enter(channel, encoding, options, views);
    } catch (thrown) {
      if (channel.subscriptions === 0 && !this.lingering.has(channel)) this.#options.channels.close(channel);
      throw thrown;
    }
  }

  /** Closes a subscription; with the last one the channel is closed, or lingers. Idempotent. */
  unsubscribe(subscription: Subscription): void {
    if (subscription.state === 'ended') return;
    const { channel, view, subscriber, state } = subscription;
    subscription.state = 'ended';
    channel.waiting.delete(subscription);
    subscription.deadline?.cancel();
    subscription.catchUp?.stop();
    this.catchUps.release(subscription);
    if (state === 'live') subscriber.part(subscription);
    this.cuts.leave(subscription);
    this.#options.views.leave(channel, view, subscriber.views);
    if (--channel.subscriptions > 0) return;
    if (this.#lingers(channel)) this.lingering.add(channel);
    else this.#close(channel);
  }

  /** Closes the channels without subscriptions. */
  stop(): void {
    this.lingering.stop();
  }

  #lingers({ isSubtree, partitions }: Channel): boolean {
    if (!isSubtree || (this.#options.channelLingerMs ?? 0) === 0) return false;
    return partitions.some((partition) => this.#options.table.partitions[partition]!.role === 'elsewhere');
  }

  #close(channel: Channel): void {
    this.#options.channels.close(channel);
    this.#options.table.release(channel);
  }

  /** Returns the position from which the client can resume without a gap. Undefined before the subscription started. */
  position({ state, catchUp, channel, view }: Subscription): Positions | undefined {
    if (state !== 'live') return catchUp?.position;
    this.#options.views.flush(view);
    return this.#subscribeReplies.here(channel);
  }

  /** Takes a slow client off the topic, to catch up at its own pace. Not to be called in the middle of a batch. */
  fallBehind(subscription: Subscription): void {
    if (subscription.state === 'live') this.#run(subscription, this.#leave(subscription));
  }

  /** Sends nothing until `resume`. Returns the token of the position of the client. Throws `conflict`. */
  pause(subscription: Subscription): string {
    const { state, wish } = subscription;
    if (state !== 'live' && state !== 'behind') {
      throw new TailraceError('conflict', `subscription ${shown(wish.id)}: expected live or behind, got ${state}`);
    }
    if (state === 'live') subscription.catchUp = this.#leave(subscription);
    subscription.catchUp!.stop();
    this.catchUps.release(subscription);
    subscription.state = 'paused';
    return tokenFromPositions(subscription.catchUp!.position);
  }

  /**
   * Sends everything since the pause, then live data. Throws `conflict`, and `limit_reached` at the limit of replays
   * with a speed.
   */
  resume(subscription: Subscription, speed?: number): void {
    const { state, catchUp, wish } = subscription;
    if (state !== 'paused' || catchUp === undefined) {
      throw new TailraceError('conflict', `subscription ${shown(wish.id)}: expected paused, got ${state}`);
    }
    if (speed !== undefined) this.catchUps.reserve(subscription);
    const next = new CatchUp(catchUp.position, true, speed);
    next.presencesKnown = catchUp.presencesKnown;
    next.interrupted = catchUp.interrupted;
    this.#run(subscription, next);
  }

  /** Takes a live subscription off the topic. Flushes its view first, so that the position is exact. */
  #leave(subscription: Subscription): CatchUp {
    const { channel, view, subscriber } = subscription;
    const { views, silences } = this.#options;
    views.flush(view);
    subscriber.part(subscription);
    const catchUp = new CatchUp(this.#subscribeReplies.here(channel), false);
    catchUp.presencesKnown = silences.presences.counts.changes;
    catchUp.interrupted = silences.interruptions.message(channel, view) !== undefined;
    return catchUp;
  }

  #run(subscription: Subscription, catchUp: CatchUp): void {
    subscription.state = 'behind';
    subscription.catchUp = catchUp;
    this.#drive(subscription, this.#continue(subscription, catchUp));
  }

  /** Sends the rest of the snapshot before the backlog, so that positions of a device only increase. */
  *#continue(subscription: Subscription, catchUp: CatchUp): Steps {
    if (yield* restOfSnapshot(subscription, catchUp)) yield* this.catchUps.steps(subscription, catchUp);
  }

  /** Runs the steps while the subscription is open. An error closes it. */
  #drive(subscription: Subscription, steps: Steps): void {
    const isWanted = () => subscription.state !== 'ended';
    drive(subscription.subscriber.work, steps, isWanted).catch((thrown: unknown) =>
      subscription.refuse(tailraceErrorFrom(thrown)),
    );
  }

  /**
   * Starts a subscription: in one turn of the event loop if nothing has to be read, the scheduler has time, and the
   * socket takes all of it.
   */
  *#start(subscription: Subscription, startMs: number): Steps {
    const { subscriber, wish, channel } = subscription;
    if (wish.after !== undefined) yield this.#options.past.reach(channel, wish.after);
    // Memory for a backlog is used by one subscription of a client at a time.
    const taken = subscriber.turns.take();
    let memory: Reservation | undefined;
    try {
      if (taken !== undefined) yield taken;
      for (let writable = subscriber.room(); writable !== undefined; writable = subscriber.room()) yield writable;
      if (subscription.state !== 'waiting') return;
      // A cut has all last values: a history or backlog before it adds nothing.
      const { from, after } = subscription.view.options.align === undefined ? wish : {};
      const subscribeReply =
        after !== undefined
          ? yield* this.#subscribeReplies.after(subscription, after)
          : from !== undefined
            ? yield* this.#subscribeReplies.from(subscription, from)
            : this.#subscribeReplies.withLastValues(subscription);
      memory = subscribeReply.memory;
      if (isClosed(subscription)) return;
      const { catchUp, start, snapshot, backlog, reached } = subscribeReply;
      subscription.state = 'behind';
      subscription.catchUp = catchUp;
      catchUp.begin(this.#options.clock.monotonic());
      subscriber.begin(subscription, start);
      this.counts.started(wish, start, this.#options.clock.monotonic() - startMs);
      subscription.snapshot = snapshot;
      if (!(yield* restOfSnapshot(subscription, catchUp))) return;
      for (const frame of backlog) {
        if (!(yield* hasRoom(subscription, catchUp))) return;
        give(subscription, catchUp, frame);
        yield undefined;
      }
      for (const [partition, last] of reached.entries()) catchUp.position.advance(partition, last);
    } finally {
      memory?.release();
      subscriber.turns.release();
    }
    // Reports that arrived meanwhile, or the history of a replay; nothing in most cases.
    yield* this.catchUps.steps(subscription, subscription.catchUp!);
  }

  #notJoined(channel: Channel): TailraceError {
    const missing = channel.partitions.filter((partition) => channel.slot(partition).state !== 'joined');
    return new TailraceError(
      'unavailable',
      `${channel.pattern}: expected an owner of partitions ${missing.join(', ')} within ${this.#options.joinDeadlineMs} ms, got none; try again`,
    );
  }
}

/** Sends the rest of the snapshot. Returns false if the catch-up stopped: the rest is for the next one. */
function* restOfSnapshot(subscription: Subscription, catchUp: CatchUp): Steps<boolean> {
  const { snapshot } = subscription;
  if (snapshot !== undefined && !(yield* sendSnapshot(subscription, catchUp, snapshot))) return false;
  subscription.snapshot = undefined;
  return true;
}

/** A function, because TypeScript assumes that a field keeps its value over calls that change it. */
function isClosed(subscription: Subscription): boolean {
  return subscription.state === 'ended';
}
