import { backoffMs } from '@tailrace/protocol/backoff';
import type { ErrorCode } from '@tailrace/protocol/error';
import { TailraceError } from '@tailrace/protocol/error';
import { assertPattern } from '@tailrace/protocol/pattern';
import type { Notice } from '@tailrace/protocol/presence';
import type { ErrorFields, ServerMessage } from '@tailrace/protocol/server-message-json';
import type { Skipped } from '@tailrace/protocol/skipped';
import { Addresses } from './addresses.ts';
import { Link, type LinkListener } from './link.ts';
import { Move } from './move.ts';
import { notify } from './notify.ts';
import { RoundTrip } from './round-trip.ts';
import type { Loss, StreamState } from './state.ts';
import { type BoundedStreamOptions, bounded, type StreamOptions } from './stream-options.ts';
import { assertViewOptions, type SubscribeOptions, type Subscription } from './subscription.ts';
import { subscriptionOf } from './subscription-handle.ts';
import { SubscriptionRecord } from './subscription-record.ts';
import { UnreadableFrames } from './unreadable.ts';
import { onOnline } from './wakeup.ts';

export type { StreamOptions } from './stream-options.ts';

/** A connection to Tailrace that comes back by itself, with any number of subscriptions on it. */
export interface Stream {
  readonly state: StreamState;
  /** Told of every change from now on. The answer ends it. */
  onState(listener: (state: StreamState) => void): () => void;
  /** Told what the operators say to everybody. The answer ends it. */
  onNotice(listener: (notice: Notice) => void): () => void;
  /**
   * Called when something that the server sent cannot be read: one delivery, which is left out (`onSkipped` says which,
   * reason `unreadable`), or a whole frame. For a log; the stream goes on by itself. Returns what removes the listener.
   */
  onError(listener: (error: TailraceError) => void): () => void;
  /**
   * A device path or a pattern. Throws `invalid_pattern`, `invalid_config` for options that cannot be meant,
   * `limit_reached` over `subscriptionsMax`, `closed` after `close`.
   */
  subscribe(channel: string, options?: SubscribeOptions): Subscription;
  /** Tries now instead of at the end of the wait: the user asks, or the network is back. Also after the server said not to come back. */
  reconnect(): void;
  /** Of the last ping, ms; undefined before the first answer of a connection. */
  readonly roundTripMs: number | undefined;
  /** The server's clock, epoch ms, as well as it is known: right within half a round trip. */
  serverNow(): number;
  /** Ends everything, at once. Idempotent. */
  close(): void;
}

export const subscriptionsMax = 1000;

/** A connection that lived this long was a good one: the next wait starts small again. */
const goodAfterMs = 5000;

/** Starts to connect at once. Throws `invalid_config` for an address that is none, and where there is no WebSocket. */
export function createStream(options: StreamOptions): Stream {
  return new ReconnectingStream(options);
}

class ReconnectingStream implements Stream {
  #state: StreamState = { name: 'connecting', attempt: 0 };
  readonly #options: BoundedStreamOptions;
  readonly #addresses: Addresses;
  readonly #roundTrip = new RoundTrip();
  readonly #subscriptions = new Map<string, SubscriptionRecord>();
  readonly #listeners = new Set<(state: StreamState) => void>();
  readonly #noticeListeners = new Set<(notice: Notice) => void>();
  readonly #errorListeners = new Set<(error: TailraceError) => void>();
  readonly #unreadableFrames = new UnreadableFrames();
  readonly #move: Move;
  readonly #forgetOnline: () => void;
  #link: Link | undefined;
  #attempt = 0;
  #ids = 0;
  #ended = false;
  /** A fresh token was tried since the last good connection. */
  #renewed = false;
  /** While live: forgets the failed attempts. While waiting: tries again. */
  #timer: { cancel(): void } | undefined;

