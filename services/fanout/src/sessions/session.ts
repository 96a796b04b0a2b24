import type { Logger } from '@tailrace/platform/logger';
import type { RateLimit } from '@tailrace/platform/rate-limit';
import type { Claims } from '@tailrace/platform/token';
import { identityOf } from '@tailrace/platform/token-identity';
import { assertTransition, type Transitions } from '@tailrace/platform/transition';
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
import { UserShare } from '../access/user-share.ts';
import type { Users } from '../access/users.ts';
import type { WorkQueue, WorkScheduler } from '../catch-up/work-scheduler.ts';
import type { Encoding } from '../views/view-options.ts';
import type { ClientControl, ControlClient, ControlRequests } from './control-requests.ts';
import type { Expiring } from './expiries.ts';
import type { SessionCounts } from './session-counts.ts';
import type { Socket } from './socket.ts';
import { Subscriptions, type SubscriptionsOptions, type SubscriptionsOwner } from './subscriptions.ts';

/** The limits that all sessions of a node share. */
export interface SessionAccess {
  /** Limits the messages, pings and pongs of one connection. */
  readonly messageRate: RateLimit;
  readonly users: Users;
  /**
   * Watches the token of a session: warns the client before it expires, and disconnects it then. Called for each token.
   */
  watch(session: Expiring): void;
  /** Counts a session that exceeded `messageRate`. */
  overRate(): void;
}

/** What all sessions of a node share. */
export interface SessionOptions extends SubscriptionsOptions {
  readonly work: Pick<WorkScheduler, 'queue'>;
  readonly verify: (token: string) => Promise<Claims>;
  readonly node: string;
  readonly version: string;
  readonly heartbeatMs: number;
  readonly messageBytesMax: number;
  readonly logger: Logger;
  readonly access: SessionAccess;
  readonly counts: SessionCounts;
  /** The requests of clients to control. */
  readonly control: Pick<ControlRequests, 'of'>;
}

/** RFC 6455, section 7.4.1: the server met an unexpected condition. */
export const internalErrorClose: CloseCode = { code: 1011, reason: 'internal error' };

export type SessionState = 'greeting' | 'checking' | 'open' | 'closed';

const transitions: Transitions<SessionState> = {
  greeting: ['checking', 'closed'],
  checking: ['open', 'closed'],
  open: ['checking', 'closed'],
  closed: [],
};

/**
 * One client's connection.
 * - `greeting`: no valid token yet; every message but `auth` is refused. `Sessions` closes it after `authDeadlineMs`.
 * - `checking`: a token is being verified; messages are queued.
 * - `open`: serves messages.
 * - `closed`: sends and handles nothing any more.
 */
export class Session implements SubscriptionsOwner, ControlClient {
  #state: SessionState = 'greeting';
  readonly id: string;
  readonly encoding: Encoding;
  /** Of the client. */
  readonly address: string;
  /** The tick of `Sessions` at which the client was received from last. */
  lastReceivedTick = 0;
  /** Its heartbeat group in `Sessions`, by the second in which it connected. */
  group = 0;
  /** When `Expiries` checks its token next, epoch ms. */
  dueMs = 0;
  readonly #socket: Socket;
  readonly #options: SessionOptions;
  readonly #subscriptions: Subscriptions;
  readonly #work: WorkQueue;
  #grant: Grant = noGrant;
  /** The claims of the current token; undefined before the first. */
  #claims: Claims | undefined;
  readonly #share: UserShare;
  /** The state of `messageRate` for this client. */
  #rateLimitState = 0;
  #hasFailed = false;
  /** Created with the first request to control. */
  #control: ClientControl | undefined;
  #queued: ClientMessage[] = [];

  constructor(id: string, encoding: Encoding, socket: Socket, options: SessionOptions, address = '') {
    this.id = id;
    this.encoding = encoding;
    this.address = address;
    this.#socket = socket;
    this.#options = options;
    this.#share = new UserShare(options.access.users);
    this.#work = options.work.queue();
    // `this`, not an object of closures: there are many thousand sessions.
    this.#subscriptions = new Subscriptions(encoding, socket, this.#work, this.#share, options, this);
  }

  /** Changed by `authenticate` and `onClose`. */
  get state(): SessionState {
    return this.#state;
  }

  #enter(state: SessionState): void {
    assertTransition(`session ${this.id}`, transitions, this.#state, state);
    this.#state = state;
  }

  /** When its token expires, epoch ms; infinite for never. */
  get expiresAt(): number {
    return this.#grant.expiresAt;
  }

  get subscriptions(): number {
    return this.#subscriptions.size;
  }

  /** The number of views with options. */
  get views(): number {
    return this.#subscriptions.views.shaped;
  }

