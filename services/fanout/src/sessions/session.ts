import type { Logger } from '@tailrace/platform/logger';
import type { Claims } from '@tailrace/platform/token';
import { identityOf } from '@tailrace/platform/token-identity';
import {
  type ClientMessage,
  clientMessageFromBytes,
  clientMessageFromJson,
  type clientMessageKinds,
  type Subscribe,
} from '@tailrace/protocol/client-message';
import { type CloseCode, closeCodes } from '@tailrace/protocol/close';
import { isTailraceError, shown, TailraceError } from '@tailrace/protocol/error';
import { type ServerMessage, serverMessageBytes, serverMessageJson } from '@tailrace/protocol/server-message';
import { type Grant, grantFrom, noGrant } from '../access/grant.ts';
import type { RateLimit } from '../access/rate-limit.ts';
import { UserShare } from '../access/user-share.ts';
import type { Users } from '../access/users.ts';
import type { WorkQueue, WorkScheduler } from '../catch-up/work-scheduler.ts';
import type { Encoding } from '../views/view-options.ts';
import type { Expiring } from './expiries.ts';
import type { SessionCounts } from './session-counts.ts';
import type { Socket } from './socket.ts';
import { Subscriptions, type SubscriptionsOptions, type SubscriptionsOwner } from './subscriptions.ts';

/** What all sessions of a node are held to. */
export interface SessionAccess {
  /** Of one connection: messages, pings and pongs. */
  readonly messageRate: RateLimit;
  readonly users: Users;
  /** A session has a token now, or another one: it is warned before it ends, and let go when it has. */
  watch(session: Expiring): void;
  /** A session went beyond `messageRate`. */
  overRate(): void;
}

/** What all sessions of a node share. */
export interface SessionParts extends SubscriptionsOptions {
  readonly work: Pick<WorkScheduler, 'queue'>;
  readonly verify: (token: string) => Promise<Claims>;
  readonly node: string;
  readonly version: string;
  readonly heartbeatMs: number;
  readonly messageBytesMax: number;
  readonly logger: Logger;
  readonly access: SessionAccess;
  readonly counts: SessionCounts;
}

/** RFC 6455, section 7.4.1: the server met an unexpected condition. */
export const faultClose: CloseCode = { code: 1011, reason: 'a fault of the server; come back' };

/**
 * One client's connection.
 * - `greeting`: no valid token yet; anything but `auth` is refused. Ends after `authDeadlineMs` (the sessions' doing).
 * - `checking`: a token is being verified; messages wait.
 * - `open`: serves.
 * - `closed`: nothing is sent or taken any more.
 */
export class Session implements SubscriptionsOwner {
  state: 'greeting' | 'checking' | 'open' | 'closed' = 'greeting';
  readonly id: string;
  readonly encoding: Encoding;
  /** The sessions' beat at which this client was last heard. */
  receivedHeartbeat = 0;
  /** The sessions' group it is in, by the second in which it came. */
  group = 0;
  /** The expiries' next look at its token, epoch ms. */
  dueMs = 0;
  readonly #socket: Socket;
  readonly #parts: SessionParts;
  readonly #subscriptions: Subscriptions;
  readonly #work: WorkQueue;
  #grant: Grant = noGrant;
  /** Of the token that holds now; undefined before the first. */
  #claims: Claims | undefined;
  readonly #share: UserShare;
  /** Of the rate of its messages. */
  #mark = 0;
  #failed = false;
  #waiting: ClientMessage[] = [];

  constructor(id: string, encoding: Encoding, socket: Socket, parts: SessionParts) {
    this.id = id;
    this.encoding = encoding;
    this.#socket = socket;
    this.#parts = parts;
    this.#share = new UserShare(parts.access.users);
    this.#work = parts.work.queue();
    // Itself, not an object of closures: there are many thousand sessions.
    this.#subscriptions = new Subscriptions(encoding, socket, this.#work, this.#share, parts, this);
  }

  /** Epoch ms after which its token no longer holds; infinite for none. */
  get expiresAt(): number {
    return this.#grant.expiresAt;
  }

