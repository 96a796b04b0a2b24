import type { Claims } from '@tailrace/platform/token';
import { type ClientMessage, clientMessageFromBytes, clientMessageFromJson } from '@tailrace/protocol/clientmessage';
import type { CloseCode } from '@tailrace/protocol/close';
import { closeCodes } from '@tailrace/protocol/close';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { assertPattern, patternCovers } from '@tailrace/protocol/pattern';
import { type ServerMessage, serverMessageBytes, serverMessageJson } from '@tailrace/protocol/servermessage';
import type { Hub, Subscriber, Subscription, SubscriptionStart } from './hub.ts';
import type { Encoding, View } from './view.ts';

/** What a session needs of a socket. */
export interface Socket {
  /** Never throws; a frame that cannot be buffered closes the socket with 4002. */
  send(frame: string | Uint8Array): void;
  ping(): void;
  join(topic: string): void;
  leave(topic: string): void;
  end(code: number, reason: string): void;
}

export interface SessionParts {
  readonly hub: Pick<Hub, 'subscribe' | 'unsubscribe'>;
  readonly verify: (token: string) => Promise<Claims>;
  readonly now: () => number;
  readonly node: string;
  readonly version: string;
  readonly heartbeatMs: number;
  readonly messageBytesMax: number;
  readonly subscriptionsMax: number;
}

/**
 * One client's connection.
 * - `greeting`: no valid token yet; anything but `auth` is refused. Ends after `authDeadlineMs` (the sessions' doing).
 * - `checking`: a token is being verified; messages wait.
 * - `open`: serves.
 * - `closed`: nothing is sent or taken any more.
 */
export class Session implements Subscriber {
  state: 'greeting' | 'checking' | 'open' | 'closed' = 'greeting';
  readonly id: string;
  readonly encoding: Encoding;
  /** Epoch ms after which the token no longer holds; infinite for none. */
  expiresAt = Number.POSITIVE_INFINITY;
  /** The sessions' beat at which this client was last heard. */
  heardBeat = 0;
  /** The sessions' group it is in, by the second in which it came. */
  group = 0;
  readonly #socket: Socket;
  readonly #parts: SessionParts;
  readonly #subscriptions = new Map<string, Subscription>();
  /** How many live subscriptions of this client share a view, and so its topic. */
  readonly #onView = new Map<View, number>();
  #rights: readonly string[] = [];
  #waiting: ClientMessage[] = [];

  constructor(id: string, encoding: Encoding, socket: Socket, parts: SessionParts) {
    this.id = id;
    this.encoding = encoding;
    this.#socket = socket;
    this.#parts = parts;
  }

  get subscriptions(): number {
    return this.#subscriptions.size;
  }

  /** With the token of the handshake, or of `auth`. Ends with 4401 when it does not hold. */
  async authenticate(token: string): Promise<void> {
    this.state = 'checking';
    let claims: Claims;
    try {
      claims = await this.#parts.verify(token);
    } catch (thrown) {
      this.#refuse(tailraceErrorFrom(thrown), closeCodes.unauthorized);
      return;
    }
    // The connection may have gone while the token was looked at.
    if (this.#closed()) return;
    this.state = 'open';
    this.#rights = claims.subscribe;
    this.#endUncovered();
    this.expiresAt = claims.expiresAt ?? Number.POSITIVE_INFINITY;
    const { node, version, heartbeatMs, messageBytesMax, subscriptionsMax } = this.#parts;
    this.#send({
      welcome: { session: this.id, node, version, heartbeatMs, limits: { messageBytesMax, subscriptionsMax } },
    });
    for (const message of this.#waiting.splice(0)) this.#take(message);
  }

  /** A message as it came: text on a JSON connection, bytes on a Protobuf one. */
  onMessage(data: string | Uint8Array): void {
    if (this.state === 'closed') return;
    let message: ClientMessage;
    try {
      message = this.#read(data);
    } catch (thrown) {
      this.#refuse(tailraceErrorFrom(thrown), closeCodes.protocolError);
      return;
    }
    this.#take(message);
  }

  /** A subscription asked for by the URL of the connection. */
  onWish(wish: { id: string; channel: string }): void {
    try {
      assertPattern(wish.channel);
      this.#take({ subscribe: wish });
    } catch (thrown) {
      this.#error(tailraceErrorFrom(thrown), wish.id);
    }
  }

  /** Tells the client that the server goes and when it will be let go. */
  drain(afterMs: number): void {
    if (this.state !== 'closed') this.#send({ draining: { afterMs } });
  }

  ping(): void {
    this.#socket.ping();
  }

  /** Says goodbye with a close code. */
  end(close: CloseCode): void {
    if (this.state === 'closed') return;
    this.onClose();
    this.#socket.end(close.code, close.reason);
  }

