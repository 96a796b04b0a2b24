import type { Clock } from '@tailrace/platform/clock';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { type Positions, tokenFromPositions } from '@tailrace/protocol/position';
import { CatchUp } from '../catch-up/catch-up.ts';
import { CatchUps } from '../catch-up/catch-ups.ts';
import { type Coroutine, runCoroutine } from '../catch-up/coroutine.ts';
import type { History } from '../catch-up/history.ts';
import type { PartitionTable } from '../ownership/partition-table.ts';
import type { PresenceMonitor } from '../presence/presence-monitor.ts';
import { Cuts } from '../views/cuts.ts';
import type { View, Views } from '../views/view.ts';
import type { Channel, Channels } from './channels.ts';
import { LingeringChannels } from './lingering-channels.ts';
import { SubscribeReplies } from './subscribe-replies.ts';
import { type SubscribeRequest, type Subscriber, Subscription, type SubscriptionOwner } from './subscription.ts';

export interface HubOptions {
  readonly channels: Channels;
  readonly views: Views;
  readonly table: Pick<PartitionTable, 'admit' | 'release' | 'next' | 'partitions'>;
  readonly presence: PresenceMonitor;
  readonly history: Pick<History, 'reach' | 'since' | 'resume' | 'backlog'>;
  readonly clock: Clock;
  readonly epoch: string;
  readonly limits: HubLimits;
}

export interface HubLimits {
  /** How long a subscription may wait for the owners of its partitions, ms. */
  readonly joinDeadlineMs: number;
  /** How long a cut waits for partitions, ms. */
  readonly alignWaitMs: number;
  /** As in `Cuts`. */
  readonly cutBytesMax: number;
  /** As in `CatchUps`. */
  readonly resumeBytesMax: number;
  readonly replaysMax: number;
}

/** The subscriptions of a node: opens and closes channels for them, and starts, pauses, resumes and closes them. */
export class Hub implements SubscriptionOwner {
  readonly catchUps: CatchUps;
  /** Views that get cuts instead of data. */
  readonly cuts: Cuts;
  readonly replies: SubscribeReplies;
  readonly lingering: LingeringChannels;
  readonly #channels: Channels;
  readonly #views: Views;
  readonly #table: HubOptions['table'];
  readonly #presence: PresenceMonitor;
  readonly #clock: Clock;
  readonly #joinDeadlineMs: number;

  constructor(options: HubOptions) {
    const { channels, views, table, presence, history, clock, epoch, limits } = options;
    const { alignWaitMs, cutBytesMax, resumeBytesMax, replaysMax } = limits;
    this.#channels = channels;
    this.#views = views;
    this.#table = table;
    this.#presence = presence;
    this.#clock = clock;
    this.#joinDeadlineMs = limits.joinDeadlineMs;
    this.lingering = new LingeringChannels(clock, (channel) => this.#close(channel));
    this.replies = new SubscribeReplies({ views, table, epoch });
    this.cuts = new Cuts({
      clock,
      views,
      partitions: table.partitions,
      next: (channel, partition) => table.next(channel, partition),
      alignWaitMs,
      cutBytesMax,
    });
    const { replies, cuts } = this;
    this.catchUps = new CatchUps({
      views,
      table,
      presence,
      history,
      replies,
      clock,
      cuts,
      resumeBytesMax,
      replaysMax,
    });
  }

  /**
   * Subscribes to a valid pattern, now or as soon as the channel is live. Calls `onRefused` if that takes longer than
   * `joinDeadlineMs`, or the subscription cannot continue; it is closed then. Throws `limit_reached` at the limit of
   * views with options of the client, or of replays with a speed of the node.
   */
  subscribe(
    subscriber: Subscriber,
    request: SubscribeRequest,
    onRefused: (error: TailraceError) => void,
  ): Subscription {
    const isNew = this.#channels.find(request.channel) === undefined;
    const channel = this.#channels.open(request.channel);
    const view = this.#enter(channel, subscriber, request);
    const requestedMs = this.#clock.monotonic();
    const subscription = new Subscription({ channel, view, subscriber, request, requestedMs, owner: this, onRefused });
    channel.subscriptions++;
    this.lingering.remove(channel);
    // Before the subscription may be refused: then the channel lingers as one that was admitted.
    if (isNew) this.#table.admit(channel);
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
      const refuse = () => subscription.refuse(this.#notJoined(channel));
      subscription.deadline = this.#clock.after(this.#joinDeadlineMs, refuse);
    }
    return subscription;
  }

  #enter(channel: Channel, { encoding, views }: Subscriber, { options }: SubscribeRequest): View {
    try {
      return this.#views.enter(channel, encoding, options, views);
    } catch (thrown) {
      if (channel.subscriptions === 0 && !this.lingering.has(channel)) this.#channels.close(channel);
      throw thrown;
    }
  }

