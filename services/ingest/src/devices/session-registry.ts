import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import type { TakeoverCounts } from './device-metrics.ts';
import type { LoggedDevice } from './device-record.ts';
import type { PresenceEvents } from './presence-events.ts';
import { type Contender, TakeoverDamping } from './takeover-damping.ts';

/** A session that claims its device. Changed by the registry alone: `claimed`, `waits` and `replaced`. */
export interface ClaimingSession extends Contender {
  /** Device path. */
  readonly device: string;
  /** Of its connection. */
  readonly address: string;
  /** When it was opened, epoch ms. */
  readonly openedMs: number;
  /** Name of its protocol. */
  readonly protocol: string;
  /** What its protocol keeps of its client beyond a connection moves with it; undefined if it keeps nothing. */
  readonly client: SessionClient | undefined;
  /** The device is this session's. Called at most once. */
  claimed(claim: Claim): void;
  /** The device is another session's for this time: two senders use its identity. */
  waits(waitMs: number): void;
  /** The device is a newer session's, or this one has waited and a newer one waits in its place. */
  replaced(by: ClaimOrigin): void;
  /** It was replaced by a session that has closed before it opened, so that the device has none. After `replaced`. */
  abandoned(): void;
  /** Another node had a session of the device with a higher number: the number of this one is now above it. */
  renumbered(number: number): void;
}

/** The client of a session whose protocol keeps something of it beyond a connection. */
export interface SessionClient {
  /** Of its tenant and ID. */
  readonly key: string;
  /** What is kept is discarded. */
  readonly isClean: boolean;
}

/** Where a session comes from, for people. */
export interface ClaimOrigin {
  readonly address: string;
  readonly node: string;
}

export interface Claim {
  /** Higher than that of each earlier session of the device, ms since 1970 or above. */
  readonly number: number;
  /** The session of this node that it has replaced. */
  readonly replaced: { readonly address: string; readonly openedMs: number } | undefined;
  /** What another node had of the device. */
  readonly handOver: HandOver | undefined;
  /** Whether the last known session of the device was on another node. */
  readonly isMoved: boolean;
}

/** What another node returns of a session that it has or had. */
export interface HandOver {
  /** Of its last session of the device; 0 if it knows none. */
  readonly number: number;
  readonly recentIds: BigUint64Array;
  /** Position of the last report of the device; -1 if unknown. */
  readonly lastSeq: number;
  /** Takeovers in quick succession, which the next node counts on. */
  readonly takeovers: number;
  /** What the protocol has kept of the client; undefined for nothing. */
  readonly clientState?: Uint8Array | undefined;
  /**
   * What the former node has when the log has settled all messages of the device; undefined if it has. Never rejects,
   * and takes a bounded time.
   */
  readonly rest?: Promise<LoggedDevice> | undefined;
}

/** The session of another node works on for this time. */
export interface TakeOverWait {
  readonly waitMs: number;
}

/** A newer session of another node. */
export interface Newcomer extends ClaimOrigin {
  /** '' for none. */
  readonly instance: string;
  /** As long as this node has requested before. */
  readonly hasWaited: boolean;
}

/** A session that another node has published. */
export interface PeerSession extends ClaimOrigin {
  readonly device: string;
  readonly number: number;
  /** It has opened now. */
  readonly isFresh: boolean;
}

/** Sessions of other nodes. Without them the registry knows those of this node alone. */
export interface SessionPeers {
  /** Returns the number of the last known session of the device on another node; 0 for none. */
  numberOf(device: string): number;
  /**
   * Requests the device from the node that has or had it. Returns false if none can be reached: `done` is not called
   * then. Calls `done` once, within two seconds, not within the call; with undefined without a reply.
   */
  takeOver(
    session: ClaimingSession,
    hasWaited: boolean,
    done: (reply: HandOver | TakeOverWait | undefined) => void,
  ): boolean;
  /** A session of this node has its device. `isFresh` false: published again, because another node has an older one. */
  opened(session: ClaimingSession, number: number, isFresh: boolean): void;
  closed(session: ClaimingSession, number: number): void;
  /** A session of this node is replaced: by another of this node, or of another one, which publishes it. */
  replaced(session: ClaimingSession, number: number): void;
  /** A session of this node has another number than before. */
  renumbered(session: ClaimingSession, former: number, number: number): void;
}

