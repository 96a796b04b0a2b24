import type { Subscribe } from '@tailrace/protocol/client-message';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Positions } from '@tailrace/protocol/position';
import { positionsFromToken } from '@tailrace/protocol/position';
import type { Grant } from '../access/grant.ts';
import type { EventHub } from '../events/event-hub.ts';
import type { EventSubscriber, EventSubscription, EventSubscriptionStart } from '../events/event-subscription.ts';
import type { Encoding } from '../views/view-options.ts';
import type { Socket } from './socket.ts';
import type { SubscriptionsOwner } from './subscriptions.ts';

/** Options of a subscription to data, which one to events has not. */
const dataOptions = ['from', 'speed', 'maxRate', 'deadband', 'tags', 'delta', 'align'] as const;

export interface EventSubscriptionsOptions {
  readonly encoding: Encoding;
  readonly socket: Socket;
  readonly hub: Pick<EventHub, 'subscribe' | 'unsubscribe' | 'fallBehind' | 'position'>;
  readonly owner: SubscriptionsOwner;
  /** Closes the connection as too slow. */
  readonly endAsTooSlow: () => void;
}

/** The subscriptions of one client to alarms and commands. */
export class EventSubscriptions implements EventSubscriber {
  readonly encoding: Encoding;
  readonly #options: EventSubscriptionsOptions;
  readonly #byId = new Map<string, EventSubscription>();
  #isClosed = false;

  constructor(options: EventSubscriptionsOptions) {
    this.encoding = options.encoding;
    this.#options = options;
  }

  get size(): number {
    return this.#byId.size;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /** Subscribes. The caller has checked the ID, the limit and the right to the channel. */
  subscribe(request: Subscribe): void {
    const { hub, owner } = this.#options;
    const { id, channel, snapshot = true, after, alarms = false, commands = false } = request;
    let subscription: EventSubscription;
    try {
      const option = dataOptions.find((key) => request[key] !== undefined && request[key] !== false);
      if (option !== undefined)
        throw new TailraceError(
          'invalid_message',
          `subscribe: expected either alarms and commands, or ${option}, got both: use two subscriptions`,
        );
      const positions = after === undefined ? {} : { after: positionsFromToken(after) };
      // It may be refused later, or at once while it is not in the map yet.
      subscription = hub.subscribe(this, { id, channel, snapshot, alarms, commands, ...positions }, (error) => {
        this.#byId.delete(id);
        if (!this.#isClosed) owner.error(error, id);
      });
    } catch (thrown) {
      owner.error(tailraceErrorFrom(thrown), id);
      return;
    }
    if (subscription.state !== 'closed') this.#byId.set(id, subscription);
  }

  /** Returns whether a subscription had the ID. */
  unsubscribe(id: string): boolean {
    const subscription = this.#byId.get(id);
    if (subscription === undefined) return false;
    this.#byId.delete(id);
    this.#options.hub.unsubscribe(subscription);
    return true;
  }

  /** Removes the subscriptions that the grant does not cover. */
  cover(grant: Grant): void {
    for (const [id, { request }] of this.#byId) {
      const error = grant.channelError(request.channel);
      if (error === undefined) continue;
      this.unsubscribe(id);
      this.#options.owner.error(error, id);
    }
  }

  /** The socket is full. */
  fallBehind(): void {
    for (const subscription of this.#byId.values()) this.#options.hub.fallBehind(subscription);
  }

  /** Returns the positions from which the client can resume, of the subscriptions that have one. */
  positions(): Positions[] {
    return [...this.#byId.values()].flatMap((subscription) => this.#options.hub.position(subscription) ?? []);
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    const subscriptions = [...this.#byId.values()];
    this.#byId.clear();
    for (const subscription of subscriptions) this.#options.hub.unsubscribe(subscription);
  }

  // Called by the hub.

  sendHead({ request }: EventSubscription, start: EventSubscriptionStart): void {
    const { id, channel } = request;
    this.#guarded(() => this.#options.owner.send({ subscribed: { id, channel, ...start } }));
  }

  send(frame: string | Uint8Array): void {
    this.#guarded(() => this.#options.socket.send(frame));
  }

  whenWritable(): Promise<void> | undefined {
    return this.#options.socket.whenWritable();
  }

  sendData(frame: string | Uint8Array): void {
    this.#guarded(() => this.#options.socket.sendData(frame));
  }

  join(topic: string): void {
    this.#guarded(() => this.#options.socket.join(topic));
  }

  leave(topic: string): void {
    this.#guarded(() => this.#options.socket.leave(topic));
  }

  endAsTooSlow(): void {
    this.#guarded(() => this.#options.endAsTooSlow());
  }

  #guarded(call: () => void): void {
    try {
      call();
    } catch (thrown) {
      this.#options.owner.fail(thrown);
    }
  }
}
