import type { Moved, ServerMessage } from '@tailrace/protocol/server-message-json';
import type { Skipped } from '@tailrace/protocol/skipped';
import { endpointUrl } from './endpoint.ts';
import type { Link, LinkListener } from './link.ts';
import { MovePolicy } from './move-policy.ts';
import type { Loss } from './state.ts';
import type { BoundedStreamOptions } from './stream-options.ts';
import type { SubscriptionRecord } from './subscription-record.ts';

/** The stream, as a move needs it. */
interface Mover {
  open(url: string | (() => Promise<string>), listener: LinkListener): Link;
  /** Returns the next of the stream's own URLs. */
  anotherUrl(): string | (() => Promise<string>);
  isLive(): boolean;
  /** Returns the serving link. */
  current(): Link | undefined;
  /** Receives a message of a serving link. */
  onMessage(link: Link, message: ServerMessage, unreadable: readonly Skipped[]): void;
  /** Called when a serving link is lost. */
  lost(link: Link, loss: Loss): void;
  /** Called when the link becomes the serving one. */
  moved(link: Link): void;
}

/** Timeout of a move, in multiples of `deadlineMs`. */
const deadlinesMax = 3;

/** Expected duration of a move, ms. None starts in this time before a draining server closes. */
const moveMs = 1000;
/** Minimum interval between attempts to leave a draining server, ms. */
const retryMsMin = 100;

/**
 * Make before break: a second connection is opened to the target, and every subscription subscribes there from its
 * position. When each has its reply without a gap, the first connection is closed. Until then both deliver reports, in
 * order and without gaps, so dropping those that are not newer delivers each report once. On any error the stream stays
 * on its first connection.
 *
 * States: `idle` → (timer) → `opening` (the second link exists) → `idle`.
 */
export class Move {
  readonly #options: BoundedStreamOptions;
  readonly #subscriptions: ReadonlyMap<string, SubscriptionRecord>;
  readonly #mover: Mover;
  readonly #policy: MovePolicy;
  /** The second connection, while it exists. `home`: its URL, where it is from a `moved`. */
  #second: { readonly link: Link; readonly home: string | undefined } | undefined;
  /** While idle: starts a move. While opening: its timeout. */
  #timer: { cancel(): void } | undefined;
  /** While the server drains: the last monotonic time at which a move may start, ms. */
  #leaveByMs: number | undefined;
  #isClosed = false;

  constructor(options: BoundedStreamOptions, subscriptions: ReadonlyMap<string, SubscriptionRecord>, mover: Mover) {
    this.#options = options;
    this.#subscriptions = subscriptions;
    this.#mover = mover;
    this.#policy = new MovePolicy(options.clock, options.random);
  }

  /** Handles `moved`: another node owns the channel's device. */
  onMoved({ channel, url }: Moved): void {
    let home: string;
    try {
      home = endpointUrl(url, '/v1/stream');
    } catch {
      // An invalid URL: the stream stays.
      return;
    }
    for (const record of this.#subscriptions.values()) if (record.channel === channel) record.home = home;
    this.consider();
  }

  /** Handles `draining`: moves to any other node before the server closes, at a random time, since all clients move. */
  onDraining(afterMs: number): void {
    if (!this.#options.follow) return;
    this.#leaveByMs = this.#options.clock.monotonic() + afterMs - moveMs;
    this.#leave(0, Number.POSITIVE_INFINITY);
  }

  /** Moves before the server closes. Retries soon: a load balancer may still route to the draining node. */
  #leave(waitMsMin: number, waitMsMax: number): void {
    const { clock, random } = this.#options;
    if (this.#isClosed || this.#leaveByMs === undefined || this.#second !== undefined) return;
    const leftMs = this.#leaveByMs - clock.monotonic();
    if (leftMs < 0) return;
    this.#timer?.cancel();
    const waitMs = Math.max(waitMsMin, random() * Math.min(waitMsMax, leftMs));
    this.#timer = clock.after(waitMs, () => {
      if (this.#canMove()) this.#start(this.#mover.anotherUrl(), undefined);
      this.#leave(retryMsMin, moveMs);
    });
  }

  /** Moves to the common home of all subscriptions, where that is due and possible. */
  consider(): void {
    if (!this.#options.follow || this.#leaveByMs !== undefined || !this.#canMove()) return;
    const home = this.#policy.target(this.#subscriptions.values(), this.#mover.current()?.url);
    if (home === undefined) return;
    const { waitMs } = this.#policy;
    this.#timer?.cancel();
    if (waitMs === 0) this.#start(home, home);
    else this.#timer = this.#options.clock.after(waitMs, () => this.consider());
  }

  /** Aborts a move, because the subscriptions change or a connection was lost. */
  abandon(): void {
    this.#timer?.cancel();
    this.#second?.link.leave('the client stays where it is');
    this.#second = undefined;
    this.#leave(retryMsMin, moveMs);
  }

  close(): void {
    this.#isClosed = true;
    this.abandon();
  }

  /** The first connection was lost: returns the second one, where it has its `welcome`. */
  takeOver(): Link | undefined {
    const link = this.#second?.link;
    this.#leaveByMs = undefined;
    if (link?.node === undefined) this.abandon();
    else this.#finish();
    return link?.node === undefined ? undefined : link;
  }

  #canMove(): boolean {
    return !this.#isClosed && this.#second === undefined && this.#mover.isLive();
  }

  #start(url: string | (() => Promise<string>), home: string | undefined): void {
    for (const record of this.#subscriptions.values()) if (!record.isRefusedForGood && !record.isSettled) return;
    this.#timer?.cancel();
    this.#policy.start();
    const link: Link = this.#mover.open(url, {
      onWelcome: () => {
        for (const record of this.#subscriptions.values()) link.subscribe(record);
        this.#moveIfSubscribed(link);
      },
      onMessage: (message, unreadable) => {
        if (this.#second?.link === link) this.#onMessage(link, message, unreadable);
        else this.#mover.onMessage(link, message, unreadable);
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

  /** Handles messages of the second connection, while the first serves. */
  #onMessage(link: Link, message: ServerMessage, unreadable: readonly Skipped[]): void {
    if ('subscribed' in message) {
      const { id, view, epoch, recovered } = message.subscribed;
      const record = this.#subscriptions.get(id);
      if (record === undefined) return;
      // The second connection would have a gap, the first one has none.
      if (recovered === false || !record.delivered.knows(epoch)) this.#fail();
      else {
        link.subscribed(record, view);
        this.#moveIfSubscribed(link);
      }
    } else if ('error' in message || 'interrupted' in message || 'draining' in message) this.#fail();
    else if (!('moved' in message)) this.#mover.onMessage(link, message, unreadable);
  }

  #moveIfSubscribed(link: Link): void {
    for (const record of this.#subscriptions.values()) {
      if (!record.isRefusedForGood && !record.isStopped && !link.serves(record)) return;
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
      // The second server receives all partitions: otherwise it would have sent `interrupted`, which aborts a move.
      if (link?.serves(record)) record.restored();
    }
  }

  #fail(): void {
    if (this.#second?.home !== undefined) this.#policy.avoid(this.#second.home);
    this.abandon();
  }
}
