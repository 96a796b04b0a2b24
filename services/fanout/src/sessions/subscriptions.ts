import type { Subscribe } from '@tailrace/protocol/client-message';
import { type CloseCode, closeCodes } from '@tailrace/protocol/close';
import { isTailraceError, shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { Positions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import type { ServerMessage } from '@tailrace/protocol/server-message';
import { type Grant, noGrant } from '../access/grant.ts';
import { assertReplayRequest, assertSpeed } from '../catch-up/replay-request.ts';
import type { WorkQueue } from '../catch-up/work-scheduler.ts';
import type { Hub } from '../channels/hub.ts';
import { Mutex } from '../channels/mutex.ts';
import type { SubscribeRequest, Subscriber, Subscription, SubscriptionStart } from '../channels/subscription.ts';
import type { EventHub } from '../events/event-hub.ts';
import type { Placement } from '../placement/placement.ts';
import { ConnectionViews, type UserViews } from '../views/connection-views.ts';
import { type Encoding, viewOptionsFrom } from '../views/view-options.ts';
import { EventSubscriptions } from './event-subscriptions.ts';
import type { Socket, SocketWatcher } from './socket.ts';

/** What the subscriptions of a session need of it. No method throws. */
export interface SubscriptionsOwner {
  send(message: ServerMessage): void;
  /** Sends an `error` about a subscription. */
  error(error: TailraceError, id: string): void;
  /** Handles an unexpected error: disconnects this client, and no other. */
  fail(thrown: unknown): void;
  /** Closes the connection with a close code. */
  end(close: CloseCode): void;
}

/** What the subscriptions of all sessions share. */
export interface SubscriptionsOptions {
  readonly hub: Pick<Hub, 'subscribe' | 'unsubscribe' | 'fallBehind' | 'pause' | 'resume' | 'position'>;
  /** Of alarms, commands and leases. */
  readonly eventHub: Pick<EventHub, 'subscribe' | 'unsubscribe' | 'fallBehind' | 'position'>;
  readonly placement: Placement;
  readonly subscriptionsMax: number;
  readonly viewsPerConnectionMax: number;
  /** Epoch ms. */
  readonly now: () => number;
}

/** The subscriptions of one client. */
export class Subscriptions implements Subscriber, SocketWatcher {
  readonly encoding: Encoding;
  readonly work: WorkQueue;
  readonly views: ConnectionViews;
  readonly catchUpMutex = new Mutex();
  readonly replayMutex = new Mutex();
  readonly #socket: Socket;
  readonly #options: SubscriptionsOptions;
  readonly #owner: SubscriptionsOwner;
  readonly #byId = new Map<string, Subscription>();
  /** Subscriptions that left their topics because the socket was full, and catch up. Most clients never have any. */
  #lagging: Set<Subscription> | undefined;
  /** Created with the first subscription to alarms or commands: most clients have none. */
  #events: EventSubscriptions | undefined;
  #grant: Grant = noGrant;
  /** The URL of the last `moved`, by channel. Most clients are sent none. */
  #lastMovedUrls: Map<string, string> | undefined;
  #closed = false;

  constructor(
    encoding: Encoding,
    socket: Socket,
    work: WorkQueue,
    userViews: UserViews,
    options: SubscriptionsOptions,
    owner: SubscriptionsOwner,
  ) {
    this.encoding = encoding;
    this.#socket = socket;
    this.work = work;
    this.views = new ConnectionViews(options, userViews);
    this.#options = options;
    this.#owner = owner;
    socket.watcher = this;
  }

  get size(): number {
    return this.#byId.size + (this.#events?.size ?? 0);
  }

  /** Sets what the client may read. Removes the subscriptions that the grant does not cover. */
  cover(grant: Grant): void {
    this.#grant = grant;
    for (const [id, subscription] of this.#byId) {
      const error = grant.channelError(subscription.channel.pattern);
      if (error === undefined) continue;
      this.#drop(id, subscription);
      this.#owner.error(error, id);
    }
    this.#events?.cover(grant);
  }

  subscribe(request: Subscribe): void {
    // The client gets nothing more: its snapshot would be discarded.
    if (this.#socket.isLost) return;
    const error = this.#errorOf(request);
    if (error !== undefined) {
      this.#owner.error(error, request.id);
      return;
    }
    if (request.alarms || request.commands) {
      this.#eventSubscriptions().subscribe(request);
      return;
    }
    const { id, channel, snapshot = true, after, from, speed } = request;
    let validated: SubscribeRequest;
    try {
      const options = viewOptionsFrom(request);
      const nowMs = this.#options.now();
      assertReplayRequest(request, nowMs);
      validated = {
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
      subscription = this.#options.hub.subscribe(this, validated, (error) => {
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
    else this.#options.hub.unsubscribe(subscription);
  }

  unsubscribe(id: string): void {
    if (this.#events?.unsubscribe(id)) {
      this.#owner.send({ unsubscribed: { id } });
      return;
    }
    this.#with(id, (subscription) => {
      this.#drop(id, subscription);
      this.#owner.send({ unsubscribed: { id } });
    });
  }

  /** Stops sending until `resume`. */
  pause(id: string): void {
    this.#with(id, (subscription) => {
      const position = this.#options.hub.pause(subscription);
      this.#caughtUp(subscription);
      this.#owner.send({ paused: { id, position } });
    });
  }

  resume(id: string, speed?: number): void {
    this.#with(id, (subscription) => {
      if (speed !== undefined) assertSpeed('resume.speed', speed);
      this.#options.hub.resume(subscription, speed);
    });
  }

  whenWritable(): Promise<void> | undefined {
    return this.#socket.whenWritable();
  }

  send(_subscription: Subscription, frame: string | Uint8Array): void {
    this.#guarded(() => this.#socket.sendData(frame));
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

  leave({ view }: Subscription): void {
    view.sockets--;
    this.#guarded(() => this.#socket.leave(view.topic));
  }

  /** Called by the socket. Live subscriptions leave their topics, and catch up as the client reads. */
  onFull(): void {
    this.#guarded(() => this.#fallBehind());
  }

  #fallBehind(): void {
    this.#events?.fallBehind();
    const live = [...this.#byId.values()].filter(({ state }) => state === 'live');
    if (live.length === 0) return;
    this.#lagging ??= new Set();
    for (const subscription of live) this.#lagging.add(subscription);
    this.#socket.setLagging(true);
    for (const subscription of live) this.#options.hub.fallBehind(subscription);
  }

  /** Called by the socket. Disconnects the client; the close reason has the position to resume from, if it fits. */
  onStalled(): void {
    this.#guarded(() => this.#endAsTooSlow());
  }

  #endAsTooSlow(): void {
    // A token is of one topic: reports and events have different positions.
    if (this.#events !== undefined && this.#events.size > 0) {
      const positions = this.#byId.size > 0 ? [] : this.#events.positions();
      const isEach = positions.length === this.#events.size;
      this.#owner.end({ ...closeCodes.tooSlow, reason: tooSlowReason(isEach ? positions : []) });
      return;
    }
    const subscriptions = [...this.#byId.values()];
    const positions = subscriptions.flatMap((each) =>
      each.snapshot === undefined ? (this.#options.hub.position(each) ?? []) : [],
    );
    // A subscription without a complete snapshot has to start again: from a position it would miss last values.
    const isEach = positions.length === subscriptions.length;
    this.#owner.end({ ...closeCodes.tooSlow, reason: tooSlowReason(isEach ? positions : []) });
  }

  /** Called by the hub when the subscription starts, possibly in the middle of a batch: must not throw. */
  sendHead(subscription: Subscription, start: SubscriptionStart): void {
    this.#guarded(() => this.#sendSubscribed(subscription, start));
  }

  /** Iterates over the channels of the live subscriptions. */
  *watched(): Iterable<Subscription['channel']> {
    for (const { channel, state } of this.#byId.values()) if (state === 'live') yield channel;
  }

  /** See `Resident`. */
  moved(channel: string, url: string): boolean {
    if (this.#lastMovedUrls?.get(channel) === url) return false;
    for (const watched of this.watched()) {
      if (watched.pattern !== channel) continue;
      this.#sendMoved(channel, url);
      return true;
    }
    return false;
  }

  #sendMoved(channel: string, url: string): void {
    this.#lastMovedUrls ??= new Map();
    this.#lastMovedUrls.set(channel, url);
    this.#options.placement.counts.moved++;
    this.#owner.send({ moved: { channel, url } });
  }

  /** Removes all subscriptions: the socket has closed, or is closing. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#events?.close();
    const subscriptions = [...this.#byId.values()];
    this.#byId.clear();
    for (const subscription of subscriptions) {
      try {
        this.#options.hub.unsubscribe(subscription);
      } catch (thrown) {
        this.#owner.fail(thrown);
      }
    }
  }

  #sendSubscribed(subscription: Subscription, start: SubscriptionStart): void {
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
    // This node serves it nevertheless, by relay.
    const url = this.#options.placement.elsewhere(channel.pattern);
    if (url !== undefined) this.#sendMoved(channel.pattern, url);
  }

  /** Passes an error to this client alone: the hub continues with the others. */
  #guarded(call: () => void): void {
    try {
      call();
    } catch (thrown) {
      this.#owner.fail(thrown);
    }
  }

  #eventSubscriptions(): EventSubscriptions {
    this.#events ??= new EventSubscriptions({
      encoding: this.encoding,
      socket: this.#socket,
      hub: this.#options.eventHub,
      owner: this.#owner,
      endAsTooSlow: () => this.#endAsTooSlow(),
    });
    return this.#events;
  }

  #with(id: string, call: (subscription: Subscription) => void): void {
    const subscription = this.#byId.get(id);
    try {
      if (this.#events?.has(id))
        throw new TailraceError('conflict', `subscription ${shown(id)}: expected one of data, got one of events`);
      if (subscription === undefined)
        throw new TailraceError('not_found', `expected the id of a subscription, got ${shown(id)}`);
      call(subscription);
    } catch (thrown) {
      if (!isTailraceError(thrown)) throw thrown;
      this.#owner.error(thrown, id);
    }
  }

  /** Called when a subscription is live again, or stops catching up. */
  #caughtUp(subscription: Subscription): void {
    if (this.#lagging?.delete(subscription) && this.#lagging.size === 0) this.#socket.setLagging(false);
  }

  #errorOf(request: { id: string; channel: string }): TailraceError | undefined {
    if (this.#byId.has(request.id) || this.#events?.has(request.id)) {
      return new TailraceError('conflict', `id: expected an unused id, got ${shown(request.id)}`);
    }
    if (this.size >= this.#options.subscriptionsMax) {
      return new TailraceError(
        'limit_reached',
        `expected at most ${this.#options.subscriptionsMax} subscriptions on a connection`,
      );
    }
    return this.#grant.channelError(request.channel);
  }

  /** Removes a subscription: nothing more of it is sent. */
  #drop(id: string, subscription: Subscription): void {
    this.#byId.delete(id);
    this.#lastMovedUrls?.delete(subscription.channel.pattern);
    this.#options.hub.unsubscribe(subscription);
    this.#caughtUp(subscription);
  }
}

/** RFC 6455, section 5.5: 125 bytes, two of them the code. */
const reasonBytesMax = 123;
const tooSlowPrefix = 'too slow; after=';

/**
 * Returns the close reason for a slow client, with the token from which all its subscriptions resume without a gap, if
 * that fits: for a device it does, for a subtree up to some ten partitions. Otherwise the client continues from what it
 * has received.
 */
export function tooSlowReason(positions: readonly Positions[]): string {
  const [first] = positions;
  if (first === undefined) return closeCodes.tooSlow.reason;
  const lowest = new Map<number, number>();
  for (const each of positions) {
    for (const [partition, last] of each.entries()) {
      lowest.set(partition, Math.min(last, lowest.get(partition) ?? Number.POSITIVE_INFINITY));
    }
  }
  const token = new Positions(first.epoch);
  for (const [partition, last] of lowest) token.advance(partition, last);
  const reason = `${tooSlowPrefix}${tokenFromPositions(token)}`;
  return reason.length <= reasonBytesMax ? reason : closeCodes.tooSlow.reason;
}
