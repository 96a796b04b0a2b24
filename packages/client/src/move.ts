import type { Moved, ServerMessage } from '@tailrace/protocol/server-message-json';
import type { Skipped } from '@tailrace/protocol/skipped';
import { endpointUrl } from './endpoint.ts';
import type { Link, LinkListener } from './link.ts';
import { MovePolicy } from './move-policy.ts';
import type { Loss } from './state.ts';
import type { BoundedStreamOptions } from './stream-options.ts';
import type { SubscriptionRecord } from './subscription-record.ts';

/** What a move needs of its stream. */
interface Mover {
  open(url: string | (() => Promise<string>), listener: LinkListener): Link;
  /** Of the stream's own addresses, the next one. */
  anotherUrl(): string | (() => Promise<string>);
  isLive(): boolean;
  /** The connection that serves now. */
  current(): Link | undefined;
  /** A message of a connection that serves, and the end of one. */
  take(link: Link, message: ServerMessage, unreadable: readonly Skipped[]): void;
  lost(link: Link, loss: Loss): void;
  /** From here on this connection serves. */
  moved(link: Link): void;
}

/** A move may take as many deadlines of an answer. */
const deadlinesMax = 3;

/** What a move may take: of the time that a server still has before it closes, the last of this is too late to begin one, ms. */
const moveMs = 1000;
/** Between a try to leave a server that stops and the next one, ms. */
const retryMsMin = 100;

/**
 * Make before break: a second connection is opened where the stream is to go, every subscription asks there from its position on, and only when each is
 * answered without a gap the first connection is left. Until then both bring reports; both are in order and without gaps, so that leaving out what is
 * not newer gives each report once. Whatever goes wrong, the stream stays where it is.
 *
 * One step at a time: `idle` → (timer) → `opening` (the second link is there) → `idle`.
 */
export class Move {
  readonly #options: BoundedStreamOptions;
  readonly #subscriptions: ReadonlyMap<string, SubscriptionRecord>;
  readonly #mover: Mover;
  readonly #policy: MovePolicy;
  /** Where the second connection goes, while there is one. `home`: an address of a `moved`. */
  #second: { readonly link: Link; readonly home: string | undefined } | undefined;
  /** Idle: looks again. Opening: gives up. */
  #timer: { cancel(): void } | undefined;
  /** The server is about to stop: after this moment of the clock's `monotonic` it is too late to move. */
  #leaveByMs: number | undefined;
  #ended = false;

  constructor(options: BoundedStreamOptions, subscriptions: ReadonlyMap<string, SubscriptionRecord>, mover: Mover) {
    this.#options = options;
    this.#subscriptions = subscriptions;
    this.#mover = mover;
    this.#policy = new MovePolicy(options.clock, options.random);
  }

