import { backoffMs } from '@tailrace/protocol/backoff';
import type { ClientMessage } from '@tailrace/protocol/client-message-json';
import { closeCodes, closeNameOf, mayReconnect } from '@tailrace/protocol/close';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { type ServerMessage, serverMessageFromJson, type Welcome } from '@tailrace/protocol/server-message-json';
import type { Skipped } from '@tailrace/protocol/skipped';
import type { ClientClock } from './clock.ts';
import type { RoundTrip } from './round-trip.ts';
import type { Loss } from './state.ts';
import { skippedFrom } from './unreadable.ts';
import { openSocket, type Socket, type WebSocketConstructor } from './websocket.ts';

/** Attempts to get a new token for one `expiring`. */
const renewalsMax = 4;
/** Bounds of the interval between two new tokens, ms. */
const renewalGapMs = { min: 1000, max: 30_000 } as const;

/**
 * A token, or a function that returns one. It is called before every attempt, so that no expired token is used, and
 * when the token is about to expire.
 */
export type TokenSource = string | (() => string | Promise<string>);

export interface ConnectionOptions {
  /** A URL, or a function that resolves it, called at once. */
  readonly url: string | (() => Promise<string>);
  readonly token: TokenSource | undefined;
  readonly WebSocket: WebSocketConstructor;
  readonly clock: ClientClock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly roundTrip: RoundTrip;
  /** Ping interval, ms. */
  readonly pingMs: number;
  /** Timeout of opening and of every pong, ms. */
  readonly deadlineMs: number;
  onWelcome(welcome: Welcome): void;
  /** `unreadable`: deliveries of the message that were left out because they cannot be read. */
  onMessage(message: ServerMessage, unreadable: readonly Skipped[]): void;
  /**
   * Called when something from the server cannot be read. `isWhole`: not one delivery but the whole frame; then it
   * returns whether to discard the frame. If false, the connection is closed as lost.
   */
  onUnreadable(error: TailraceError, isWhole: boolean): boolean;
  /** Called once, when the connection is lost for any reason but `leave`. */
  onLost(loss: Loss): void;
}

