import { backoffMs, mayReconnect, type ServerMessage } from '../generated/protocol.js';
import { type Codec, codecs } from './codec.ts';
import { Connection, type ConnectionListener } from './connection.ts';
import { measures } from './measures.ts';
import type { Channel } from './plant.ts';
import type { ServerClock } from './server-clock.ts';
import type { ReceivedFrame } from './socket.ts';
import { Tally } from './tally.ts';

/** Between two moves at least, and until a failed one is tried again, ms. */
const moveGapMs = 10_000;
const moveRetryMs = 250;
/** Before a draining server closes, ms: the time for a move. */
const moveMs = 1000;

export interface SubscriberOptions {
  readonly targets: readonly string[];
  readonly encoding: 'proto' | 'json';
  /** `auth` with the token, encoded once: it is the largest message of a client. */
  readonly auth: string | ArrayBuffer;
  readonly pingMs: number;
  readonly follow: boolean;
  /** One frame in so many is timed. */
  readonly latencySample: number;
}

/**
 * One client with one subscription, which it keeps over all its connections as the SDK does. It reconnects with its
 * position after exponential backoff with full jitter. It moves to another node after `moved` and `draining`, and
 * closes the first connection only when the second one is subscribed.
 */
export class Subscriber {
  readonly tally: Tally;
  readonly #options: SubscriberOptions;
  readonly #channel: Channel;
  readonly #codec: Codec;
  readonly #listener: ConnectionListener;
  #state: 'new' | 'started' | 'stopped' = 'new';
  #connection: Connection | undefined;
  /** To another node, not yet subscribed. */
  #second: Connection | undefined;
  #nextTarget: number;
  #attempt = 0;
  #lostAtMs = 0;
  #moveByMs = 0;
  #movedAtMs = 0;
  #frames = 0;

