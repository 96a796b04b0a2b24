import { backoffMs, mayReconnect, type ServerMessage } from '../generated/protocol.js';
import { type Codec, codecs } from './codec.ts';
import { Link, type LinkListener } from './link.ts';
import { measures } from './measures.ts';
import type { Channel } from './plant.ts';
import type { ServerClock } from './server-clock.ts';
import type { LogReport } from './socket.ts';
import { Tally } from './tally.ts';

/** Between two moves at least, and how long until one is tried again, ms. */
const moveGapMs = 10_000;
const moveRetryMs = 250;
/** Before a draining server closes, ms: what a move takes. */
const moveMs = 1000;

export interface Place {
  readonly targets: readonly string[];
  readonly encoding: 'proto' | 'json';
  /** `auth` with the token, made once: it is the longest thing that a client says. */
  readonly auth: string | ArrayBuffer;
  readonly pingMs: number;
  readonly follow: boolean;
  /** One frame in so many is timed. */
  readonly latencySample: number;
}

/**
 * One client with one subscription, which it keeps over all its connections as the SDK does: it comes back with its position after exponential backoff with
 * full jitter, and moves to another node where it is asked to (`moved`) or where its node stops (`draining`), the second connection before the first is left.
 */
export class Subscriber {
  readonly tally: Tally;
  readonly #place: Place;
  readonly #channel: Channel;
  readonly #codec: Codec;
  readonly #listener: LinkListener;
  #state: 'new' | 'on' | 'over' = 'new';
  #link: Link | undefined;
  /** Under way to another node. */
  #second: Link | undefined;
  #next: number;
  #attempt = 0;
  #lostAtMs = 0;
  #leaveByMs = 0;
  #movedAtMs = 0;
  #frames = 0;