  /** The server says where a channel lives. */
  told({ channel, url }: Moved): void {
    let home: string;
    try {
      home = endpointUrl(url, '/v1/stream');
    } catch {
      // An address that nobody can go to: the stream is served where it is.
      return;
    }
    for (const record of this.#subscriptions.values()) if (record.channel === channel) record.home = home;
    this.consider();
  }

  /** The server is about to stop: any other node is better, if one can be had before. At a moment by chance, because all its clients were told. */
  draining(afterMs: number): void {
    if (!this.#options.follow) return;
    this.#leaveByMs = this.#options.clock.monotonic() + afterMs - moveMs;
    this.#leave(0, Number.POSITIVE_INFINITY);
  }

  /** Moves before it is too late; tries again, soon, where that fails: a balancer may not know yet that the node goes. */
  #leave(waitMsMin: number, waitMsMax: number): void {
    const { clock, random } = this.#options;
    if (this.#ended || this.#leaveByMs === undefined || this.#second !== undefined) return;
    const leftMs = this.#leaveByMs - clock.monotonic();
    if (leftMs < 0) return;
    this.#timer?.cancel();
    const waitMs = Math.max(waitMsMin, random() * Math.min(waitMsMax, leftMs));
    this.#timer = clock.after(waitMs, () => {
      if (this.#canMove()) this.#begin(this.#mover.anotherUrl(), undefined);
      this.#leave(retryMsMin, moveMs);
    });
  }

  /** Goes where all subscriptions live, if that is due and possible now. */
  consider(): void {
    if (!this.#options.follow || this.#leaveByMs !== undefined || !this.#canMove()) return;
    const home = this.#policy.target(this.#subscriptions.values(), this.#mover.current()?.url);
    if (home === undefined) return;
    const { waitMs } = this.#policy;
    this.#timer?.cancel();
    if (waitMs === 0) this.#begin(home, home);
    else this.#timer = this.#options.clock.after(waitMs, () => this.consider());
  }

  /** The subscriptions change, or the connection was lost: what was planned on them does not hold any more. */
  abandon(): void {
    this.#timer?.cancel();
    this.#second?.link.leave('the client stays where it is');
    this.#second = undefined;
    this.#leave(retryMsMin, moveMs);
  }

  end(): void {
    this.#ended = true;
    this.abandon();
  }

  /** The connection was lost: the second one where it is welcome already. What it has not answered yet waits. */
  rescue(): Link | undefined {
    const link = this.#second?.link;
    this.#leaveByMs = undefined;
    if (link?.node === undefined) this.abandon();
    else this.#finish();
    return link?.node === undefined ? undefined : link;
  }

  #canMove(): boolean {
    return !this.#ended && this.#second === undefined && this.#mover.isLive();
  }

  #begin(url: string | (() => Promise<string>), home: string | undefined): void {
    for (const record of this.#subscriptions.values()) if (!record.refusedForGood && !record.isSettled) return;
    this.#timer?.cancel();
    this.#policy.begin();
    const link: Link = this.#mover.open(url, {
      onWelcome: () => {
        for (const record of this.#subscriptions.values()) link.ask(record);
        this.#arriveIfAll(link);
      },
      onMessage: (message, unreadable) => {
        if (this.#second?.link === link) this.#take(link, message, unreadable);
        else this.#mover.take(link, message, unreadable);
      },
      onLost: (loss) => {
        if (this.#second?.link === link) this.#fail();
        else this.#mover.lost(link, loss);
      },
    });
    this.#second = { link, home };
    const { clock, deadlineMs } = this.#options;
    this.#timer = clock.after(deadlinesMax * deadlineMs, () => this.#fail());
  }

  /** Of the second connection, while the first serves. */
  #take(link: Link, message: ServerMessage, unreadable: readonly Skipped[]): void {
    if ('subscribed' in message) {
      const { id, view, epoch, recovered } = message.subscribed;
      const record = this.#subscriptions.get(id);
      if (record === undefined) return;
      // There would be a gap, which the first connection does not have.
      if (recovered === false || !record.delivered.knows(epoch)) this.#fail();
      else {
        link.answered(record, view);
        this.#arriveIfAll(link);
      }
    } else if ('error' in message || 'interrupted' in message || 'draining' in message) this.#fail();
    else if (!('moved' in message)) this.#mover.take(link, message, unreadable);
  }

  #arriveIfAll(link: Link): void {
    for (const record of this.#subscriptions.values()) {
      if (!record.refusedForGood && !record.stopped && !link.serves(record)) return;
    }
    const first = this.#mover.current();
    if (this.#second?.home !== undefined && first?.url !== undefined) this.#policy.avoid(first.url);
    this.#finish();
    this.#mover.moved(link);
    first?.leave('the client has moved');
  }

  #finish(): void {
    this.#timer?.cancel();
    this.#leaveByMs = undefined;
    const link = this.#second?.link;
    this.#second = undefined;
    for (const record of this.#subscriptions.values()) {
      record.home = undefined;
      // What the first server did not hear the second one does: else it would have said so, and not been moved to.
      if (link?.serves(record)) record.restored();
    }
  }

  #fail(): void {
    if (this.#second?.home !== undefined) this.#policy.avoid(this.#second.home);
    this.abandon();
  }
}