  constructor(number: number, channel: Channel, options: SubscriberOptions, clock: ServerClock) {
    this.#options = options;
    this.#channel = channel;
    this.#codec = codecs[options.encoding];
    this.#nextTarget = number;
    this.#frames = number;
    this.tally = new Tally(`client ${number} (${channel.pattern})`, channel.devices, () => clock.now());
    this.#listener = {
      onFrame: (connection, frame, received) => this.#onFrame(connection, frame, received),
      onPong: (sentMs, serverMs) => clock.add(sentMs, Date.now(), serverMs),
      onLost: (connection, code, reason) => this.#onLost(connection, code, reason),
    };
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'started';
    this.#connection = this.#open(this.#target());
  }

  /** Disconnects as a bad network does: frames in flight are lost. */
  disconnect(): void {
    if (this.#state !== 'started' || this.#connection === undefined) return;
    this.#connection.close();
    this.#second?.close();
    this.#second = undefined;
    this.#reconnect();
  }

  /** To be called several times a second. */
  tick(nowMs: number): void {
    this.#connection?.tick(nowMs);
    this.#second?.tick(nowMs);
  }

  stop(): void {
    this.#state = 'stopped';
    this.#connection?.close();
    this.#second?.close();
  }

  #target(): string {
    const { targets } = this.#options;
    return targets[this.#nextTarget++ % targets.length]!;
  }

  #open(url: string): Connection {
    const after = this.tally.token;
    const subscribe = { id: 'a', channel: this.#channel.pattern, ...(after === undefined ? {} : { after }) };
    const first = [this.#options.auth, this.#codec.encode({ subscribe })];
    return new Connection(url, this.#codec, first, this.#options.pingMs, this.#listener);
  }

  #onFrame(connection: Connection, frame: string | ArrayBuffer, received: ReceivedFrame): void {
    const message = this.#codec.decode(frame, this.#channel, this.tally);
    if (message !== undefined) {
      this.#onMessage(connection, message);
      return;
    }
    if (++this.#frames % this.#options.latencySample !== 0 || this.tally.counts.reports === 0) return;
    measures.latency.add(this.tally.lastLatencyMs);
    measures.ownLag.add(Math.max(0, Date.now() - received.timestamp));
  }

  #onMessage(connection: Connection, message: ServerMessage): void {
    if ('pong' in message) connection.pong(message.pong);
    else if ('subscribed' in message) this.#onSubscribed(connection, message.subscribed);
    else if ('error' in message) this.#onError(connection, message.error);
    else if ('draining' in message) this.#onDraining(connection, message.draining.afterMs);
    else if ('moved' in message && connection === this.#connection) this.#onMoved(message.moved.url);
  }

  #onSubscribed(
    connection: Connection,
    { position, recovered, missing = [] }: Extract<ServerMessage, { subscribed: unknown }>['subscribed'],
  ): void {
    const nowMs = Date.now();
    if (connection === this.#second) {
      // A move would lose reports that the first connection delivers.
      if (recovered === false) {
        this.#dropSecond();
        return;
      }
      this.#connection?.close();
      this.#connection = connection;
      this.#second = undefined;
      this.#moveByMs = 0;
      this.#movedAtMs = nowMs;
      measures.moves.add(1);
    } else if (this.#lostAtMs === 0) measures.connect.add(nowMs - connection.openedMs);
    else measures.reconnect.add(nowMs - this.#lostAtMs);
    this.#lostAtMs = 0;
    this.#attempt = 0;
    connection.setSubscribed();
    this.tally.addMissing(missing);
    this.tally.start(position);
  }

  #onError(
    connection: Connection,
    { code, message, retryable }: Extract<ServerMessage, { error: unknown }>['error'],
  ): void {
    if (connection === this.#second) this.#dropSecond();
    else if (retryable) {
      connection.close();
      this.#reconnect();
    } else this.#giveUp(`${code}: ${message}`);
  }

  #onLost(connection: Connection, code: number, reason: string): void {
    if (this.#state !== 'started') return;
    if (connection === this.#second) {
      this.#dropSecond();
      return;
    }
    if (!connection.isSubscribed) measures.refusals.add(1);
    else measures.losses.add(1, { code: String(code) });
    if (!mayReconnect(code)) this.#giveUp(`the server closed with ${code}: ${reason}`);
    else if (this.#second !== undefined) {
      // A move is in progress: the second connection takes its place.
      this.#lostAtMs = Date.now();
      this.#connection = this.#second;
      this.#second = undefined;
    } else this.#reconnect();
  }

  #reconnect(): void {
    if (this.#lostAtMs === 0) this.#lostAtMs = Date.now();
    this.#connection = undefined;
    this.#moveByMs = 0;
    setTimeout(
      () => {
        if (this.#state === 'started') this.#connection = this.#open(this.#target());
      },
      backoffMs(this.#attempt++, Math.random),
    );
  }

  #giveUp(why: string): void {
    this.tally.noteError(`gave up: ${why}`);
    measures.refusals.add(1);
    this.stop();
  }

  #onMoved(url: string): void {
    const { follow } = this.#options;
    if (!follow || url === this.#connection?.url || Date.now() - this.#movedAtMs < moveGapMs) return;
    setTimeout(() => this.#openSecond(url), Math.random() * moveMs);
  }

  /** Moves after a random delay, because all clients of the node were notified. */
  #onDraining(connection: Connection, afterMs: number): void {
    if (connection === this.#second) this.#dropSecond();
    if (connection !== this.#connection || !this.#options.follow) return;
    this.#moveByMs = Date.now() + afterMs - moveMs;
    setTimeout(() => this.#openSecond(this.#target()), Math.random() * Math.max(0, afterMs - moveMs));
  }

  #openSecond(url: string): void {
    if (this.#state !== 'started' || this.#second !== undefined || this.#connection?.isSubscribed !== true) return;
    const isSame = url === this.#connection.url && this.#options.targets.length > 1;
    this.#second = this.#open(isSame ? this.#target() : url);
  }

  #dropSecond(): void {
    this.#second?.close();
    this.#second = undefined;
    if (Date.now() >= this.#moveByMs) return;
    setTimeout(() => this.#openSecond(this.#target()), moveRetryMs * (1 + Math.random()));
  }
}
