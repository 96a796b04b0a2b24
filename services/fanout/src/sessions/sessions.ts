import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Claims } from '@tailrace/platform/token';
import { closeCodes } from '@tailrace/protocol/close';
import { type ServerMessage, serverMessageBytes, serverMessageJson } from '@tailrace/protocol/server-message';
import { Expiries, type Expiring, type ExpiryLimits } from './expiries.ts';
import type { Session } from './session.ts';

export interface SessionsLimits extends ExpiryLimits {
  /** A ping goes to each client this often. A whole number of seconds. */
  readonly heartbeatMs: number;
  /** A client that has said nothing this long after a ping, not even pong, is gone. A whole number of seconds, below `heartbeatMs`. */
  readonly pongDeadlineMs: number;
  /** For the first message to bring a token. */
  readonly authDeadlineMs: number;
}

const beatMs = 1_000;

/**
 * All clients of this node, and their hearts. One beat a second looks at the clients whose turn it is, not at all of them: each is in one of
 * `heartbeatMs` / 1 s groups by the time it came, so that pings are spread evenly and an idle client costs two looks a period.
 */
export class Sessions {
  readonly #clock: Clock;
  readonly #limits: SessionsLimits;
  readonly #groups: Set<Session>[];
  readonly #all = new Set<Session>();
  readonly #expiries: Expiries;
  /** Those that may have no token yet, in the order in which they came: monotonic ms at which they have to have one. */
  readonly #greeting = new Map<Session, number>();
  #beat = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, limits: SessionsLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#expiries = new Expiries(limits);
    this.#groups = Array.from({ length: Math.round(limits.heartbeatMs / beatMs) }, () => new Set<Session>());
  }

  get size(): number {
    return this.#all.size;
  }

  all(): Iterable<Session> {
    return this.#all;
  }

  start(): void {
    this.#timer = this.#clock.every(beatMs, () => this.#onBeat());
  }

  add(session: Session): void {
    session.receivedHeartbeat = this.#beat;
    this.#all.add(session);
    session.group = this.#beat % this.#groups.length;
    this.#groups[session.group]!.add(session);
    this.#greeting.set(session, this.#clock.monotonic() + this.#limits.authDeadlineMs);
  }

  remove(session: Session): void {
    this.#all.delete(session);
    this.#greeting.delete(session);
    this.#expiries.forget(session);
    this.#groups[session.group]!.delete(session);
  }

  /** Something came from the client: a message or a pong. */
  heard(session: Session): void {
    session.receivedHeartbeat = this.#beat;
  }

  /** The session has a token now, or another one. */
  watch(session: Expiring): void {
    this.#expiries.watch(session, this.#clock.now());
  }

  /** Lets go, with 4401, of everybody whose token is revoked. How many. */
  endRevoked(revoked: (claims: Claims) => boolean): number {
    let ended = 0;
    for (const session of [...this.#all]) {
      if (session.claims === undefined || session.state === 'closed' || !revoked(session.claims)) continue;
      session.revoke();
      ended++;
    }
    return ended;
  }

  /** The same to everybody: made once an encoding. */
  tell(message: ServerMessage): void {
    let text: string | undefined;
    let bytes: Uint8Array | undefined;
    for (const session of this.#all) {
      if (session.encoding === 'json') text ??= serverMessageJson(message);
      else bytes ??= serverMessageBytes(message);
      session.tell((session.encoding === 'json' ? text : bytes)!);
    }
  }

  /**
   * Tells every client that the server goes, and lets each go at its own moment in the second half of `spanMs`: so that they do not come back all at
   * once, and each has time to connect elsewhere before.
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
      // Who has gone by itself is not waited for.
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

  #onBeat(): void {
    this.#beat++;
    const period = this.#groups.length;
    for (const session of this.#groups[this.#beat % period]!) session.ping();
    const pongBeats = Math.round(this.#limits.pongDeadlineMs / beatMs);
    const pingedAt = this.#beat - pongBeats;
    if (pingedAt > 0) {
      for (const session of this.#groups[pingedAt % period]!) {
        if (session.receivedHeartbeat < pingedAt) session.end(closeCodes.heartbeatTimeout);
      }
    }
    this.#expiries.beat(this.#clock.now());
    this.#endSilent();
  }

  /** In order of coming, so that only the head needs a look. */
  #endSilent(): void {
    const nowMs = this.#clock.monotonic();
    for (const [session, deadlineMs] of this.#greeting) {
      if (deadlineMs > nowMs) return;
      this.#greeting.delete(session);
      if (session.state === 'greeting') session.end(closeCodes.noAuth);
    }
  }
}