  /** The socket has gone, or is going: nothing of the session stays. */
  onClose(): void {
    this.state = 'closed';
    for (const subscription of this.#subscriptions.values()) this.#parts.hub.unsubscribe(subscription);
    this.#subscriptions.clear();
    for (const view of this.#onView.keys()) view.sockets--;
    this.#onView.clear();
    this.#waiting = [];
  }

  /** The hub: the subscription begins now. */
  begin(subscription: Subscription, start: SubscriptionStart): void {
    const { view, channel } = subscription;
    this.#send({
      subscribed: {
        id: subscription.id,
        view: view.number,
        channel: channel.pattern,
        epoch: start.epoch,
        position: start.position,
        snapshot: start.devices,
      },
    });
    for (const frame of start.frames) this.#socket.send(frame);
    if (this.#closed()) return;
    const sharers = this.#onView.get(view) ?? 0;
    this.#onView.set(view, sharers + 1);
    if (sharers > 0) return;
    view.sockets++;
    this.#socket.join(view.topic);
  }

  #read(data: string | Uint8Array): ClientMessage {
    if (typeof data === 'string') {
      if (this.encoding === 'json') return clientMessageFromJson(data);
      throw new TailraceError('invalid_message', 'a text frame on a tailrace.v1.proto connection; send binary frames');
    }
    if (this.encoding === 'proto') return clientMessageFromBytes(data);
    throw new TailraceError('invalid_message', 'a binary frame on a tailrace.v1.json connection; send text frames');
  }

  #take(message: ClientMessage): void {
    if (this.state === 'checking') {
      this.#wait(message);
    } else if ('auth' in message) {
      // While open: a fresh token for an old one.
      void this.authenticate(message.auth.token);
    } else if (this.state === 'greeting') {
      const error = new TailraceError(
        'unauthorized',
        `${shown(Object.keys(message)[0])} before auth; send {"auth":{"token":"…"}} first`,
      );
      this.#refuse(error, closeCodes.unauthorized);
    } else if ('subscribe' in message) this.#subscribe(message.subscribe);
    else if ('unsubscribe' in message) this.#unsubscribe(message.unsubscribe.id);
    else this.#send({ pong: { t: message.ping.t, time: this.#parts.now() } });
  }

  /** At most what an orderly client sends without waiting for its welcome. */
  #wait(message: ClientMessage): void {
    if (this.#waiting.length < this.#parts.subscriptionsMax) this.#waiting.push(message);
    else
      this.#refuse(
        new TailraceError('rate_limited', 'too many messages before the token was verified'),
        closeCodes.rateExceeded,
      );
  }

  #subscribe(wish: { id: string; channel: string; snapshot?: boolean }): void {
    const fault = this.#faultOf(wish);
    if (fault !== undefined) {
      this.#error(fault, wish.id);
      return;
    }
    const subscription = this.#parts.hub.subscribe(this, { ...wish, snapshot: wish.snapshot ?? true }, (error) => {
      this.#subscriptions.delete(wish.id);
      this.#error(error, wish.id);
    });
    if (subscription.state !== 'ended' && !this.#closed()) this.#subscriptions.set(wish.id, subscription);
    else this.#parts.hub.unsubscribe(subscription);
  }

  #faultOf(wish: { id: string; channel: string }): TailraceError | undefined {
    if (this.#subscriptions.has(wish.id)) {
      return new TailraceError('conflict', `id ${shown(wish.id)} is in use; unsubscribe it first, or take another`);
    }
    if (this.#subscriptions.size >= this.#parts.subscriptionsMax) {
      return new TailraceError(
        'limit_reached',
        `${this.#parts.subscriptionsMax} subscriptions are the most a connection may have`,
      );
    }
    return this.#covers(wish.channel) ? undefined : this.#forbidden(wish.channel);
  }

  /** After a fresh token: what it no longer covers ends. */
  #endUncovered(): void {
    for (const [id, { channel }] of this.#subscriptions) {
      if (this.#covers(channel.pattern)) continue;
      this.#error(this.#forbidden(channel.pattern), id);
      this.#unsubscribe(id);
    }
  }

  #covers(channel: string): boolean {
    return this.#rights.some((right) => patternCovers(right, channel));
  }

  #forbidden(channel: string): TailraceError {
    return new TailraceError(
      'forbidden',
      `the token does not let you see ${shown(channel)}; it covers ${shown(this.#rights)}`,
    );
  }

  #unsubscribe(id: string): void {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) {
      this.#error(new TailraceError('not_found', `there is no subscription ${shown(id)}`), id);
      return;
    }
    this.#subscriptions.delete(id);
    const wasLive = subscription.state === 'live';
    this.#parts.hub.unsubscribe(subscription);
    if (wasLive) this.#leave(subscription.view);
    this.#send({ unsubscribed: { id } });
  }

  #leave(view: View): void {
    const sharers = this.#onView.get(view) ?? 0;
    if (sharers > 1) this.#onView.set(view, sharers - 1);
    else if (this.#onView.delete(view)) {
      view.sockets--;
      this.#socket.leave(view.topic);
    }
  }

  #error(error: TailraceError, id = ''): void {
    this.#send({ error: { id, code: error.code, message: error.message, retryable: error.retryable } });
  }

  /** An error after which the connection cannot go on. */
  #refuse(error: TailraceError, close: CloseCode): void {
    if (this.#closed()) return;
    this.#error(error);
    this.end(close);
  }

  #send(message: ServerMessage): void {
    if (this.state === 'closed') return;
    this.#socket.send(this.encoding === 'json' ? serverMessageJson(message) : serverMessageBytes(message));
  }

  /** A method, because TypeScript believes that a field keeps its value over calls that change it. */
  #closed(): boolean {
    return this.state === 'closed';
  }
}
