import type { ErrorCode } from '@tailrace/protocol/error';
import { TailraceError } from '@tailrace/protocol/error';
import { type Positions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import type { Delivery } from '@tailrace/protocol/report';
import type { Subscribed } from '@tailrace/protocol/servermessage';
import { Delivered } from './delivered.ts';
import type { SubscriptionState } from './state.ts';

/** What a subscriber is told. */
export interface SubscriptionListener {
  /**
   * Last values, before anything live: whole reports, oldest first by device; those already given are left out. In several calls where there are
   * many. Again after a reconnect only where not all that was missed could be had: the state `live` says so, and what.
   */
  onSnapshot?(reports: readonly Delivery[]): void;
  /** News, in order by device, each once; after a reconnect, first what was missed. */
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
  /** How far it has come, once it was live. */
  #positions: Positions | undefined;

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

  /** Where to go on from, as a token; undefined before it was live. */
  get after(): string | undefined {
    return this.#positions === undefined ? undefined : tokenFromPositions(this.#positions);
  }

  subscribed({ view, epoch, position, snapshot: devices, recovered, missing }: Subscribed): void {
    this.view = view;
    this.refusals = 0;
    this.delivered.enter(epoch);
    this.#positions = readable(position);
    this.change({
      name: 'live',
      devices,
      ...(recovered === undefined ? {} : { recovered }),
      ...(missing === undefined ? {} : { missing }),
    });
  }

  /** The server does not know of such a position: begin with last values again. */
  forgetPosition(): void {
    this.#positions = undefined;
  }

  /** The connection is gone. */
  lost(): void {
    this.retry?.cancel();
    this.view = undefined;
    if (!this.refusedForGood) this.change({ name: 'waiting' });
  }

  take(reports: readonly Delivery[], snapshot: boolean): void {
    // Last values lie before the position that the server named.
    if (!snapshot) for (const { partition, seq } of reports) this.#positions?.advance(partition, seq);
    const newer = this.delivered.newer(reports);
    if (newer.length === 0) return;
    if (snapshot) this.#listener.onSnapshot?.(newer);
    else this.#listener.onReports?.(newer);
  }
}

/** A token that a later server writes in another way is of no use here: then a reconnect begins with last values. */
function readable(token: string): Positions | undefined {
  try {
    return positionsFromToken(token);
  } catch {
    return undefined;
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
