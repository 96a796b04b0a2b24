import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import type { TakeoverCounts } from './device-metrics.ts';
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
  /** The device is this session's. Called at most once. */
  claimed(claim: Claim): void;
  /** The device is another session's for this time: two senders use its identity. */
  waits(waitMs: number): void;
  /** The device is a newer session's, or this one has waited and a newer one waits in its place. */
  replaced(by: ClaimOrigin): void;
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
  /** Message IDs that another node had in the log, as `IdRing.hashes` returns them. */
  readonly recentIds: BigUint64Array | undefined;
}

/** What another node returns of a session that it had. */
export interface HandOver {
  readonly number: number;
  readonly recentIds: BigUint64Array;
}

/** Sessions of other nodes. Without them the registry knows those of this node alone. */
export interface SessionPeers {
  /** Calls `done` once, within a second: with what another node had, or undefined. Not within the call. */
  takeOver(device: string, done: (handOver: HandOver | undefined) => void): void;
  opened(session: ClaimingSession, number: number): void;
  closed(session: ClaimingSession, number: number): void;
}

export interface SessionRegistryOptions {
  /** Name of this node, for people. */
  readonly node: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counts: TakeoverCounts;
  readonly presence: Pick<PresenceEvents, 'conflict'>;
  /** Default: none. */
  readonly peers?: SessionPeers;
}

interface Registered<S> {
  readonly session: S;
  readonly number: number;
}

/** A session that waits: while another works on, or for the reply of another node. */
interface Waiting<S> {
  readonly session: S;
  readonly timer: Timer | undefined;
}

const warningEveryMs = 60_000;

/**
 * The sessions of the devices of this node, at most one for each. The newest wins: the connection of a device that has
 * lost it may stay open for minutes, and must not lock out the device. `TakeoverDamping` delays the newcomer when two
 * senders fight for one device.
 *
 * An entry changes synchronously, and callbacks compare the session, so that a session that was replaced never removes
 * the one that replaced it.
 */
export class SessionRegistry<S extends ClaimingSession = ClaimingSession> {
  readonly #options: SessionRegistryOptions;
  readonly #sessions = new Map<string, Registered<S>>();
  /** By device, at most one: a newer one takes its place. */
  readonly #waiting = new Map<string, Waiting<S>>();
  readonly #damping = new TakeoverDamping();
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

  of(device: string): S | undefined {
    return this.#sessions.get(device)?.session;
  }

  /** Calls `claimed` of the session now or later, unless it is released or replaced before. */
  claim(session: S): void {
    const { device } = session;
    this.#stopWaiting(device)?.replaced(this.#originOf(session));
    const incumbent = this.of(device);
    const waitMs = incumbent === undefined ? 0 : this.#waitMs(incumbent, session);
    if (waitMs > 0) {
      const timer = this.#options.clock.after(waitMs, () => this.#resume(session));
      this.#waiting.set(device, { session, timer });
      session.waits(waitMs);
    } else this.#open(session);
  }

  /** Called when the session closes, in any state. Idempotent. Returns whether it had its device. */
  release(session: S): boolean {
    const { device } = session;
    if (this.#waiting.get(device)?.session === session) this.#stopWaiting(device);
    const known = this.#sessions.get(device);
    if (known?.session !== session) return false;
    this.#sessions.delete(device);
    this.#options.peers?.closed(session, known.number);
    const next = this.#waiting.get(device);
    if (next !== undefined) this.#resume(next.session);
    return true;
  }

  /** Called when another node has a newer session of the device, with its number. */
  replacedBy(device: string, number: number, by: ClaimOrigin): void {
    this.#lastNumber = Math.max(this.#lastNumber, number);
    const known = this.#sessions.get(device);
    this.#stopWaiting(device)?.replaced(by);
    if (known === undefined) return;
    this.#sessions.delete(device);
    this.#options.counts.cluster.no.add();
    known.session.replaced(by);
  }

  #waitMs(incumbent: S, session: S): number {
    const { clock, counts, presence, node } = this.#options;
    const { device } = session;
    const takeover = this.#damping.count(device, incumbent, session, clock.monotonic());
    counts.node[takeover.isFight ? 'yes' : 'no'].add();
    if (takeover.isReported) {
      const { count } = takeover;
      presence.conflict(device, [incumbent.address, session.address], count);
      this.#warning.write(() => ({ device, addresses: [incumbent.address, session.address], node, takeovers: count }));
    }
    return takeover.waitMs;
  }

  /** The session has waited long enough, or its device has no session any more. */
  #resume(session: S): void {
    if (this.#stopWaiting(session.device) === session) this.#open(session);
  }

  #open(session: S): void {
    const { peers } = this.#options;
    const { device } = session;
    if (peers === undefined || this.#sessions.has(device)) {
      this.#claimed(session, undefined);
      return;
    }
    this.#waiting.set(device, { session, timer: undefined });
    peers.takeOver(device, (handOver) => {
      // Replaced or released meanwhile: another session has its place.
      if (this.#waiting.get(device)?.session !== session) return;
      this.#waiting.delete(device);
      this.#claimed(session, handOver);
    });
  }

  #claimed(session: S, handOver: HandOver | undefined): void {
    const { device } = session;
    const former = this.#sessions.get(device)?.session;
    const number = this.#nextNumber(handOver?.number ?? 0);
    this.#sessions.set(device, { session, number });
    former?.replaced(this.#originOf(session));
    const replaced = former && { address: former.address, openedMs: former.openedMs };
    session.claimed({ number, replaced, recentIds: handOver?.recentIds });
    this.#options.peers?.opened(session, number);
  }

  #nextNumber(known: number): number {
    this.#lastNumber = Math.max(this.#lastNumber, known, this.#options.clock.now()) + 1;
    return this.#lastNumber;
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