  constructor(options: StreamOptions) {
    this.#options = bounded(options);
    this.#addresses = new Addresses(options.url, this.#options.random);
    this.#move = new Move(this.#options, this.#subscriptions, {
      open: (url, listener) => this.#open(url, listener),
      anotherUrl: () => this.#addresses.next(),
      isLive: () => this.#state.name === 'live',
      current: () => this.#link,
      take: (link, message, unreadable) => this.#take(link, message, unreadable),
      lost: (link, loss) => this.#lost(link, loss),
      moved: (link) => this.#adopt(link),
    });
    this.#forgetOnline = onOnline(() => {
      if (this.#state.name === 'waiting') this.reconnect();
    });
    this.#connect();
  }

  get state(): StreamState {
    return this.#state;
  }

  get roundTripMs(): number | undefined {
    return this.#state.name === 'live' ? this.#roundTrip.lastMs : undefined;
  }

  serverNow(): number {
    return this.#options.clock.now() + this.#roundTrip.offsetMs;
  }

  onState(listener: (state: StreamState) => void): () => void {
    return addListener(this.#listeners, listener);
  }

  onNotice(listener: (notice: Notice) => void): () => void {
    return addListener(this.#noticeListeners, listener);
  }

  onError(listener: (error: TailraceError) => void): () => void {
    return addListener(this.#errorListeners, listener);
  }

  subscribe(channel: string, options: SubscribeOptions = {}): Subscription {
    if (this.#ended) throw new TailraceError('closed', 'the stream is closed; create another one');
    assertPattern(channel);
    assertViewOptions(options);
    if (this.#subscriptions.size >= subscriptionsMax) {
      throw new TailraceError(
        'limit_reached',
        `expected at most ${subscriptionsMax} subscriptions; a pattern such as "plant1.>" covers many devices`,
      );
    }
    const record = new SubscriptionRecord(`s${++this.#ids}`, channel, options);
    const subscription = subscriptionOf(record, () => this.#link, {
      changing: (change) => {
        this.#move.abandon();
        change();
        this.#move.consider();
      },
      end: () => this.#remove(record),
    });
    if (options.signal?.aborted) record.change({ name: 'ended' });
    else {
      this.#move.abandon();
      this.#subscriptions.set(record.id, record);
      if (this.#state.name === 'closed') record.state = { name: 'failed', error: errorFrom(this.#state.loss) };
      this.#link?.ask(record);
    }
    return subscription;
  }

  reconnect(): void {
    if (this.#ended || this.#state.name === 'live' || this.#state.name === 'connecting') return;
    for (const subscription of [...this.#subscriptions.values()]) subscription.lost();
    this.#connect();
  }

  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    this.#forgetOnline();
    this.#move.end();
    for (const subscription of [...this.#subscriptions.values()]) this.#remove(subscription);
    this.#link?.leave('the client closed the stream');
    this.#link = undefined;
    this.#change({ name: 'closed', loss: { code: 1000, message: 'closed by this program', mayReconnect: false } });
  }

  #change(state: StreamState): void {
    this.#state = state;
    notifyAll(this.#listeners, state);
  }

  #connect(): void {
    this.#timer?.cancel();
    this.#change({ name: 'connecting', attempt: this.#attempt });
    // A listener may have ended it.
    if (this.#ended) return;
    const link: Link = this.#open(this.#addresses.next(), {
      onWelcome: () => this.#welcome(link),
      onMessage: (message, unreadable) => this.#take(link, message, unreadable),
      onLost: (loss) => this.#lost(link, loss),
    });
    this.#link = link;
  }

  #open(url: string | (() => Promise<string>), listener: LinkListener): Link {
    const { token, WebSocket, clock, random, pingMs, deadlineMs } = this.#options;
    const roundTrip = this.#roundTrip;
    const onUnreadable = (error: TailraceError, isWhole: boolean) => this.#unreadable(error, isWhole);
    return new Link({ url, token, WebSocket, clock, random, roundTrip, pingMs, deadlineMs, onUnreadable, ...listener });
  }

  #welcome(link: Link): void {
    this.#isGood(link);
    for (const subscription of [...this.#subscriptions.values()]) link.ask(subscription);
  }

  #isGood(link: Link): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(goodAfterMs, () => {
      this.#attempt = 0;
      this.#renewed = false;
    });
    if (link.node !== undefined) this.#change({ name: 'live', ...link.node });
  }

  /** The stream has another connection now, on which each subscription goes on where it was. */
  #adopt(link: Link): void {
    this.#link = link;
    this.#isGood(link);
  }

  #lost(link: Link, loss: Loss): void {
    if (link !== this.#link) return;
    this.#timer?.cancel();
    this.#link = undefined;
    const rescue = this.#move.rescue();
    if (rescue !== undefined) {
      this.#adopt(rescue);
      for (const subscription of [...this.#subscriptions.values()])
        if (!rescue.serves(subscription)) subscription.lost();
      return;
    }
    let error: TailraceError | undefined;
    const mayRenew = loss.code === 4401 && typeof this.#options.token === 'function' && !this.#renewed;
    if (mayRenew) this.#renewed = true;
    if (loss.mayReconnect || mayRenew) {
      const { clock, random, backoff } = this.#options;
      const waitMs = backoffMs(this.#attempt++, random, backoff);
      this.#timer = clock.after(waitMs, () => this.#connect());
      this.#change({ name: 'waiting', attempt: this.#attempt, retryAt: clock.now() + waitMs, loss });
    } else {
      error = errorFrom(loss);
      this.#change({ name: 'closed', loss });
    }
    for (const subscription of [...this.#subscriptions.values()]) subscription.lost(error);
  }

  #take(link: Link, message: ServerMessage, unreadable: readonly Skipped[]): void {
    if ('data' in message) {
      for (const subscription of link.of(message.data.view)) subscription.take(message.data, unreadable);
    } else if ('subscribed' in message) {
      const subscription = this.#subscriptions.get(message.subscribed.id);
      if (subscription === undefined) return;
      link.answered(subscription, message.subscribed.view);
      subscription.subscribed(message.subscribed);
      this.#move.consider();
    } else if ('error' in message) this.#error(link, message.error);
    else if ('cut' in message) {
      for (const subscription of link.of(message.cut.view)) subscription.cut(message.cut, unreadable);
    } else if ('interrupted' in message) {
      const { view, since, partitions } = message.interrupted;
      for (const subscription of link.of(view)) subscription.interrupted(since, partitions);
    } else if ('restored' in message) {
      for (const subscription of link.of(message.restored.view)) subscription.restored();
    } else if ('stale' in message) this.#presence({ ...message.stale, state: 'stale' });
    else if ('offline' in message) this.#presence({ ...message.offline, state: 'offline' });
    else if ('online' in message) this.#presence({ ...message.online, state: 'online' });
    else if ('paused' in message) {
      const subscription = this.#subscriptions.get(message.paused.id);
      // What was sent before it to one that was let go meanwhile was not taken.
      if (subscription?.stopped && link.serves(subscription)) subscription.progress.reached(message.paused.position);
    } else if ('live' in message) {
      const subscription = this.#subscriptions.get(message.live.id);
      // As with `paused`.
      if (subscription !== undefined && link.serves(subscription)) subscription.live(message.live.position);
      this.#move.consider();
    } else if ('moved' in message) this.#move.told(message.moved);
    else if ('draining' in message) this.#move.draining(message.draining.afterMs);
    else if ('notice' in message) notifyAll(this.#noticeListeners, message.notice);
  }

  #unreadable(error: TailraceError, isWhole: boolean): boolean {
    notifyAll(this.#errorListeners, error);
    return isWhole && this.#unreadableFrames.mayDiscard(this.#options.clock.monotonic());
  }

  #presence(presence: Parameters<SubscriptionRecord['presence']>[0]): void {
    for (const subscription of [...this.#subscriptions.values()]) subscription.presence(presence);
  }

  #error(link: Link, fields: ErrorFields): void {
    const subscription = this.#subscriptions.get(fields.id ?? '');
    // Of one that was refused or let go: the answer to a message that was under way.
    if (subscription === undefined || !link.isAsked(subscription)) return;
    link.refused(subscription);
    // A newer server may know codes that this client does not; the code is only passed on.
    const error = new TailraceError(fields.code as ErrorCode, fields.message, { retryable: fields.retryable });
    if (error.code === 'invalid_position' && subscription.progress.after !== undefined) {
      subscription.forgetPosition(error);
      link.ask(subscription);
      return;
    }
    subscription.retry?.cancel();
    if (error.retryable) {
      const { clock, random, backoff } = this.#options;
      // A refusal costs the server more than a connection attempt does, so the waits start longer.
      const waitMs = backoffMs(2 + subscription.refusals++, random, backoff);
      subscription.retry = clock.after(waitMs, () => this.#link?.ask(subscription));
    }
    subscription.refusedForGood = !error.retryable;
    subscription.change({ name: 'failed', error });
  }

  #remove(subscription: SubscriptionRecord): void {
    if (!this.#subscriptions.delete(subscription.id)) return;
    subscription.retry?.cancel();
    this.#move.abandon();
    this.#link?.drop(subscription);
    subscription.change({ name: 'ended' });
    this.#move.consider();
  }
}

/** Why the subscriptions of a closed stream fail. */
function errorFrom({ code, message }: Loss): TailraceError {
  return new TailraceError(code === 4401 ? 'unauthorized' : code === 4403 ? 'forbidden' : 'closed', message);
}

/** A listener may remove itself, or others. */
function notifyAll<T>(listeners: ReadonlySet<(value: T) => void>, value: T): void {
  for (const listener of [...listeners]) notify(() => listener(value));
}

function addListener<L>(listeners: Set<L>, listener: L): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
