import { bearerToken } from '@tailrace/platform/bearer-token';
import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Revocations } from '@tailrace/platform/revocation';
import { TailraceError } from '@tailrace/protocol/error';
import type { AnnouncedDevices } from './announced-devices.ts';
import { DeviceSession, type DeviceSessionOptions } from './device-session.ts';
import type { DeviceSocket, DeviceSocketHandlers, DeviceSocketServer, UpgradeHead } from './device-socket.ts';
import { leaveSpanMs, leaveSpread } from './leave-spread.ts';
import { Unauthenticated } from './unauthenticated.ts';
import { WebSocketProtocol, type WebSocketProtocolLimits } from './websocket-protocol.ts';

export interface DeviceServerLimits extends WebSocketProtocolLimits {
  readonly sessionsMax: number;
  readonly unauthenticatedMax: number;
  readonly addressUnauthenticatedMax: number;
  /** For how long claims are accepted after they have expired. */
  readonly clockToleranceMs: number;
}

export interface DeviceServerOptions {
  readonly session: DeviceSessionOptions;
  readonly announced: AnnouncedDevices;
  readonly revocations: Pick<Revocations, 'revoked'>;
  readonly clock: Clock;
  readonly limits: DeviceServerLimits;
}

/** A device is warned this long before its token expires. */
const expiryWarningMs = 60_000;
const checkMs = 1_000;

/**
 * Serves `GET /v1/device`: all WebSockets of devices of this process, and their limits. One timer checks them all every
 * second, because ten thousand sessions cost it less than a millisecond.
 *
 * A connection without authentication can be replaced: at the limit of its address, or of all, the oldest is closed for
 * the newcomer, so that idle connections cannot lock out devices.
 */
export class DeviceServer implements DeviceSocketServer {
  readonly subprotocols = ['tailrace.device.v1.json'] as const;
  readonly messageBytesMax: number;
  readonly #options: DeviceServerOptions;
  readonly #protocols = new Set<WebSocketProtocol>();
  readonly #unauthenticated: Unauthenticated<WebSocketProtocol>;
  #timer: Timer | undefined;
  #isDraining = false;
  #drained: (() => void) | undefined;

  constructor(options: DeviceServerOptions) {
    this.#options = options;
    // A little more is received, so that its sender gets an error with a reason.
    this.messageBytesMax = 4 * options.limits.messageBytesMax;
    this.#unauthenticated = new Unauthenticated(options.limits);
  }

  /** Starts the timer. Called once, before the first connection. */
  start(): void {
    this.#timer = this.#options.clock.every(checkMs, () => this.#check());
  }

  /** Connections of devices. */
  get size(): number {
    return this.#protocols.size;
  }

  get unauthenticated(): number {
    return this.#unauthenticated.size;
  }

  /** Returns the most connections of one address that are not authenticated. For metrics. */
  mostUnauthenticatedOfOneAddress(): number {
    return this.#unauthenticated.mostOfOneAddress();
  }

  /** Returns the most of one session. For metrics. */
  mostOfOneSession(): { readonly messages: number; readonly bytes: number; readonly bufferedBytes: number } {
    let [messages, bytes, bufferedBytes] = [0, 0, 0];
    for (const protocol of this.#protocols) {
      messages = Math.max(messages, protocol.session.messages.unanswered);
      bytes = Math.max(bytes, protocol.session.messages.windowBytes);
      bufferedBytes = Math.max(bufferedBytes, protocol.bufferedBytes);
    }
    return { messages, bytes, bufferedBytes };
  }

  /** Throws `limit_reached` at `sessionsMax`, and `closed` while the server drains. */
  accept(head: UpgradeHead): (socket: DeviceSocket) => DeviceSocketHandlers {
    const { sessionsMax } = this.#options.limits;
    if (this.#isDraining) throw new TailraceError('closed', 'this server is shutting down; connect to another one');
    if (this.size >= sessionsMax) {
      const message = `expected at most ${sessionsMax} connections of devices, got one more: try another server, or again`;
      throw new TailraceError('limit_reached', message, { retryable: true });
    }
    const token = bearerToken(head.header('authorization')) ?? '';
    return (socket) => this.#open(socket, token);
  }

  /** Closes the sessions whose claims were revoked. Called when the revocations have changed. */
  checkRevocations(): void {
    const { revocations } = this.#options;
    for (const { session } of this.#protocols) session.checkRevocations(revocations);
  }

  /**
   * Announces the end to all devices, and closes their sessions over the time of `leaveSpanMs`. Resolves when all are
   * closed.
   */
  async drain(leaveMs: number): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    const sessions = Array.from(this.#protocols, ({ session }) => session);
    const spanMs = leaveSpanMs(sessions.length, leaveMs);
    for (const session of sessions) session.drain(spanMs);
    const all = new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
    await leaveSpread(sessions, spanMs, this.#options.clock);
    if (this.#protocols.size > 0) await all;
  }

  /** Stops the timer. The sockets are closed by their transport. Idempotent. */
  close(): void {
    this.#isDraining = true;
    this.#timer?.cancel();
  }

  #open(socket: DeviceSocket, token: string): WebSocketProtocol {
    const { session: sessionOptions, announced, clock, limits } = this.#options;
    const protocol = new WebSocketProtocol(
      {
        clock,
        limits,
        announced,
        onAuthenticated: this.#onAuthenticated,
        onClosed: this.#onClosed,
      },
      socket,
    );
    const { address, certificate } = socket;
    const session = new DeviceSession(sessionOptions, protocol, { token, certificate, address }, 'websocket');
    this.#protocols.add(protocol);
    protocol.start(session);
    this.#unauthenticated.add(protocol);
    return protocol;
  }

  readonly #onAuthenticated = (protocol: WebSocketProtocol): void => this.#unauthenticated.delete(protocol);

  readonly #onClosed = (protocol: WebSocketProtocol): void => {
    this.#unauthenticated.delete(protocol);
    this.#protocols.delete(protocol);
    if (this.#protocols.size === 0) this.#drained?.();
  };

  #check(): void {
    const { clock, limits, session } = this.#options;
    const nowMs = clock.monotonic();
    const wallMs = clock.now();
    for (const protocol of this.#protocols) {
      protocol.check(nowMs);
      protocol.session.checkExpiry(wallMs, expiryWarningMs, limits.clockToleranceMs);
    }
    session.records.sweep(nowMs);
    session.lookback.sweep();
  }
}