  constructor(number: number, channel: Channel, place: Place, clock: ServerClock) {
    this.#place = place;
    this.#channel = channel;
    this.#codec = codecs[place.encoding];
    this.#next = number;
    this.#frames = number;
    this.tally = new Tally(`client ${number} (${channel.pattern})`, channel.devices, () => clock.now());
    this.#listener = {
      onFrame: (link, frame, logReport) => this.#frame(link, frame, logReport),
      onPong: (sentMs, serverMs) => clock.add(sentMs, Date.now(), serverMs),
      onLost: (link, code, reason) => this.#lost(link, code, reason),
    };
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'on';
    this.#link = this.#open(this.#target());
  }

  /** Cuts the connection as a bad network does: what is on its way is lost. */
  cut(): void {
    if (this.#state !== 'on' || this.#link === undefined) return;
    this.#link.leave();
    this.#second?.leave();
    this.#second = undefined;
    this.#comeBack();
  }

  /** To be called some times a second. */
  tick(nowMs: number): void {
    this.#link?.tick(nowMs);
    this.#second?.tick(nowMs);
  }

  /** For good. */
  end(): void {
    this.#state = 'over';
    this.#link?.leave();
    this.#second?.leave();
  }

  #target(): string {
    const { targets } = this.#place;
    return targets[this.#next++ % targets.length]!;
  }

  #open(url: string): Link {
    const after = this.tally.token;
    const subscribe = { id: 'a', channel: this.#channel.pattern, ...(after === undefined ? {} : { after }) };
    const first = [this.#place.auth, this.#codec.encode({ subscribe })];
    return new Link(url, this.#codec, first, this.#place.pingMs, this.#listener);
  }

  #frame(link: Link, frame: string | ArrayBuffer, logReport: LogReport): void {
    const word = this.#codec.decode(frame, this.#channel, this.tally);
    if (word !== undefined) {
      this.#word(link, word);
      return;
    }
    if (++this.#frames % this.#place.latencySample !== 0 || this.tally.counts.reports === 0) return;
    measures.latency.add(this.tally.lastLatencyMs);
    measures.ownLag.add(Math.max(0, Date.now() - logReport.timestamp));
  }

  #word(link: Link, word: ServerMessage): void {
    if ('pong' in word) link.pong(word.pong);
    else if ('subscribed' in word) this.#subscribed(link, word.subscribed);
    else if ('error' in word) this.#refused(link, word.error);
    else if ('draining' in word) this.#draining(link, word.draining.afterMs);
    else if ('moved' in word && link === this.#link) this.#moved(word.moved.url);
  }

  #subscribed(
    link: Link,
    { position, recovered, missing = [] }: Extract<ServerMessage, { subscribed: unknown }>['subscribed'],
  ): void {
    const nowMs = Date.now();
    if (link === this.#second) {
      // There would be a hole that the first connection does not have.
      if (recovered === false) {
        this.#dropSecond();
        return;
      }
      this.#link?.leave();
      this.#link = link;
      this.#second = undefined;
      this.#leaveByMs = 0;
      this.#movedAtMs = nowMs;
      measures.moves.add(1);
    } else if (this.#lostAtMs === 0) measures.connect.add(nowMs - link.openedMs);
    else measures.reconnect.add(nowMs - this.#lostAtMs);
    this.#lostAtMs = 0;
    this.#attempt = 0;
    link.serve();
    this.tally.addMissing(missing);
    this.tally.start(position);
  }

  #refused(link: Link, { code, message, retryable }: Extract<ServerMessage, { error: unknown }>['error']): void {
    if (link === this.#second) this.#dropSecond();
    else if (retryable) {
      link.leave();
      this.#comeBack();
    } else this.#giveUp(`${code}: ${message}`);
  }

  #lost(link: Link, code: number, reason: string): void {
    if (this.#state !== 'on') return;
    if (link === this.#second) {
      this.#dropSecond();
      return;
    }
    if (!link.isServing) measures.refusals.add(1);
    else measures.losses.add(1, { code: String(code) });
    if (!mayReconnect(code)) this.#giveUp(`the server closed with ${code}: ${reason}`);
    else if (this.#second !== undefined) {
      // It was on its way to another node: that one is to answer now.
      this.#lostAtMs = Date.now();
      this.#link = this.#second;
      this.#second = undefined;
    } else this.#comeBack();
  }

  #comeBack(): void {
    if (this.#lostAtMs === 0) this.#lostAtMs = Date.now();
    this.#link = undefined;
    this.#leaveByMs = 0;
    setTimeout(
      () => {
        if (this.#state === 'on') this.#link = this.#open(this.#target());
      },
      backoffMs(this.#attempt++, Math.random),
    );
  }

  #giveUp(why: string): void {
    this.tally.noteError(`gave up: ${why}`);
    measures.refusals.add(1);
    this.end();
  }

  #moved(url: string): void {
    const { follow } = this.#place;
    if (!follow || url === this.#link?.url || Date.now() - this.#movedAtMs < moveGapMs) return;
    setTimeout(() => this.#openSecond(url), Math.random() * moveMs);
  }

  /** At a moment by chance, because all clients of the node were told. */
  #draining(link: Link, afterMs: number): void {
    if (link === this.#second) this.#dropSecond();
    if (link !== this.#link || !this.#place.follow) return;
    this.#leaveByMs = Date.now() + afterMs - moveMs;
    setTimeout(() => this.#openSecond(this.#target()), Math.random() * Math.max(0, afterMs - moveMs));
  }

  #openSecond(url: string): void {
    if (this.#state !== 'on' || this.#second !== undefined || this.#link?.isServing !== true) return;
    const isHere = url === this.#link.url && this.#place.targets.length > 1;
    this.#second = this.#open(isHere ? this.#target() : url);
  }

  #dropSecond(): void {
    this.#second?.leave();
    this.#second = undefined;
    if (Date.now() >= this.#leaveByMs) return;
    setTimeout(() => this.#openSecond(this.#target()), moveRetryMs * (1 + Math.random()));
  }
}