/**
 * One WebSocket connection. It authenticates by its first message: URLs are logged, browsers cannot send headers, and
 * a long token exceeds a request head. It pings, and closes when no pong comes: a half-open socket stays open for
 * minutes, and its last data would pass for live. A pong proves only that the server responds; `interrupted` reports
 * that the server receives nothing from devices.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  /** Undefined until it is resolved. */
  #url: string | undefined;
  #socket: Socket | undefined;
  #isClosed = false;
  #isWelcomed = false;
  #pingAt: { readonly t: number; readonly sentMs: number } | undefined;
  #pings = 0;
  /** The server's last error of the connection, which is more specific than a close code. */
  #errorMessage: string | undefined;
  /**
   * Whether the connection has a token, also in the URL. Unknown before the token is resolved; a proxy may add one.
   */
  #hasToken = true;
  #deadline: { cancel(): void };
  #nextPing: { cancel(): void } | undefined;
  /** Set while a new token is requested or scheduled. */
  #refresh: { cancel(): void } | undefined;
  /** When the last new token was sent, monotonic ms. */
  #renewedMs = Number.NEGATIVE_INFINITY;

  /** Connects at once. */
  constructor(options: ConnectionOptions) {
    this.#options = options;
    if (typeof options.url === 'string') this.#url = options.url;
    this.#deadline = options.clock.after(options.deadlineMs, () =>
      this.#timeOut(`${this.#hasToken ? '' : 'no token was given, and '}the server did not answer`),
    );
    this.#start().catch((error: unknown) => {
      // No token is available, or the browser does not allow the URL on this page.
      const message = error instanceof Error ? error.message : String(error);
      this.#lose({
        code: 1006,
        message: `cannot connect to ${this.#url ?? 'the server'}: ${message}`,
        mayReconnect: true,
      });
    });
  }

  get url(): string | undefined {
    return this.#url;
  }

  send(message: ClientMessage): void {
    this.#socket?.send(JSON.stringify(message));
  }

  /** Closes the connection without a call of `onLost`. */
  leave(reason: string): void {
    if (this.#isClosed) return;
    this.#stop();
    this.#socket?.leave(1000, reason);
  }

  async #start(): Promise<void> {
    const { url, token: source } = this.#options;
    const to = typeof url === 'string' ? url : await url();
    this.#url = to;
    const token = typeof source === 'function' ? await source() : source;
    if (!this.#isClosed) this.#open(to, token?.trim());
  }

  #open(to: string, token: string | undefined): void {
    this.#socket = openSocket(to, this.#options.WebSocket, {
      onOpen: () => {
        if (token) this.send({ auth: { token } });
        else this.#hasToken = /[?&]token=/.test(to);
      },
      onText: (text) => this.#onText(text),
      onBinary: () =>
        this.#unreadable(1003, new TailraceError('invalid_message', 'expected a text frame, got a binary one')),
      onClose: (code, reason) => this.#lose(lossFrom(code, this.#errorMessage ?? reason, to, this.#isWelcomed)),
    });
  }

  #onText(text: string): void {
    const skipped: Skipped[] = [];
    try {
      const message = serverMessageFromJson(text, (delivery, error) => {
        skipped.push(...skippedFrom(delivery));
        this.#options.onUnreadable(error, false);
      });
      // Undefined for a kind of a later server.
      if (message !== undefined) this.#handle(message, skipped);
    } catch (thrown) {
      this.#unreadable(1002, tailraceErrorFrom(thrown));
    }
  }

  #unreadable(code: number, error: TailraceError): void {
    if (this.#options.onUnreadable(error, true)) return;
    this.#lose({ code, message: `invalid message from the server: ${error.message}`, mayReconnect: true });
  }

  #handle(message: ServerMessage, skipped: readonly Skipped[]): void {
    const { clock, roundTrip, pingMs } = this.#options;
    if ('welcome' in message) {
      if (this.#isWelcomed) return;
      this.#isWelcomed = true;
      this.#deadline.cancel();
      roundTrip.restart();
      this.#ping();
      this.#options.onWelcome(message.welcome);
      return;
    }
    if ('pong' in message) {
      const sent = this.#pingAt;
      // Not the pong of the last ping.
      if (message.pong.t !== sent?.t) return;
      this.#deadline.cancel();
      roundTrip.add(sent.sentMs, clock.monotonic(), clock.now(), message.pong.time);
      this.#pingAt = undefined;
      this.#nextPing = clock.after(pingMs, () => this.#ping());
    }
    if ('expiring' in message) this.#expiring(message.expiring.inMs);
    if ('error' in message && !message.error.id) this.#errorMessage = message.error.message;
    this.#options.onMessage(message, skipped);
  }

  #ping(): void {
    const { clock, deadlineMs } = this.#options;
    const t = ++this.#pings;
    this.#pingAt = { t, sentMs: clock.monotonic() };
    this.send({ ping: { t } });
    this.#deadline = clock.after(deadlineMs, () => this.#timeOut('the server did not answer a ping'));
  }

  /**
   * Handles the expiry of the token in `inMs`. Servers send `expiring` a minute before, or at once for a token of
   * shorter life. The next token is requested after half of `inMs`, since it may be as short-lived.
   */
  #expiring(inMs: number): void {
    const { clock } = this.#options;
    if (this.#refresh !== undefined) return;
    const gapMs = Math.min(renewalGapMs.max, Math.max(renewalGapMs.min, inMs / 2));
    const waitMs = this.#renewedMs + gapMs - clock.monotonic();
    if (waitMs > 0) this.#refresh = clock.after(waitMs, () => void this.#renew(1));
    else void this.#renew(1);
  }

  /** Sends a new token. Retries while none is available; in the end, the server closes with 4401. */
  async #renew(tries: number): Promise<void> {
    const { token: source, clock, random } = this.#options;
    if (typeof source !== 'function') return;
    this.#refresh ??= { cancel() {} };
    try {
      const token = (await source()).trim();
      this.#refresh = undefined;
      this.#renewedMs = clock.monotonic();
      if (!this.#isClosed && token !== '') this.send({ auth: { token } });
    } catch {
      this.#refresh = undefined;
      if (this.#isClosed || tries === renewalsMax) return;
      const waitMs = 1000 + backoffMs(tries, random, { baseMs: 1000 });
      this.#refresh = clock.after(waitMs, () => void this.#renew(tries + 1));
    }
  }

  #timeOut(what: string): void {
    this.#lose({
      code: closeCodes.heartbeatTimeout.code,
      message: `${what} within ${this.#options.deadlineMs / 1000} s`,
      mayReconnect: true,
    });
  }

  #lose(loss: Loss): void {
    if (this.#isClosed) return;
    this.#stop();
    this.#socket?.leave(1000, '');
    this.#options.onLost(loss);
  }

  #stop(): void {
    this.#isClosed = true;
    this.#refresh?.cancel();
    this.#deadline.cancel();
    this.#nextPing?.cancel();
  }
}

function lossFrom(code: number, reason: string, url: string, isWelcomed: boolean): Loss {
  // The message of a loss is for people. Servers before 0.2.0 add "; come back".
  const message = (reason === '' ? meaningOf(code, url, isWelcomed) : reason).replace(/; (?:after=.*|come back)$/, '');
  return { code, message, mayReconnect: mayReconnect(code) };
}

/**
 * Returns a message for a close code without a reason. A WebSocket does not report why its handshake failed: the port
 * may be closed, or another service listens there.
 */
function meaningOf(code: number, url: string, isWelcomed: boolean): string {
  const name = closeNameOf(code);
  if (name !== undefined) return closeCodes[name].reason;
  if (code !== 1006) return `the server closed the connection with code ${code}`;
  const { origin, pathname } = new URL(url);
  return isWelcomed ? `the connection to ${origin} was lost` : `no Tailrace stream answers at ${origin}${pathname}`;
}
