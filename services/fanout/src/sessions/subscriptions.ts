import type { Subscribe } from '@tailrace/protocol/client-message';
import { type CloseCode, closeCodes } from '@tailrace/protocol/close';
import { isTailraceError, shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { positionsFromToken } from '@tailrace/protocol/position';
import type { ServerMessage } from '@tailrace/protocol/server-message';
import { type Grant, noGrant } from '../access/grant.ts';
import { tooSlowReason } from '../catch-up/lag.ts';
import { assertReplayRequest, assertSpeed } from '../catch-up/replay-request.ts';
import type { WorkQueue } from '../catch-up/work-scheduler.ts';
import type { Hub } from '../channels/hub.ts';
import { Mutex } from '../channels/mutex.ts';
import type { SubscribeRequest, Subscriber, Subscription, SubscriptionStart } from '../channels/subscription.ts';
import type { Placement } from '../placement/placement.ts';
import { ConnectionViews, type UserViews } from '../views/connection-views.ts';
import { viewOptionsFrom, type Encoding } from '../views/view-options.ts';
import type { Socket, SocketWatcher } from './socket.ts';

/** What the subscriptions of a session need of it. Nothing of it throws. */
export interface SubscriptionsOwner {
  send(message: ServerMessage): void;
  /** An `error` message about a subscription. */
  error(error: TailraceError, id: string): void;
  /** Nobody expected this: the end of the client, and of nothing else. */
  fail(thrown: unknown): void;
  /** Says goodbye. */
  end(close: CloseCode): void;
}

/** What the subscriptions of all sessions share. */
export interface SubscriptionsOptions {
  readonly hub: Pick<Hub, 'subscribe' | 'unsubscribe' | 'fallBehind' | 'pause' | 'resume' | 'position'>;
  readonly placement: Placement;
  readonly subscriptionsMax: number;
  readonly viewsPerConnectionMax: number;
  /** Epoch ms. */
  readonly now: () => number;
}

/** What one client watches. */
export class Subscriptions implements Subscriber, SocketWatcher {
  readonly encoding: Encoding;
  readonly work: WorkQueue;
  readonly views: ConnectionViews;
  readonly catchUpMutex = new Mutex();
  readonly replayMutex = new Mutex();
  readonly #socket: Socket;
  readonly #parts: SubscriptionsOptions;
  readonly #owner: SubscriptionsOwner;
  readonly #byId = new Map<string, Subscription>();
  /** Off their topics because the socket was full, and not back yet. Most clients never have any. */
  #lagging: Set<Subscription> | undefined;
  #grant: Grant = noGrant;
  /** Where the client was told that a channel is, by channel. Most clients are told nothing. */
  #told: Map<string, string> | undefined;
  #closed = false;

  constructor(
    encoding: Encoding,
    socket: Socket,
    work: WorkQueue,
    userViews: UserViews,
    parts: SubscriptionsOptions,
    owner: SubscriptionsOwner,
  ) {
    this.encoding = encoding;
    this.#socket = socket;
    this.work = work;
    this.views = new ConnectionViews(parts, userViews);
    this.#parts = parts;
    this.#owner = owner;
    socket.watcher = this;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** What the client may see from now on; what that does not cover ends. */
  cover(grant: Grant): void {
    this.#grant = grant;
    for (const [id, subscription] of this.#byId) {
      const fault = grant.faultOf(subscription.channel.pattern);
      if (fault === undefined) continue;
      this.#drop(id, subscription);
      this.#owner.error(fault, id);
    }
  }

  subscribe(wish: Subscribe): void {
    // A client that asks for much and reads nothing would have each snapshot made for the bin.
    if (this.#socket.lost) return;
    const fault = this.#faultOf(wish);
    if (fault !== undefined) {
      this.#owner.error(fault, wish.id);
      return;
    }
    const { id, channel, snapshot = true, after, from, speed } = wish;
    let asked: SubscribeRequest;
    try {
      const options = viewOptionsFrom(wish);
      const nowMs = this.#parts.now();
      assertReplayRequest(wish, nowMs);
      asked = {
        ...{ id, channel, snapshot, options },
        ...(after === undefined ? {} : { after: positionsFromToken(after) }),
        ...(from === undefined ? {} : { from: Math.min(from, nowMs) }),
        ...(speed === undefined ? {} : { speed }),
      };
    } catch (thrown) {
      this.#owner.error(tailraceErrorFrom(thrown), id);
      return;
    }
    let subscription: Subscription;
    try {
      subscription = this.#parts.hub.subscribe(this, asked, (error) => {
        this.#byId.delete(id);
        this.#caughtUp(subscription);
        if (!this.#closed) this.#owner.error(error, id);
      });
    } catch (thrown) {
      if (!isTailraceError(thrown)) throw thrown;
      this.#owner.error(thrown, id);
      return;
    }
    if (subscription.state !== 'closed' && !this.#closed) this.#byId.set(id, subscription);
    else this.#parts.hub.unsubscribe(subscription);
  }

  unsubscribe(id: string): void {
    this.#with(id, (subscription) => {
      this.#drop(id, subscription);
      this.#owner.send({ unsubscribed: { id } });
    });
  }

  /** Nothing more of it until `resume`. */
  pause(id: string): void {
    this.#with(id, (subscription) => {
      const position = this.#parts.hub.pause(subscription);
      this.#caughtUp(subscription);
      this.#owner.send({ paused: { id, position } });
    });
  }

  resume(id: string, speed?: number): void {
    this.#with(id, (subscription) => {
      if (speed !== undefined) assertSpeed('resume.speed', speed);
      this.#parts.hub.resume(subscription, speed);
    });
  }

  whenWritable(): Promise<void> | undefined {
    return this.#socket.room();
  }

  send(_subscription: Subscription, frame: string | Uint8Array): void {
    this.#guarded(() => this.#socket.give(frame));
  }

  join(subscription: Subscription, position?: string): void {
    const { view, request } = subscription;
    view.sockets++;
    this.#guarded(() => {
      this.#socket.join(view.topic);
      this.#caughtUp(subscription);
      if (position !== undefined) this.#owner.send({ live: { id: request.id, position } });
    });
  }

  part({ view }: Subscription): void {
    view.sockets--;
    this.#guarded(() => this.#socket.leave(view.topic));
  }

  /** The socket: it takes no more as it comes. What is live catches up as it reads. */
  onFull(): void {
    const live = [...this.#byId.values()].filter(({ state }) => state === 'live');
    if (live.length === 0) return;
    this.#lagging ??= new Set();
    for (const subscription of live) this.#lagging.add(subscription);
    this.#socket.setLagging(true);
    for (const subscription of live) this.#parts.hub.fallBehind(subscription);
  }

  /** The socket: it was given its time. The client is told where to go on from. */
  onStalled(): void {
    const subscriptions = [...this.#byId.values()];
    const positions = subscriptions.flatMap((each) =>
      each.snapshot === undefined ? (this.#parts.hub.position(each) ?? []) : [],
    );
    // One that has not begun, or is still given its snapshot, begins again: from a position it would get less.
    const isEach = positions.length === subscriptions.length;
    this.#owner.end({ ...closeCodes.tooSlow, reason: tooSlowReason(isEach ? positions : []) });
  }

  /** The hub: the subscription starts now. Called from anywhere, also in the middle of a batch: must not throw. */
  sendHead(subscription: Subscription, start: SubscriptionStart): void {
    this.#guarded(() => this.#sendHead(subscription, start));
  }

  /** The channels of the live subscriptions. */
  *watched(): Iterable<Subscription['channel']> {
    for (const { channel, state } of this.#byId.values()) if (state === 'live') yield channel;
  }

  /** See `Resident`. */
  moved(channel: string, url: string): boolean {
    if (this.#told?.get(channel) === url) return false;
    for (const watched of this.watched()) {
      if (watched.pattern !== channel) continue;
      this.#tellMoved(channel, url);
      return true;
    }
    return false;
  }

  #tellMoved(channel: string, url: string): void {
    this.#told ??= new Map();
    this.#told.set(channel, url);
    this.#parts.placement.counts.told++;
    this.#owner.send({ moved: { channel, url } });
  }

  /** The socket has gone, or is going: nothing stays. Idempotent. */
  close(): void {
    this.#closed = true;
    const subscriptions = [...this.#byId.values()];
    this.#byId.clear();
    for (const subscription of subscriptions) {
      try {
        this.#parts.hub.unsubscribe(subscription);
      } catch (thrown) {
        this.#owner.fail(thrown);
      }
    }
  }

  #sendHead(subscription: Subscription, start: SubscriptionStart): void {
    const { view, channel } = subscription;
    this.#owner.send({
      subscribed: {
        id: subscription.request.id,
        view: view.number,
        channel: channel.pattern,
        epoch: start.epoch,
        position: start.position,
        snapshot: start.devices,
        ...(start.recovered === undefined ? {} : { recovered: start.recovered }),
        ...(start.missing === undefined ? {} : { missing: start.missing }),
      },
    });
    // Here it is served all the same: by relay.
    const url = this.#parts.placement.elsewhere(channel.pattern);
    if (url !== undefined) this.#tellMoved(channel.pattern, url);
  }

  /** The hub goes on with its other clients. */
  #guarded(call: () => void): void {
    try {
      call();
    } catch (thrown) {
      this.#owner.fail(thrown);
    }
  }

  #with(id: string, call: (subscription: Subscription) => void): void {
    const subscription = this.#byId.get(id);
    try {
      if (subscription === undefined) throw new TailraceError('not_found', `there is no subscription ${shown(id)}`);
      call(subscription);
    } catch (thrown) {
      if (!isTailraceError(thrown)) throw thrown;
      this.#owner.error(thrown, id);
    }
  }

  /** It is live again, or no longer wants to be. */
  #caughtUp(subscription: Subscription): void {
    if (this.#lagging?.delete(subscription) && this.#lagging.size === 0) this.#socket.setLagging(false);
  }

  #faultOf(wish: { id: string; channel: string }): TailraceError | undefined {
    if (this.#byId.has(wish.id)) {
      return new TailraceError('conflict', `id ${shown(wish.id)} is in use; unsubscribe it first, or take another`);
    }
    if (this.#byId.size >= this.#parts.subscriptionsMax) {
      return new TailraceError(
        'limit_reached',
        `${this.#parts.subscriptionsMax} subscriptions are the most a connection may have`,
      );
    }
    return this.#grant.faultOf(wish.channel);
  }

  /** Ends a subscription: nothing of it comes from here on. */
  #drop(id: string, subscription: Subscription): void {
    this.#byId.delete(id);
    this.#told?.delete(subscription.channel.pattern);
    this.#parts.hub.unsubscribe(subscription);
    this.#caughtUp(subscription);
  }
}
