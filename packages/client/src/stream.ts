import { TailraceError } from '@tailrace/protocol/error';
import { assertPattern } from '@tailrace/protocol/pattern';
import type { ServerMessage } from '@tailrace/protocol/servermessage';
import { type BackoffOptions, backoffMs } from './backoff.ts';
import { type ClientClock, systemClock } from './clock.ts';
import { type Connection, openConnection, type TokenSource } from './connection.ts';
import { endpointUrl } from './endpoint.ts';
import { RoundTrip } from './roundtrip.ts';
import type { Loss, StreamState } from './state.ts';
import { errorFrom, type Subscription, type SubscriptionListener, SubscriptionRecord } from './subscription.ts';
import type { WebSocketConstructor } from './websocket.ts';

export interface StreamOptions {
  /** Of a fanout node, as `wss://plant.example` or with the whole path `/v1/stream`. */
  readonly url: string;
  /** Sent as the first message, never in the URL. A function is asked before every attempt. Left out: none is sent. */
  readonly token?: TokenSource;
  /** Default: the one of the browser or of Node 22. */
  readonly WebSocket?: WebSocketConstructor;
  readonly clock?: ClientClock;
  /** In [0, 1). Default: Math.random. */
  readonly random?: () => number;
  readonly backoff?: BackoffOptions;
  /** A ping this often, ms. Default 5,000. */
  readonly pingMs?: number;
  /** Opening a connection, and every answer, may take this long, ms. Default 10,000. */
  readonly deadlineMs?: number;
}

/** A connection to Tailrace that comes back by itself, with any number of subscriptions on it. */
export interface Stream {
  readonly state: StreamState;
  /** Told of every change from now on. The answer ends it. */
  onState(listener: (state: StreamState) => void): () => void;
  /** A device path or a pattern. Throws `invalid_pattern`, `limit_reached` over `subscriptionsMax`, `closed` after `close`. */
  subscribe(channel: string, listener: SubscriptionListener): Subscription;
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

/** Starts to connect at once. Throws `invalid_config` for an address that is none. */
export function createStream(options: StreamOptions): Stream {
  return new ReconnectingStream(options);
}

class ReconnectingStream implements Stream {
  #state: StreamState = { name: 'connecting', attempt: 0 };
  readonly #options: StreamOptions;
  readonly #url: string;
  readonly #clock: ClientClock;
  readonly #random: () => number;
  readonly #WebSocket: WebSocketConstructor;
  readonly #roundTrip = new RoundTrip();
  readonly #subscriptions = new Map<string, SubscriptionRecord>();
  readonly #byView = new Map<number, Set<SubscriptionRecord>>();
  readonly #listeners = new Set<(state: StreamState) => void>();
  #connection: Connection | undefined;
  #attempt = 0;
  #ids = 0;
  #ended = false;
  /** While live: forgets the failed attempts. While waiting: tries again. */
  #timer: { cancel(): void } | undefined;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#url = endpointUrl(options.url, '/v1/stream');
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#WebSocket = options.WebSocket ?? (globalThis.WebSocket as WebSocketConstructor);
    this.#connect();
  }

  get state(): StreamState {
    return this.#state;
  }

  get roundTripMs(): number | undefined {
    return this.#state.name === 'live' ? this.#roundTrip.lastMs : undefined;
  }

  serverNow(): number {
    return this.#clock.now() + this.#roundTrip.offsetMs;
  }