export interface SessionRegistryOptions {
  /** Name of this node, for people. */
  readonly node: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counts: TakeoverCounts;
  readonly presence: Pick<PresenceEvents, 'conflict'>;
  /** Called for a session of another node whose number is far ahead of the clock of this one. */
  readonly onClockAhead: () => void;
}

interface Registered<S> {
  readonly session: S;
  readonly number: number;
  /** When it got its device, monotonic ms. */
  readonly claimedMs: number;
}

/** A session that was replaced at the request of another node, whose session has not opened yet. */
interface Yielded<S> {
  readonly session: S;
  readonly untilMs: number;
}

/** A session that waits: while another works on, or for the reply of another node. */
interface Waiting<S> {
  readonly session: S;
  readonly timer: Timer | undefined;
}

const warningEveryMs = 60_000;
/**
 * Two sessions that open on two nodes within this time are opened at once: their order is not known, and the higher
 * number decides. After it a session that opens is the newer one, whatever the clocks of the nodes.
 */
const atOnceMs = 2_000;
/** A number that is further ahead of the clock of this node raises the numbers of its own device alone. */
const aheadMsMax = 600_000;
/** How long another node may take to open a session for which it has the device. Above all its deadlines. */
const yieldedMs = 10_000;

/**
 * The sessions of the devices of this node, at most one for each. The newest wins: the connection of a device that has
 * lost it may stay open for minutes, and must not lock out the device. `TakeoverDamping` delays the newcomer when two
 * senders fight for one device.
 *
 * An entry changes synchronously, and callbacks compare the session, so that a session that was replaced never removes
 * the one that replaced it.
 *
 * With other nodes (`peers`), a session first requests its device from the node that has or had it: `handOver` there
 * closes the older session. A node that cannot be reached is not awaited. Its session closes when it receives that this
 * one has opened (`openedElsewhere`).
 */
export class SessionRegistry<S extends ClaimingSession = ClaimingSession> {
  readonly #options: SessionRegistryOptions;
  readonly #sessions = new Map<string, Registered<S>>();
  /** By device, at most one: a newer one takes its place. */
  readonly #waiting = new Map<string, Waiting<S>>();
  /** By device. */
  readonly #yielded = new Map<string, Yielded<S>>();
  readonly #damping = new TakeoverDamping();
  /** Default: none. Set once, before the first claim. */
  peers: SessionPeers | undefined;
  readonly #warning: LimitedWarning;
  /** The highest number so far. Above the clock if several sessions open in one millisecond, or it is set back. */
  #lastNumber = 0;

  constructor(options: SessionRegistryOptions) {
    this.#options = options;
    const { logger, clock } = options;
    const sentence = 'two senders use the identity of one device; the newer one waits';
    this.#warning = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
  }

  /** Devices with a session. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Sessions that wait for their device. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** The highest number so far; sessions that open later have higher ones. */
  get lastNumber(): number {
    return this.#lastNumber;
  }

  /** Returns the number of the session of the device; 0 if it has none. */
  numberOf(device: string): number {
    return this.#sessions.get(device)?.number ?? 0;
  }

  of(device: string): S | undefined {
    return this.#sessions.get(device)?.session;
  }