  /** Verifies the token of the handshake, or of `auth`. Closes with 4401 if it is not valid. Never rejects. */
  async authenticate(token: string): Promise<void> {
    if (this.#isClosed()) return;
    try {
      this.#enter('checking');
      const claims = await this.#options.verify(token);
      // The connection may have closed while the token was verified.
      if (!this.#isClosed()) this.#open(claims);
    } catch (thrown) {
      if (isTailraceError(thrown) && thrown.code === 'unauthorized') this.#refuse(thrown, closeCodes.unauthorized);
      // The keys are unavailable: this is no error of the client or of this node.
      else if (isTailraceError(thrown) && thrown.code === 'unavailable') this.#refuse(thrown, closeCodes.tryAgain);
      else this.fail(thrown);
    }
  }

  /** The claims of its token; undefined before the first. */
  get claims(): Claims | undefined {
    return this.#claims;
  }

  #open(claims: Claims): void {
    const error = this.#share.join(claims);
    if (error !== undefined) {
      // Retryable: dead connections of the user are closed by their heartbeat.
      this.#refuse(error, closeCodes.tryAgain);
      return;
    }
    this.#enter('open');
    this.#claims = claims;
    this.#work.assign(identityOf(claims));
    this.#grant = grantFrom(claims);
    this.#subscriptions.cover(this.#grant);
    this.#share.count(this.#subscriptions.size);
    const { node, version, heartbeatMs, messageBytesMax, subscriptionsMax } = this.#options;
    this.send({
      welcome: { session: this.id, node, version, heartbeatMs, limits: { messageBytesMax, subscriptionsMax } },
    });
    this.#options.access.watch(this);
    for (const message of this.#queued.splice(0)) if (!this.#isClosed()) this.#handle(message);
  }

  /**
   * Counts a message, ping or pong of the client at monotonic `nowMs`. Returns false beyond `messageRate`, and closes
   * with 4429.
   */
  spend(nowMs: number): boolean {
    const { messageRate } = this.#options.access;
    const state = messageRate.take(this.#rateLimitState, nowMs);
    if (state !== undefined) {
      this.#rateLimitState = state;
      return true;
    }
    if (this.#isClosed()) return false;
    this.#options.access.overRate();
    const { perSecond, burst } = messageRate;
    const message = `expected at most ${perSecond} messages a second, and ${burst} at once`;
    this.#refuse(new TailraceError('rate_limited', message), closeCodes.rateExceeded);
    return false;
  }

  /** Returns the messages that count against the burst at monotonic `nowMs`. */
  spent(nowMs: number): number {
    const { messageRate } = this.#options.access;
    return messageRate.burst - messageRate.left(this.#rateLimitState, nowMs);
  }

  /** Handles a message as received: text on a JSON connection, bytes on a Protobuf one. */
  onMessage(data: string | Uint8Array): void {
    if (this.#state === 'closed') return;
    let message: ClientMessage;
    try {
      message = this.#decode(data);
    } catch (thrown) {
      if (!isTailraceError(thrown)) throw thrown;
      this.#options.counts.messages.invalid.add();
      this.#refuse(thrown, thrown.code === 'unauthorized' ? closeCodes.unauthorized : closeCodes.protocolError);
      return;
    }
    this.#options.counts.messages[kindOf(message)].add();
    // The work is charged to the client: one that sends many messages is served after those that send few.
    this.#work.measure(() => this.#handle(message));
  }

  /** Refuses a message above `messageBytesMax`, which was not decoded. */
  onTooLarge(bytes: number): void {
    const { messageBytesMax, counts } = this.#options;
    counts.messages.invalid.add();
    const error = new TailraceError('too_large', `message: expected at most ${messageBytesMax} bytes, got ${bytes}`);
    this.#refuse(error, closeCodes.messageTooLarge);
  }

  /** Handles a subscription in the URL of the connection. Queued like a message until the token is verified. */
  onSubscribeRequest(request: { id: string; channel: string }): void {
    if (this.#state === 'greeting') {
      const message = '?channel= requires a token: expected it in the header Authorization or in ?token=, got none';
      this.#refuse(new TailraceError('unauthorized', message), closeCodes.unauthorized);
    } else if (this.#state !== 'closed') this.#handle({ subscribe: request });
  }

  /** Notifies the client that the server stops, and when it disconnects it. Not before `welcome`, its first message. */
  drain(afterMs: number): void {
    if (this.#claims !== undefined) this.send({ draining: { afterMs } });
  }

  /** Warns the client that its token expires in `inMs`. */
  expiring(inMs: number): void {
    this.send({ expiring: { inMs } });
  }

  /** Disconnects the client: its token was revoked. */
  revoke(): void {
    this.#refuse(new TailraceError('unauthorized', 'the token was revoked; get a new one'), closeCodes.unauthorized);
  }

  /** Sends a message to all clients, encoded for this one. Not before `welcome`, its first message. */
  sendFrame(frame: string | Uint8Array): void {
    if (this.#claims !== undefined && this.#state !== 'closed') this.#socket.send(frame);
  }

  /** See `Resident`. */
  watched(): ReturnType<Subscriptions['watched']> {
    return this.#subscriptions.watched();
  }

  moved(channel: string, url: string): boolean {
    return this.#state === 'open' && this.#subscriptions.moved(channel, url);
  }

  ping(): void {
    this.#socket.ping();
  }

  /** Closes the connection with a close code. */
  end(close: CloseCode): void {
    if (this.#state === 'closed') return;
    this.onClose();
    this.#socket.end(close.code, close.reason);
  }

  /** Disconnects this client, and no other, after an unexpected error. Logged once. */
  fail(thrown: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#options.logger.error({ session: this.id, error: thrown }, 'a client could not be served; it is disconnected');
    this.end(internalErrorClose);
  }

  /** Releases the session: the socket has closed, or is closing. Idempotent. */
  onClose(): void {
    if (!this.#isClosed()) this.#enter('closed');
    this.#queued = [];
    this.#subscriptions.close();
    this.#control?.close();
    this.#share.leave();
    this.#work.close();
  }

  #decode(data: string | Uint8Array): ClientMessage {
    if (typeof data === 'string') {
      if (this.encoding === 'json') return clientMessageFromJson(data);
      throw new TailraceError('invalid_message', 'expected binary frames on a tailrace.v1.proto connection, got text');
    }
    if (this.encoding === 'proto') return clientMessageFromBytes(data);
    throw new TailraceError('invalid_message', 'expected text frames on a tailrace.v1.json connection, got binary');
  }

  #handle(message: ClientMessage): void {
    if (this.#state === 'checking') {
      this.#enqueue(message);
    } else if ('auth' in message) {
      // While open: a fresh token replaces the old one.
      void this.authenticate(message.auth.token);
    } else if (this.#state === 'greeting') {
      const error = new TailraceError(
        'unauthorized',
        `expected {"auth":{"token":"…"}} as the first message, got ${shown(Object.keys(message)[0])}`,
      );
      this.#refuse(error, closeCodes.unauthorized);
    } else if ('subscribe' in message) this.#subscribe(message.subscribe);
    else if ('unsubscribe' in message) {
      this.#subscriptions.unsubscribe(message.unsubscribe.id);
      this.#share.count(this.#subscriptions.size);
    } else if ('pause' in message) this.#subscriptions.pause(message.pause.id);
    else if ('resume' in message) this.#subscriptions.resume(message.resume.id, message.resume.speed);
    else if ('ping' in message) this.send({ pong: { t: message.ping.t, time: this.#options.now() } });
    else {
      this.#control ??= this.#options.control.of(this);
      this.#control.handle(message);
    }
  }

  #subscribe(request: Subscribe): void {
    const error = this.#share.subscribeError();
    if (error === undefined) this.#subscriptions.subscribe(request);
    else this.error(error, request.id);
    this.#share.count(this.#subscriptions.size);
  }

  /** Queues at most what a regular client sends before its `welcome`. */
  #enqueue(message: ClientMessage): void {
    if (this.#queued.length < this.#options.subscriptionsMax) this.#queued.push(message);
    else {
      const error = new TailraceError(
        'rate_limited',
        `expected at most ${this.#options.subscriptionsMax} messages before the token is verified`,
      );
      this.#refuse(error, closeCodes.rateExceeded);
    }
  }

  /** Sends an `error`. `id`: of the subscription; undefined for an error of the connection. */
  error(error: TailraceError, id?: string): void {
    const { code, message, retryable } = error;
    // The error may have removed a subscription.
    this.#share.count(this.#subscriptions.size);
    this.#options.counts.errors[code].add();
    // The client's error refers to the log.
    if (code === 'internal')
      this.#options.logger.error({ session: this.id, error }, 'a subscription could not be served');
    this.send({ error: { ...(id === undefined ? {} : { id }), code, message, retryable } });
  }

  /** Sends an `error` about a request to control. */
  requestError(error: TailraceError, request: string): void {
    const { code, message, retryable } = error;
    if (code === 'internal') this.#options.logger.error({ session: this.id, error }, 'a request could not be served');
    this.#options.counts.errors[code].add();
    this.send({ error: { code, message, retryable, request } });
  }

  /** Sends an error, and closes the connection. */
  #refuse(error: TailraceError, close: CloseCode): void {
    if (this.#isClosed()) return;
    this.error(error);
    this.end(close);
  }

  send(message: ServerMessage): void {
    if (this.#state === 'closed') return;
    this.#socket.send(this.encoding === 'json' ? serverMessageJson(message) : serverMessageBytes(message));
  }

  /** A method, because TypeScript does not see that calls change the field. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }
}

/** Returns the kind of a message, which is its only key. */
function kindOf(message: ClientMessage): (typeof clientMessageKinds)[number] {
  for (const kind in message) return kind as (typeof clientMessageKinds)[number];
  throw new TailraceError('internal', 'expected a message with a kind, got an empty one');
}