  onState(listener: (state: StreamState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  subscribe(channel: string, listener: SubscriptionListener): Subscription {
    if (this.#ended) throw new TailraceError('closed', 'the stream is closed; create another one');
    assertPattern(channel);
    if (this.#subscriptions.size >= subscriptionsMax) {
      throw new TailraceError(
        'limit_reached',
        `a stream has at most ${subscriptionsMax} subscriptions; a pattern such as "plant1.>" covers many devices with one`,
      );
    }
    const record = new SubscriptionRecord(`s${++this.#ids}`, channel, listener);
    this.#subscriptions.set(record.id, record);
    this.#ask(record);
    return {
      channel,
      get state() {
        return record.state;
      },
      get dropped() {
        return record.delivered.dropped;
      },
      unsubscribe: () => this.#remove(record),
    };
  }

  reconnect(): void {
    if (this.#ended || this.#state.name === 'live' || this.#state.name === 'connecting') return;
    this.#connect();
  }

  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    for (const subscription of [...this.#subscriptions.values()]) this.#remove(subscription);
    this.#connection?.leave('the client closed the stream');
    this.#connection = undefined;
    this.#change({ name: 'closed', loss: { code: 1000, message: 'closed by this program', mayReconnect: false } });
  }

  #change(state: StreamState): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }

  #connect(): void {
    this.#timer?.cancel();
    this.#change({ name: 'connecting', attempt: this.#attempt });
    this.#connection = openConnection({
      url: this.#url,
      token: this.#options.token,
      WebSocket: this.#WebSocket,
      clock: this.#clock,
      roundTrip: this.#roundTrip,
      pingMs: this.#options.pingMs ?? 5000,
      deadlineMs: this.#options.deadlineMs ?? 10_000,
      onWelcome: (welcome) => {
        this.#timer = this.#clock.after(goodAfterMs, () => {
          this.#attempt = 0;
        });
        this.#change({ name: 'live', session: welcome.session, node: welcome.node });
        for (const subscription of [...this.#subscriptions.values()]) this.#ask(subscription);
      },
      onMessage: (message) => this.#take(message),
      onLost: (loss) => this.#lost(loss),
    });
  }

  #lost(loss: Loss): void {
    this.#timer?.cancel();
    this.#connection = undefined;
    this.#byView.clear();
    if (loss.mayReconnect) {
      const waitMs = backoffMs(this.#attempt++, this.#random, this.#options.backoff);
      this.#timer = this.#clock.after(waitMs, () => this.#connect());
      this.#change({ name: 'waiting', attempt: this.#attempt, retryAt: this.#clock.now() + waitMs, loss });
    } else this.#change({ name: 'closed', loss });
    for (const subscription of [...this.#subscriptions.values()]) subscription.lost();
  }

  #ask(subscription: SubscriptionRecord): void {
    if (this.#state.name !== 'live' || subscription.refusedForGood) return;
    const { id, channel, after } = subscription;
    this.#connection?.send({ subscribe: { id, channel, ...(after === undefined ? {} : { after }) } });
  }

  #take(message: ServerMessage): void {
    if ('data' in message) {
      const { view, reports, snapshot } = message.data;
      for (const subscription of [...(this.#byView.get(view) ?? [])]) subscription.take(reports, snapshot === true);
    } else if ('subscribed' in message) {
      const { id, view } = message.subscribed;
      const subscription = this.#subscriptions.get(id);
      if (subscription === undefined) return;
      const sharing = this.#byView.get(view) ?? new Set();
      this.#byView.set(view, sharing.add(subscription));
      subscription.subscribed(message.subscribed);
    } else if ('error' in message && message.error.id) {
      const subscription = this.#subscriptions.get(message.error.id);
      if (subscription !== undefined) this.#refused(subscription, errorFrom(message.error));
    }
  }

  #refused(subscription: SubscriptionRecord, error: TailraceError): void {
    if (error.code === 'invalid_position' && subscription.after !== undefined) {
      subscription.forgetPosition();
      this.#ask(subscription);
      return;
    }
    if (error.retryable) {
      // A refusal costs the server more than a connection attempt does, so the waits start longer.
      const waitMs = backoffMs(2 + subscription.refusals++, this.#random, this.#options.backoff);
      subscription.retry = this.#clock.after(waitMs, () => this.#ask(subscription));
    }
    subscription.change({ name: 'failed', error });
  }

  #remove(subscription: SubscriptionRecord): void {
    if (!this.#subscriptions.delete(subscription.id)) return;
    subscription.retry?.cancel();
    if (subscription.view !== undefined) {
      const sharing = this.#byView.get(subscription.view);
      sharing?.delete(subscription);
      if (sharing?.size === 0) this.#byView.delete(subscription.view);
    }
    if (this.#state.name === 'live' && !subscription.refusedForGood) {
      this.#connection?.send({ unsubscribe: { id: subscription.id } });
    }
    subscription.change({ name: 'ended' });
  }
}
