import type { ControlMessage } from '@tailrace/protocol/control-message-json';
import { Connection, type ConnectionOptions } from './connection.ts';
import type { SubscriptionRecord } from './subscription-record.ts';

/** Listeners of a link. */
export type LinkListener = Pick<ConnectionOptions, 'onWelcome' | 'onMessage' | 'onLost'>;

/**
 * One connection with its subscriptions. They outlive it, and are on two links while a stream moves. Data has the
 * number of a view, which is local to a connection.
 */
export class Link {
  readonly #connection: Connection;
  readonly #byView = new Map<number, Set<SubscriptionRecord>>();
  /** Requested subscriptions that were not refused, with their view once they are subscribed. */
  readonly #requested = new Map<SubscriptionRecord, number | undefined>();
  /** Undefined before `welcome`. */
  node: { readonly session: string; readonly node: string } | undefined;

  constructor(options: ConnectionOptions) {
    this.#connection = new Connection({
      ...options,
      onWelcome: (welcome) => {
        this.node = { session: welcome.session, node: welcome.node };
        options.onWelcome(welcome);
      },
    });
  }

  /** Undefined until it is resolved. */
  get url(): string | undefined {
    return this.#connection.url;
  }

  /** Returns whether the link serves the subscription. */
  serves(record: SubscriptionRecord): boolean {
    return this.#requested.get(record) !== undefined;
  }

  /** Returns whether the subscription was requested and not refused. */
  isRequested(record: SubscriptionRecord): boolean {
    return this.#requested.has(record);
  }

  /** Requests the subscription, unless it is stopped or already requested. */
  subscribe(record: SubscriptionRecord): void {
    if (this.node === undefined || !record.isWanted || this.#requested.has(record)) return;
    this.#requested.set(record, undefined);
    this.#connection.send({ subscribe: record.subscribeRequest() });
  }

  subscribed(record: SubscriptionRecord, view: number): void {
    this.#forgetView(record);
    this.#requested.set(record, view);
    const sharing = this.#byView.get(view);
    if (sharing === undefined) this.#byView.set(view, new Set([record]));
    else sharing.add(record);
    // It was stopped before the reply came.
    if (record.isStopped) this.#connection.send({ pause: { id: record.id } });
  }

  refused(record: SubscriptionRecord): void {
    this.#forgetView(record);
    this.#requested.delete(record);
  }

  /** Unsubscribes. Data that still comes is ignored. */
  unsubscribe(record: SubscriptionRecord): void {
    if (!this.#requested.has(record)) return;
    this.refused(record);
    this.#connection.send({ unsubscribe: { id: record.id } });
  }

  pause(record: SubscriptionRecord): void {
    if (this.serves(record)) this.#connection.send({ pause: { id: record.id } });
  }

  /** Resumes the subscription, or requests it again at its position. */
  resume(record: SubscriptionRecord, speed?: number): void {
    if (!this.#requested.has(record)) this.subscribe(record);
    else if (this.serves(record)) {
      this.#connection.send({ resume: { id: record.id, ...(speed === undefined ? {} : { speed }) } });
    }
  }

  /** Returns the subscriptions of the view. */
  of(view: number): Iterable<SubscriptionRecord> {
    const sharing = this.#byView.get(view);
    // A copy, because a listener may unsubscribe.
    return sharing === undefined ? none : sharing.size === 1 ? sharing : [...sharing];
  }

  /** Sends a message for control. */
  request(message: ControlMessage): void {
    this.#connection.send(message);
  }

  leave(reason: string): void {
    this.#connection.leave(reason);
  }

  #forgetView(record: SubscriptionRecord): void {
    const view = this.#requested.get(record);
    if (view === undefined) return;
    const sharing = this.#byView.get(view);
    sharing?.delete(record);
    if (sharing?.size === 0) this.#byView.delete(view);
  }
}

const none: readonly SubscriptionRecord[] = [];
