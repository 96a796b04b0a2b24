import { type Connection, type ConnectionOptions, openConnection } from './connection.ts';
import type { SubscriptionRecord } from './subscription-record.ts';

/** What whoever opens a link hears of it. */
export type LinkListener = Pick<ConnectionOptions, 'onWelcome' | 'onMessage' | 'onLost'>;

/**
 * One connection with what it serves. Subscriptions outlive it, and while a stream moves they are on two. Data comes under the number of a view, which
 * means something on its connection only.
 */
export class Link {
  readonly #connection: Connection;
  readonly #byView = new Map<number, Set<SubscriptionRecord>>();
  /** What was asked for and not refused, with the view once it is answered. */
  readonly #asked = new Map<SubscriptionRecord, number | undefined>();
  /** Welcome. */
  node: { readonly session: string; readonly node: string } | undefined;

  constructor(options: ConnectionOptions) {
    this.#connection = openConnection({
      ...options,
      onWelcome: (welcome) => {
        this.node = { session: welcome.session, node: welcome.node };
        options.onWelcome(welcome);
      },
    });
  }

  /** Where it goes to; undefined while that is not known. */
  get url(): string | undefined {
    return this.#connection.url;
  }

  /** Whether it serves the subscription. */
  serves(record: SubscriptionRecord): boolean {
    return this.#asked.get(record) !== undefined;
  }

  /** Whether it was asked for the subscription, and has not refused it. */
  isAsked(record: SubscriptionRecord): boolean {
    return this.#asked.has(record);
  }

  /** Asks for the subscription, where that is wanted. */
  ask(record: SubscriptionRecord): void {
    if (this.node === undefined || !record.isWanted || this.#asked.has(record)) return;
    this.#asked.set(record, undefined);
    this.#connection.send({ subscribe: record.wish() });
  }

  answered(record: SubscriptionRecord, view: number): void {
    this.#forgetView(record);
    this.#asked.set(record, view);
    const sharing = this.#byView.get(view);
    if (sharing === undefined) this.#byView.set(view, new Set([record]));
    else sharing.add(record);
    // It was stopped while the answer was under way.
    if (record.stopped) this.#connection.send({ pause: { id: record.id } });
  }

  refused(record: SubscriptionRecord): void {
    this.#forgetView(record);
    this.#asked.delete(record);
  }

  /** Tells the server to let it go. What still comes is nobody's. */
  drop(record: SubscriptionRecord): void {
    if (!this.#asked.has(record)) return;
    this.refused(record);
    this.#connection.send({ unsubscribe: { id: record.id } });
  }

  pause(record: SubscriptionRecord): void {
    if (this.serves(record)) this.#connection.send({ pause: { id: record.id } });
  }

  /** Goes on where it was, by whatever way there is. */
  resume(record: SubscriptionRecord, speed?: number): void {
    if (!this.#asked.has(record)) this.ask(record);
    else if (this.serves(record)) {
      this.#connection.send({ resume: { id: record.id, ...(speed === undefined ? {} : { speed }) } });
    }
  }

  /** Those to whom the view's frames go. */
  of(view: number): Iterable<SubscriptionRecord> {
    const sharing = this.#byView.get(view);
    // A listener may unsubscribe while they are told.
    return sharing === undefined ? nobody : sharing.size === 1 ? sharing : [...sharing];
  }

  leave(reason: string): void {
    this.#connection.leave(reason);
  }

  #forgetView(record: SubscriptionRecord): void {
    const view = this.#asked.get(record);
    if (view === undefined) return;
    const sharing = this.#byView.get(view);
    sharing?.delete(record);
    if (sharing?.size === 0) this.#byView.delete(view);
  }
}

const nobody: readonly SubscriptionRecord[] = [];
