import type { ErrorCode } from '@tailrace/protocol/error';
import { TailraceError } from '@tailrace/protocol/error';
import type { Delivery } from '@tailrace/protocol/report';
import { Delivered } from './delivered.ts';
import type { SubscriptionState } from './state.ts';

/** What a subscriber is told. */
export interface SubscriptionListener {
  /**
   * Last values, before anything live: whole reports, oldest first by device; those already given are left out. In several calls where there are
   * many, and again after a reconnect. Between the last report given before a reconnect and the snapshot after it, reports may be missing.
   */
  onSnapshot?(reports: readonly Delivery[]): void;
  /** News, in order by device, each once. */
  onReports?(reports: readonly Delivery[]): void;
  /** Every change, the first one (`waiting`) excepted. */
  onState?(state: SubscriptionState): void;
}

/** A wish for a channel that outlives connections. */
export interface Subscription {
  readonly channel: string;
  readonly state: SubscriptionState;
  /** Reports left out because they were not newer than what was given. */
  readonly dropped: number;
  /** Nothing more is told after this. Idempotent. */
  unsubscribe(): void;
}

/** What the stream keeps of a subscription. */
export class SubscriptionRecord {
  readonly id: string;
  readonly channel: string;
  readonly delivered = new Delivered();
  state: SubscriptionState = { name: 'waiting' };
  /** The number under which the data comes on this connection. */
  view: number | undefined;
  /** Times in a row it was refused. */
  refusals = 0;
  /** Asks again after a refusal. */
  retry: { cancel(): void } | undefined;
  readonly #listener: SubscriptionListener;

  constructor(id: string, channel: string, listener: SubscriptionListener) {
    this.id = id;
    this.channel = channel;
    this.#listener = listener;
  }

  change(state: SubscriptionState): void {
    if (this.state.name === 'ended' || (state.name === 'waiting' && this.state.name === 'waiting')) return;
    this.state = state;
    this.#listener.onState?.(state);
  }

  /** Asking again on another connection would be of no use. */
  get refusedForGood(): boolean {
    return this.state.name === 'failed' && !this.state.error.retryable;
  }

  subscribed(view: number, epoch: string, devices: number): void {
    this.view = view;
    this.refusals = 0;
    this.delivered.enter(epoch);
    this.change({ name: 'live', devices });
  }

  /** The connection is gone. */
  lost(): void {
    this.retry?.cancel();
    this.view = undefined;
    if (!this.refusedForGood) this.change({ name: 'waiting' });
  }

  take(reports: readonly Delivery[], snapshot: boolean): void {
    const newer = this.delivered.newer(reports);
    if (newer.length === 0) return;
    if (snapshot) this.#listener.onSnapshot?.(newer);
    else this.#listener.onReports?.(newer);
  }
}

/** What a server's `error` message says, as an error. */
export function errorFrom(error: {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}): TailraceError {
  // A newer server may know codes that this client does not; the code is only passed on.
  return new TailraceError(error.code as ErrorCode, error.message, { retryable: error.retryable });
}