  get subscriptions(): number {
    return this.#subscriptions.size;
  }

  /** Views with options. */
  get views(): number {
    return this.#subscriptions.views.shaped;
  }

  /** With the token of the handshake, or of `auth`. Ends with 4401 when it does not hold. Never rejects. */
  async authenticate(token: string): Promise<void> {
    if (this.#closed()) return;
    this.state = 'checking';
    try {
      const claims = await this.#parts.verify(token);
      // The connection may have gone while the token was looked at.
      if (!this.#closed()) this.#open(claims);
    } catch (thrown) {
      if (isTailraceError(thrown) && thrown.code === 'unauthorized') this.#refuse(thrown, closeCodes.unauthorized);
      // The keys cannot be had: nothing is wrong with the client, nor with us.
      else if (isTailraceError(thrown) && thrown.code === 'unavailable') this.#refuse(thrown, closeCodes.tryAgain);
      else this.fail(thrown);
    }
  }

  /** What its token says; undefined while it had none. */
  get claims(): Claims | undefined {
    return this.#claims;
  }

  #open(claims: Claims): void {
    const fault = this.#share.join(claims);
    if (fault !== undefined) {
      // Not for ever: connections that nobody closed go with their heartbeat.
      this.#refuse(fault, closeCodes.tryAgain);
      return;
    }
    this.state = 'open';
    this.#claims = claims;
    this.#work.assign(identityOf(claims));
    this.#grant = grantFrom(claims);
    this.#subscriptions.cover(this.#grant);
    this.#share.count(this.#subscriptions.size);
    const { node, version, heartbeatMs, messageBytesMax, subscriptionsMax } = this.#parts;
    this.send({
      welcome: { session: this.id, node, version, heartbeatMs, limits: { messageBytesMax, subscriptionsMax } },
    });
    this.#parts.access.watch(this);
    for (const message of this.#waiting.splice(0)) if (!this.#closed()) this.#take(message);
  }

  /**
   * Anything that came from the client, a ping or pong of the WebSocket protocol, too, at monotonic `nowMs`. False: it
   * is one too many, and the end with 4429.
   */
  spend(nowMs: number): boolean {
    const { messageRate } = this.#parts.access;
    const mark = messageRate.take(this.#mark, nowMs);
    if (mark !== undefined) {
      this.#mark = mark;
      return true;
    }
    if (this.#closed()) return false;
    this.#parts.access.overRate();
    const { perSecond, burst } = messageRate;
    const message = `more than ${perSecond} messages a second, and ${burst} at once; send fewer`;
    this.#refuse(new TailraceError('rate_limited', message), closeCodes.rateExceeded);
    return false;
  }

  /** Of its rate, at monotonic `nowMs`: messages that count against what it may send at once. */
  spent(nowMs: number): number {
    const { messageRate } = this.#parts.access;
    return messageRate.burst - messageRate.left(this.#mark, nowMs);
  }

  /** A message as it came: text on a JSON connection, bytes on a Protobuf one. */
  onMessage(data: string | Uint8Array): void {
    if (this.state === 'closed') return;
    let message: ClientMessage;
    try {
      message = this.#read(data);
    } catch (thrown) {
      if (!isTailraceError(thrown)) throw thrown;
      this.#parts.counts.messages.invalid.add();
      this.#refuse(thrown, thrown.code === 'unauthorized' ? closeCodes.unauthorized : closeCodes.protocolError);
      return;
    }
    this.#parts.counts.messages[kindOf(message)].add();
    // A client that sends much waits with what its messages cause, behind those that do not.
    this.#work.measure(() => this.#take(message));
  }

  /** A message of so many bytes, which is more than is taken: nobody looked at it. */
  onTooLarge(bytes: number): void {
    const { messageBytesMax, counts } = this.#parts;
    counts.messages.invalid.add();
    const error = new TailraceError('too_large', `the message has ${bytes} bytes; right is at most ${messageBytesMax}`);
    this.#refuse(error, closeCodes.messageTooLarge);
  }

  /** A subscription asked for by the URL of the connection. Waits as a message does until the token is verified. */
  onWish(wish: { id: string; channel: string }): void {
    if (this.state !== 'closed') this.#take({ subscribe: wish });
  }

  /** Tells the client that the server goes and when it will be let go. Not before its welcome, the first it hears. */
  drain(afterMs: number): void {
    if (this.#claims !== undefined) this.send({ draining: { afterMs } });
  }

  /** Tells the client that its token holds for so long yet. */
  expiring(inMs: number): void {
    this.send({ expiring: { inMs } });
  }

  /** Its token was revoked. */
  revoke(): void {
    this.#refuse(new TailraceError('unauthorized', 'the token was revoked; get a new one'), closeCodes.unauthorized);
  }

  /** A message to all, already in this session's encoding. Not before its welcome, the first it hears. */
  tell(frame: string | Uint8Array): void {
    if (this.#claims !== undefined && this.state !== 'closed') this.#socket.send(frame);
  }

  /** What it watches here, and the word that it would better be elsewhere: see `Resident`. */
  watched(): ReturnType<Subscriptions['watched']> {
    return this.#subscriptions.watched();
  }

  moved(channel: string, url: string): boolean {
    return this.state === 'open' && this.#subscriptions.moved(channel, url);
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

  /** An error that nobody expected is the end of this client, and of nothing else. Logged once. */
  fail(thrown: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#parts.logger.error({ session: this.id, error: thrown }, 'a client cannot be served; it is let go');
    this.end(faultClose);
  }

  /** The socket has gone, or is going: nothing of the session stays. Idempotent. */
  onClose(): void {
    this.state = 'closed';
    this.#waiting = [];
    this.#subscriptions.close();
    this.#share.leave();
    this.#work.close();
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
    else if ('unsubscribe' in message) {
      this.#subscriptions.unsubscribe(message.unsubscribe.id);
      this.#share.count(this.#subscriptions.size);
    } else if ('pause' in message) this.#subscriptions.pause(message.pause.id);
    else if ('resume' in message) this.#subscriptions.resume(message.resume.id, message.resume.speed);
    else if ('ping' in message) this.send({ pong: { t: message.ping.t, time: this.#parts.now() } });
  }

  #subscribe(wish: Subscribe): void {
    const fault = this.#share.faultOfSubscribing();
    if (fault === undefined) this.#subscriptions.subscribe(wish);
    else this.error(fault, wish.id);
    this.#share.count(this.#subscriptions.size);
  }

  /** At most what an orderly client sends without waiting for its welcome. */
  #wait(message: ClientMessage): void {
    if (this.#waiting.length < this.#parts.subscriptionsMax) this.#waiting.push(message);
    else {
      const error = new TailraceError('rate_limited', 'too many messages before the token was verified');
      this.#refuse(error, closeCodes.rateExceeded);
    }
  }

  /** `id`: of the subscription it is about; without one, about the connection. */
  error(error: TailraceError, id?: string): void {
    const { code, message, retryable } = error;
    // A subscription may have ended with it.
    this.#share.count(this.#subscriptions.size);
    this.#parts.counts.errors[code].add();
    // Whoever asked is told to look into the log.
    if (code === 'internal')
      this.#parts.logger.error({ session: this.id, error }, 'a subscription could not be served');
    this.send({ error: { ...(id === undefined ? {} : { id }), code, message, retryable } });
  }

  /** An error after which the connection cannot go on. */
  #refuse(error: TailraceError, close: CloseCode): void {
    if (this.#closed()) return;
    this.error(error);
    this.end(close);
  }

  send(message: ServerMessage): void {
    if (this.state === 'closed') return;
    this.#socket.send(this.encoding === 'json' ? serverMessageJson(message) : serverMessageBytes(message));
  }

  /** A method, because TypeScript believes that a field keeps its value over calls that change it. */
  #closed(): boolean {
    return this.state === 'closed';
  }
}

/** A message is its kind and what is under it. */
function kindOf(message: ClientMessage): (typeof clientMessageKinds)[number] {
  for (const kind in message) return kind as (typeof clientMessageKinds)[number];
  throw new TailraceError('internal', 'a message without a kind was taken for one');
}