  /** Calls `visit` for the sessions that have their device, the one opened last at the end. */
  forEach(visit: (session: S, number: number) => void): void {
    for (const { session, number } of this.#sessions.values()) visit(session, number);
  }

  /** Calls `claimed` of the session now or later, unless it is released or replaced before. */
  claim(session: S): void {
    const { device } = session;
    this.#stopWaiting(device)?.replaced(this.#originOf(session));
    const incumbent = this.of(device);
    const waitMs = incumbent === undefined ? 0 : this.#waitMs(incumbent, session);
    if (waitMs > 0) this.#wait(session, waitMs);
    else this.#open(session, false);
  }

  /** Called when the session closes, in any state. Idempotent. Returns whether it had its device. */
  release(session: S): boolean {
    const { device } = session;
    if (this.#waiting.get(device)?.session === session) this.#stopWaiting(device);
    const known = this.#sessions.get(device);
    if (known?.session !== session) return false;
    this.#sessions.delete(device);
    this.peers?.closed(session, known.number);
    const next = this.#waiting.get(device);
    if (next !== undefined) this.#resume(next.session);
    return true;
  }

  /**
   * Called when another node requests the device for a newer session. Replaces the session of this node, unless it
   * works on for the returned time, because two senders fight for the device.
   */
  handOver(device: string, by: Newcomer): { readonly waitMs: number; readonly takeovers: number } {
    const { clock } = this.#options;
    const known = this.#sessions.get(device);
    if (known !== undefined) {
      const waitMs = by.hasWaited ? 0 : this.#takeoverWaitMs(known.session, by, 'cluster');
      if (waitMs > 0) return { waitMs, takeovers: 0 };
      this.#yielded.delete(device);
      this.#yielded.set(device, { session: known.session, untilMs: clock.monotonic() + yieldedMs });
      this.#sessions.delete(device);
      this.peers?.replaced(known.session, known.number);
      known.session.replaced(by);
    }
    return { waitMs: 0, takeovers: this.#damping.countOf(device, clock.monotonic()) };
  }

  /** Called for a session that another node has published. Replaces the one of this node if that is the older one. */
  openedElsewhere(peer: PeerSession): void {
    const { device, number, isFresh } = peer;
    const { clock, node, counts } = this.#options;
    this.#take(number);
    this.#yielded.delete(device);
    const known = this.#sessions.get(device);
    if (known === undefined) return;
    const isAtOnce = !isFresh || clock.monotonic() - known.claimedMs < atOnceMs;
    const isOlder = number < known.number || (number === known.number && peer.node < node);
    if (isAtOnce && isOlder) {
      this.peers?.opened(known.session, known.number, false);
      return;
    }
    counts.cluster.no.add();
    this.#sessions.delete(device);
    // Published as closed, so that a newer session with a lower number gets a higher one: the number orders its events.
    if (number < known.number) this.peers?.closed(known.session, known.number);
    else this.peers?.replaced(known.session, known.number);
    known.session.replaced(peer);
  }

  /** Called when another node has closed its session of the device: one that waits for it has the device now. */
  closedElsewhere(device: string, number: number): void {
    this.#take(number);
    const known = this.#sessions.get(device);
    if (known !== undefined && known.number <= number) this.#renumber(known, number);
    const waiting = this.#waiting.get(device);
    if (waiting?.timer !== undefined && !this.#sessions.has(device)) this.#resume(waiting.session);
  }

  /** Called every second. */
  check(): void {
    const nowMs = this.#options.clock.monotonic();
    for (const [device, { session, untilMs }] of this.#yielded) {
      if (untilMs > nowMs) return;
      this.#yielded.delete(device);
      session.abandoned();
    }
  }

  #waitMs(incumbent: S, session: S): number {
    return this.#takeoverWaitMs(incumbent, { ...this.#originOf(session), instance: session.instance }, 'node');
  }

  #takeoverWaitMs(incumbent: S, newcomer: Omit<Newcomer, 'hasWaited'>, where: keyof TakeoverCounts): number {
    const { clock, counts, presence, node } = this.#options;
    const { device } = incumbent;
    const takeover = this.#damping.count(device, incumbent, newcomer.instance, clock.monotonic());
    counts[where][takeover.isFight ? 'yes' : 'no'].add();
    if (takeover.isReported) {
      const { count } = takeover;
      const addresses = [incumbent.address, newcomer.address] as const;
      const nodes = [node, newcomer.node] as const;
      presence.conflict(device, addresses, nodes, count);
      this.#warning.write(() => ({ device, addresses, nodes, takeovers: count }));
    }
    return takeover.waitMs;
  }

  #wait(session: S, waitMs: number): void {
    const timer = this.#options.clock.after(waitMs, () => this.#resume(session));
    this.#waiting.set(session.device, { session, timer });
    session.waits(waitMs);
  }

  /** The session has waited long enough, or its device has no session any more. */
  #resume(session: S): void {
    if (this.#stopWaiting(session.device) === session) this.#open(session, true);
  }

  #open(session: S, hasWaited: boolean): void {
    const { peers } = this;
    const { device } = session;
    if (peers === undefined || this.#sessions.has(device)) {
      this.#claimed(session, undefined);
      return;
    }
    this.#waiting.set(device, { session, timer: undefined });
    const isRequested = peers.takeOver(session, hasWaited, (reply) => {
      // Replaced or released meanwhile: another session has its place.
      if (this.#waiting.get(device)?.session !== session) return;
      this.#waiting.delete(device);
      if (reply !== undefined && 'waitMs' in reply) this.#wait(session, reply.waitMs);
      else this.#claimed(session, reply);
    });
    if (isRequested) return;
    this.#waiting.delete(device);
    this.#claimed(session, undefined);
  }

  #claimed(session: S, handOver: HandOver | undefined): void {
    const { peers } = this;
    const { clock } = this.#options;
    const { device } = session;
    const known = this.#sessions.get(device);
    const former = known?.session;
    const isMoved = handOver !== undefined || (peers?.numberOf(device) ?? 0) > 0;
    const number = this.#nextNumber(Math.max(handOver?.number ?? 0, peers?.numberOf(device) ?? 0, known?.number ?? 0));
    const claimedMs = clock.monotonic();
    if (handOver !== undefined) this.#damping.adopt(device, handOver.takeovers, claimedMs);
    this.#yielded.delete(device);
    // At the end again, so that the order is that of the numbers.
    this.#sessions.delete(device);
    this.#sessions.set(device, { session, number, claimedMs });
    if (known !== undefined) peers?.replaced(known.session, known.number);
    former?.replaced(this.#originOf(session));
    const replaced = former && { address: former.address, openedMs: former.openedMs };
    peers?.opened(session, number, true);
    session.claimed({ number, replaced, handOver, isMoved });
  }

  /** The session did not know the number of the one that it has replaced, which is higher. */
  #renumber({ session, number: former, claimedMs }: Registered<S>, known: number): void {
    const { device } = session;
    const number = this.#nextNumber(known);
    this.#sessions.delete(device);
    this.#sessions.set(device, { session, number, claimedMs });
    this.peers?.renumbered(session, former, number);
    session.renumbered(number);
  }

  #nextNumber(known: number): number {
    this.#lastNumber = Math.max(this.#lastNumber, this.#options.clock.now()) + 1;
    return Math.max(this.#lastNumber, known + 1);
  }

  /** Takes a number of another node into account, unless its clock is far ahead. */
  #take(number: number): void {
    if (number <= this.#options.clock.now() + aheadMsMax) this.#lastNumber = Math.max(this.#lastNumber, number);
    else this.#options.onClockAhead();
  }

  /** Returns the session that waited for the device. */
  #stopWaiting(device: string): S | undefined {
    const waiting = this.#waiting.get(device);
    if (waiting === undefined) return undefined;
    this.#waiting.delete(device);
    waiting.timer?.cancel();
    return waiting.session;
  }

  #originOf({ address }: S): ClaimOrigin {
    return { address, node: this.#options.node };
  }
}
