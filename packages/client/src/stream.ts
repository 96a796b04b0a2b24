import { backoffMs } from '@tailrace/protocol/backoff';
import type { ControlMessage } from '@tailrace/protocol/control-message-json';
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

/** A connection to Tailrace that reconnects by itself, with any number of subscriptions. */
export interface Stream {
  readonly state: StreamState;
  /** Calls `listener` after every change of the state. Returns a function that removes it. */
  onState(listener: (state: StreamState) => void): () => void;
  /** Calls `listener` with notices from the operators. Returns a function that removes it. */
  onNotice(listener: (notice: Notice) => void): () => void;
  /**
   * Calls `listener` when the client cannot read something from the server: one delivery, which is left out and passed
   * to `onSkipped` with the reason `unreadable`, or a whole frame. For logging; the stream continues. Returns a
   * function that removes the listener.
   */
  onError(listener: (error: TailraceError) => void): () => void;
  /**
   * Subscribes to a device path or a pattern. Throws `invalid_pattern`, `invalid_config` for invalid options,
   * `limit_reached` over `subscriptionsMax`, `closed` after `close`.
   */
  subscribe(channel: string, options?: SubscribeOptions): Subscription;
  /**
   * Sends a message for control over the live connection. Returns whether there is one. `createControl` of
   * `@tailrace/client/control` matches the replies.
   */
  request(message: ControlMessage): boolean;
  /** Calls `listener` with the replies to `request`. Returns a function that removes it. */
  onReply(listener: (reply: ControlReply) => void): () => void;
  /** Reconnects at once instead of after the backoff. Also after the server closed the stream permanently. */
  reconnect(): void;
  /** Round trip of the last ping, ms; undefined before the first pong of a connection. */
  readonly roundTripMs: number | undefined;
  /** Returns the estimate of the server's clock, epoch ms, accurate to half a round trip. */
  serverNow(): number;
  /** Closes the connection and all subscriptions. Idempotent. */
  close(): void;
}

/** A message that answers a request for control: it has the `request` of its message. */
export type ControlReply = Extract<
  ServerMessage,
  { accepted: unknown } | { command: unknown } | { lease: unknown } | { error: unknown }
>;

export const subscriptionsMax = 1000;

/** After this long a connection resets the backoff, ms. */
const stableAfterMs = 5000;

