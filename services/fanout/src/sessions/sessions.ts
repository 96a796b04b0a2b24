import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Claims } from '@tailrace/platform/token';
import { closeCodes } from '@tailrace/protocol/close';
import { type ServerMessage, serverMessageBytes, serverMessageJson } from '@tailrace/protocol/server-message';
import { Expiries, type Expiring, type ExpiryLimits } from './expiries.ts';
import type { Session } from './session.ts';

export interface SessionsLimits extends ExpiryLimits {
  /** The interval of pings to each client. A whole number of seconds. */
  readonly heartbeatMs: number;
  /**
   * A client that has sent nothing for this long after a ping, not even a pong, is disconnected. A whole number of
   * seconds, below `heartbeatMs`.
   */
  readonly pongDeadlineMs: number;
  /** The deadline for a valid token, from the handshake. */
  readonly authDeadlineMs: number;
}

const tickMs = 1_000;

/**
 * All clients of this node, and their heartbeats. One tick a second visits some of the clients, not all: each is in one
 * of `heartbeatMs` / 1 s groups, by the second in which it connected. So pings are spread evenly, and an idle client is
 * visited twice in `heartbeatMs`.
 */
export class Sessions {
  readonly #clock: Clock;
  readonly #limits: SessionsLimits;
  readonly #groups: Set<Session>[];
  readonly #all = new Set<Session>();
  readonly #expiries: Expiries;
  /** The deadline of sessions that may have no token yet, monotonic ms, in the order in which they connected. */
  readonly #greeting = new Map<Session, number>();
  #tick = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, limits: SessionsLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#expiries = new Expiries(limits);
    this.#groups = Array.from({ length: Math.round(limits.heartbeatMs / tickMs) }, () => new Set<Session>());
  }

  get size(): number {
    return this.#all.size;
  }

  all(): Iterable<Session> {
    return this.#all;
  }

  start(): void {
    this.#timer = this.#clock.every(tickMs, () => this.#onTick());
  }

  add(session: Session): void {
    session.lastReceivedTick = this.#tick;
    this.#all.add(session);
    session.group = this.#tick % this.#groups.length;
    this.#groups[session.group]!.add(session);
    this.#greeting.set(session, this.#clock.monotonic() + this.#limits.authDeadlineMs);
  }

  remove(session: Session): void {
    this.#all.delete(session);
    this.#greeting.delete(session);
    this.#expiries.forget(session);
    this.#groups[session.group]!.delete(session);
  }

  /** Notes that a message, ping or pong of the client was received. */
  onReceived(session: Session): void {
    session.lastReceivedTick = this.#tick;
  }

  /** Watches the token of a session. Called for each token. */
  watch(session: Expiring): void {
    this.#expiries.watch(session, this.#clock.now());
  }

  /** Disconnects, with 4401, the clients whose token is revoked. Returns their number. */
  endRevoked(revoked: (claims: Claims) => boolean): number {
    let closed = 0;
    for (const session of [...this.#all]) {
      if (session.claims === undefined || session.state === 'closed' || !revoked(session.claims)) continue;
      session.revoke();
      closed++;
    }
    return closed;
  }

  /** Sends a message to all clients, encoded once for each encoding. */
  broadcast(message: ServerMessage): void {
    let text: string | undefined;
    let bytes: Uint8Array | undefined;
    for (const session of this.#all) {
      if (session.encoding === 'json') text ??= serverMessageJson(message);
      else bytes ??= serverMessageBytes(message);
      session.sendFrame((session.encoding === 'json' ? text : bytes)!);
    }
  }

  /**
   * Notifies all clients that the server stops, and disconnects each at a random time in the second half of `spanMs`.
   * So they do not reconnect all at once, and each has time to connect to another node before.
   */
  async drain(spanMs: number, random: () => number): Promise<void> {
    const leaving = [...this.#all].map((session) => ({
      session,
      afterMs: Math.floor((spanMs * (1 + random())) / 2),
    }));
    leaving.sort((a, b) => a.afterMs - b.afterMs);
    for (const { session, afterMs } of leaving) session.drain(afterMs);
    const start = this.#clock.monotonic();
    for (const { session, afterMs } of leaving) {
      // Clients that left already are skipped.
      if (session.state === 'closed') continue;
      const waitMs = start + afterMs - this.#clock.monotonic();
      if (waitMs > 0) await this.#clock.sleep(waitMs);
      session.end(closeCodes.restarting);
    }
  }

  stop(): void {
    this.#timer?.cancel();
    for (const session of [...this.#all]) session.end(closeCodes.restarting);
  }

  #onTick(): void {
    this.#tick++;
    const period = this.#groups.length;
    for (const session of this.#groups[this.#tick % period]!) session.ping();
    const pongTicks = Math.round(this.#limits.pongDeadlineMs / tickMs);
    const pingedAt = this.#tick - pongTicks;
    if (pingedAt > 0) {
      for (const session of this.#groups[pingedAt % period]!) {
        if (session.lastReceivedTick < pingedAt) session.end(closeCodes.heartbeatTimeout);
      }
    }
    this.#expiries.tick(this.#clock.now());
    this.#closeUnauthenticated();
  }

  /** Closes sessions without a token at their deadline. They are ordered, so that only the first ones are checked. */
  #closeUnauthenticated(): void {
    const nowMs = this.#clock.monotonic();
    for (const [session, deadlineMs] of this.#greeting) {
      if (deadlineMs > nowMs) return;
      this.#greeting.delete(session);
      if (session.state === 'greeting') session.end(closeCodes.noAuth);
    }
  }
}
