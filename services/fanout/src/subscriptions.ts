import type { Subscribe } from '@tailrace/protocol/clientmessage';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { type Positions, positionsFromToken } from '@tailrace/protocol/position';
import type { ServerMessage } from '@tailrace/protocol/servermessage';
import { type Grant, noGrant } from './grant.ts';
import type { Subscriber, Subscription, SubscriptionStart } from './hub.ts';
import { JoinedViews } from './joinedviews.ts';
import type { SessionParts } from './sessionparts.ts';
import type { Socket } from './socket.ts';
import type { Encoding } from './view.ts';

/** What the subscriptions of a session need of it. Nothing of it throws. */
export interface SubscriptionsOwner {
  send(message: ServerMessage): void;
  /** An `error` message about a subscription. */
  error(error: TailraceError, id: string): void;
  /** Nobody expected this: the end of the client, and of nothing else. */
  fail(thrown: unknown): void;
}

/** What one client watches. */
export class Subscriptions implements Subscriber {
  readonly encoding: Encoding;
  readonly #socket: Socket;
  readonly #parts: Pick<SessionParts, 'hub' | 'subscriptionsMax'>;
  readonly #owner: SubscriptionsOwner;
  readonly #byId = new Map<string, Subscription>();
  /** Those of the live ones. */
  readonly #views: JoinedViews;
  #grant: Grant = noGrant;
  #closed = false;

  constructor(
    encoding: Encoding,
    socket: Socket,
    parts: Pick<SessionParts, 'hub' | 'subscriptionsMax'>,
    owner: SubscriptionsOwner,
  ) {
    this.encoding = encoding;
    this.#socket = socket;
    this.#parts = parts;
    this.#owner = owner;
    this.#views = new JoinedViews(socket);
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
    const { id, channel, snapshot = true, after } = wish;
    let asked: { id: string; channel: string; snapshot: boolean; after?: Positions };
    try {
      asked = { id, channel, snapshot, ...(after === undefined ? {} : { after: positionsFromToken(after) }) };
    } catch (thrown) {
      this.#owner.error(tailraceErrorFrom(thrown), id);
      return;
    }
    const subscription = this.#parts.hub.subscribe(this, asked, (error) => {
      this.#byId.delete(id);
      this.#owner.error(error, id);
    });
    if (subscription.state !== 'ended' && !this.#closed) this.#byId.set(id, subscription);
    else this.#parts.hub.unsubscribe(subscription);
  }

  unsubscribe(id: string): void {
    const subscription = this.#byId.get(id);
    if (subscription === undefined) {
      this.#owner.error(new TailraceError('not_found', `there is no subscription ${shown(id)}`), id);
      return;
    }
    this.#drop(id, subscription);
    this.#owner.send({ unsubscribed: { id } });
  }

  /** The hub: the subscription begins now. Called from anywhere, also in the middle of a batch: must not throw. */
  begin(subscription: Subscription, start: SubscriptionStart): void {
    try {
      this.#begin(subscription, start);
    } catch (thrown) {
      this.#owner.fail(thrown);
    }
  }

  /** The socket has gone, or is going: nothing stays. Idempotent. */
  close(): void {
    this.#closed = true;
    const subscriptions = [...this.#byId.values()];
    this.#byId.clear();
    this.#views.clear();
    for (const subscription of subscriptions) {
      try {
        this.#parts.hub.unsubscribe(subscription);
      } catch (thrown) {
        this.#owner.fail(thrown);
      }
    }
  }

  #begin(subscription: Subscription, start: SubscriptionStart): void {
    const { view, channel } = subscription;
    this.#owner.send({
      subscribed: {
        id: subscription.id,
        view: view.number,
        channel: channel.pattern,
        epoch: start.epoch,
        position: start.position,
        snapshot: start.devices,
        ...(start.recovered === undefined ? {} : { recovered: start.recovered }),
        ...(start.missing === undefined ? {} : { missing: start.missing }),
      },
    });
    for (const frame of start.frames) this.#socket.send(frame);
    if (!this.#closed) this.#views.join(view);
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
    const wasLive = subscription.state === 'live';
    this.#parts.hub.unsubscribe(subscription);
    if (wasLive) this.#views.leave(subscription.view);
  }
}