/** Connects at once. Throws `invalid_config` for an invalid URL, and where there is no WebSocket. */
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
  readonly #replyListeners = new Set<(reply: ControlReply) => void>();
  readonly #unreadableFrames = new UnreadableFrames();
  readonly #move: Move;
  readonly #removeOnlineListener: () => void;
  #link: Link | undefined;
  #attempt = 0;
  #ids = 0;
  #isClosed = false;
  /** Whether a new token was tried since the last stable connection. */
  #hasRenewed = false;
  /** While live: resets the backoff. While waiting: reconnects. */
  #timer: { cancel(): void } | undefined;

  constructor(options: StreamOptions) {
    this.#options = bounded(options);
    this.#addresses = new Addresses(options.url, this.#options.random);
    this.#move = new Move(this.#options, this.#subscriptions, {
      open: (url, listener) => this.#open(url, listener),
      anotherUrl: () => this.#addresses.next(),
      isLive: () => this.#state.name === 'live',
      current: () => this.#link,
      onMessage: (link, message, unreadable) => this.#onMessage(link, message, unreadable),
      lost: (link, loss) => this.#lost(link, loss),
      moved: (link) => this.#adopt(link),
    });
    this.#removeOnlineListener = onOnline(() => {
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

  onReply(listener: (reply: ControlReply) => void): () => void {
    return addListener(this.#replyListeners, listener);
  }

  request(message: ControlMessage): boolean {
    if (this.#state.name !== 'live' || this.#link === undefined) return false;
    this.#link.request(message);
    return true;
  }

  subscribe(channel: string, options: SubscribeOptions = {}): Subscription {
    if (this.#isClosed) throw new TailraceError('closed', 'the stream is closed; create another one');
    assertPattern(channel);
    assertViewOptions(options);
    if (this.#subscriptions.size >= subscriptionsMax) {
      throw new TailraceError(
        'limit_reached',
        `subscriptions: expected at most ${subscriptionsMax}, got more; a pattern such as "plant1.>" matches many devices`,
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
      this.#link?.subscribe(record);
    }
    return subscription;
  }

  reconnect(): void {
    if (this.#isClosed || this.#state.name === 'live' || this.#state.name === 'connecting') return;
    for (const subscription of [...this.#subscriptions.values()]) subscription.lost();
    this.#connect();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#removeOnlineListener();
    this.#move.close();
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
    // A listener may have closed the stream.
    if (this.#isClosed) return;
    const link: Link = this.#open(this.#addresses.next(), {
      onWelcome: () => this.#welcome(link),
      onMessage: (message, unreadable) => this.#onMessage(link, message, unreadable),
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
    this.#onLive(link);
    for (const subscription of [...this.#subscriptions.values()]) link.subscribe(subscription);
  }

  #onLive(link: Link): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(stableAfterMs, () => {
      this.#attempt = 0;
      this.#hasRenewed = false;
    });
    if (link.node !== undefined) this.#change({ name: 'live', ...link.node });
  }

  /** Continues on another connection, on which each subscription resumes at its position. */
  #adopt(link: Link): void {
    this.#link = link;
    this.#onLive(link);
  }

  #lost(link: Link, loss: Loss): void {
    if (link !== this.#link) return;
    this.#timer?.cancel();
    this.#link = undefined;
    const second = this.#move.takeOver();
    if (second !== undefined) {
      this.#adopt(second);
      for (const subscription of [...this.#subscriptions.values()])
        if (!second.serves(subscription)) subscription.lost();
      return;
    }
    let error: TailraceError | undefined;
    const mayRenew = loss.code === 4401 && typeof this.#options.token === 'function' && !this.#hasRenewed;
    if (mayRenew) this.#hasRenewed = true;
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

  #onMessage(link: Link, message: ServerMessage, unreadable: readonly Skipped[]): void {
    if ('data' in message) {
      for (const subscription of link.of(message.data.view)) subscription.data(message.data, unreadable);
    } else if ('subscribed' in message) {
      const subscription = this.#subscriptions.get(message.subscribed.id);
      if (subscription === undefined) return;
      link.subscribed(subscription, message.subscribed.view);
      subscription.subscribed(message.subscribed);
      this.#move.consider();
    } else if ('error' in message) {
      if (message.error.request === undefined) this.#error(link, message.error);
      else notifyAll(this.#replyListeners, message);
    } else if ('alarm' in message) {
      for (const subscription of link.of(message.alarm.view))
        subscription.events(message.alarm, (...events) => subscription.options.onAlarms?.(...events));
    } else if ('command' in message) {
      if (message.command.request !== undefined) notifyAll(this.#replyListeners, message);
      for (const subscription of link.of(message.command.view))
        subscription.events(message.command, (...events) => subscription.options.onCommands?.(...events));
    } else if ('lease' in message) {
      if (message.lease.request !== undefined) notifyAll(this.#replyListeners, message);
      for (const subscription of link.of(message.lease.view))
        subscription.events(message.lease, (...events) => subscription.options.onLeases?.(...events));
    } else if ('accepted' in message) notifyAll(this.#replyListeners, message);
    else if ('cut' in message) {
      for (const subscription of link.of(message.cut.view)) subscription.cut(message.cut, unreadable);
    } else if ('interrupted' in message) {
      const { view, since, partitions } = message.interrupted;
      for (const subscription of link.of(view)) subscription.interrupted(since, partitions);
    } else if ('restored' in message) {
      for (const subscription of link.of(message.restored.view)) subscription.restored();
    } else if ('progress' in message) {
      const { view, position } = message.progress;
      for (const subscription of link.of(view)) subscription.reached(position);
    } else if ('stale' in message) this.#presence({ ...message.stale, state: 'stale' });
    else if ('offline' in message) this.#presence({ ...message.offline, state: 'offline' });
    else if ('online' in message) this.#presence({ ...message.online, state: 'online' });
    else if ('paused' in message) {
      const subscription = this.#subscriptions.get(message.paused.id);
      // Reports sent before it to a subscription that was shed meanwhile were not received.
      if (subscription?.isStopped && link.serves(subscription)) subscription.progress.reached(message.paused.position);
    } else if ('live' in message) {
      const subscription = this.#subscriptions.get(message.live.id);
      // As for `paused`.
      if (subscription !== undefined && link.serves(subscription)) subscription.live(message.live.position);
      this.#move.consider();
    } else if ('moved' in message) this.#move.onMoved(message.moved);
    else if ('draining' in message) this.#move.onDraining(message.draining.afterMs);
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
    // For a refused or shed subscription this is the reply to an earlier message.
    if (subscription === undefined || !link.isRequested(subscription)) return;
    link.refused(subscription);
    // Codes of later servers are passed on.
    const error = new TailraceError(fields.code as ErrorCode, fields.message, { retryable: fields.retryable });
    if (error.code === 'invalid_position' && subscription.progress.after !== undefined) {
      subscription.forgetPosition(error);
      link.subscribe(subscription);
      return;
    }
    subscription.retry?.cancel();
    if (error.retryable) {
      const { clock, random, backoff } = this.#options;
      // A refusal costs the server more than a connection attempt, so the backoff starts higher.
      const waitMs = backoffMs(2 + subscription.refusals++, random, backoff);
      subscription.retry = clock.after(waitMs, () => this.#link?.subscribe(subscription));
    }
    subscription.isRefusedForGood = !error.retryable;
    subscription.change({ name: 'failed', error });
  }

  #remove(subscription: SubscriptionRecord): void {
    if (!this.#subscriptions.delete(subscription.id)) return;
    subscription.retry?.cancel();
    this.#move.abandon();
    this.#link?.unsubscribe(subscription);
    subscription.change({ name: 'ended' });
    this.#move.consider();
  }
}

/** Returns the error of the subscriptions of a closed stream. */
function errorFrom({ code, message }: Loss): TailraceError {
  return new TailraceError(code === 4401 ? 'unauthorized' : code === 4403 ? 'forbidden' : 'closed', message);
}

/** Calls all listeners. A listener may remove itself, or others. */
function notifyAll<T>(listeners: ReadonlySet<(value: T) => void>, value: T): void {
  for (const listener of [...listeners]) notify(() => listener(value));
}

function addListener<L>(listeners: Set<L>, listener: L): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