  /** Starts a subscription. An error closes this one only: the others and the current batch continue. */
  onLive(subscription: Subscription): void {
    this.#run(subscription, this.catchUps.start(subscription));
  }

  /** Closes a subscription; with the last one the channel is closed, or lingers. Idempotent. */
  unsubscribe(subscription: Subscription): void {
    const { channel, view, subscriber, state } = subscription;
    if (state === 'closed') return;
    subscription.close();
    channel.waiting.delete(subscription);
    this.catchUps.release(subscription);
    if (state === 'live') subscriber.leave(subscription);
    this.cuts.leave(subscription);
    this.#views.leave(channel, view, subscriber.views);
    if (--channel.subscriptions > 0) return;
    if (this.#lingers(channel)) this.lingering.add(channel);
    else this.#close(channel);
  }

  /** Closes the channels without subscriptions. */
  stop(): void {
    this.lingering.stop();
  }

  #lingers({ isSubtree, partitions }: Channel): boolean {
    return isSubtree && partitions.some((partition) => this.#table.partitions[partition]!.role === 'elsewhere');
  }

  #close(channel: Channel): void {
    this.#channels.close(channel);
    this.#table.release(channel);
  }

  /** Returns the position from which the client can resume without a gap. Undefined before the subscription started. */
  position({ state, catchUp, channel, view }: Subscription): Positions | undefined {
    if (state !== 'live') return catchUp?.position;
    this.#views.flush(view);
    return this.replies.here(channel);
  }

  /** Takes a slow client off the topic, to catch up at its own pace. Not to be called in the middle of a batch. */
  fallBehind(subscription: Subscription): void {
    if (subscription.state !== 'live') return;
    const catchUp = this.#leaveTopic(subscription);
    if (catchUp === undefined) return;
    subscription.fallBehind(catchUp);
    this.#run(subscription, this.catchUps.continue(subscription, catchUp));
  }

  /** Sends nothing until `resume`. Returns the token of the position of the client. Throws `conflict`. */
  pause(subscription: Subscription): string {
    const { state } = subscription;
    if (state !== 'live' && state !== 'behind') throw conflict(subscription, 'live or behind');
    const catchUp = subscription.catchUp ?? this.#leaveTopic(subscription);
    if (catchUp === undefined) throw conflict(subscription, 'live or behind');
    subscription.pause(catchUp);
    this.catchUps.release(subscription);
    return tokenFromPositions(catchUp.position);
  }

  /**
   * Sends everything since the pause, then live data. Throws `conflict`, and `limit_reached` at the limit of replays
   * with a speed.
   */
  resume(subscription: Subscription, speed?: number): void {
    const { state, catchUp } = subscription;
    if (state !== 'paused' || catchUp === undefined) throw conflict(subscription, 'paused');
    if (speed !== undefined) this.catchUps.reserve(subscription);
    const next = new CatchUp(catchUp.position, true, speed);
    next.presencesKnown = catchUp.presencesKnown;
    next.isInterrupted = catchUp.isInterrupted;
    subscription.resume(next);
    this.#run(subscription, this.catchUps.continue(subscription, next));
  }

  /**
   * Takes a live subscription off the topic. Flushes its view first, so that the position is exact. Undefined: what was
   * pending overflowed the socket, and the subscription was closed with its connection.
   */
  #leaveTopic(subscription: Subscription): CatchUp | undefined {
    const { channel, view, subscriber } = subscription;
    this.#views.flush(view);
    if (subscription.state !== 'live') return undefined;
    subscriber.leave(subscription);
    const catchUp = new CatchUp(this.replies.here(channel), false);
    catchUp.presencesKnown = this.#presence.presences.counts.changes;
    catchUp.isInterrupted = this.#presence.interruptions.message(channel, view) !== undefined;
    return catchUp;
  }

  /** Runs the coroutine while the subscription is open. An error closes it. */
  #run(subscription: Subscription, coroutine: Coroutine): void {
    const isWanted = () => subscription.state !== 'closed';
    runCoroutine(subscription.subscriber.work, coroutine, isWanted).catch((thrown: unknown) =>
      subscription.refuse(tailraceErrorFrom(thrown)),
    );
  }

  #notJoined(channel: Channel): TailraceError {
    const missing = channel.partitions.filter((partition) => channel.slot(partition).state !== 'joined');
    return new TailraceError(
      'unavailable',
      `${channel.pattern}: expected an owner of partitions ${missing.join(', ')} within ${this.#joinDeadlineMs} ms, got none; try again`,
    );
  }
}

function conflict({ request, state }: Subscription, expected: string): TailraceError {
  return new TailraceError('conflict', `subscription ${shown(request.id)}: expected ${expected}, got ${state}`);
}
