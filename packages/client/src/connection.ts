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
export interface Connection {
  /** Undefined until it is resolved. */
  readonly url: string | undefined;
  send(message: ClientMessage): void;
  /** Closes the connection without a call of `onLost`. */
  leave(reason: string): void;
}

export function openConnection(options: ConnectionOptions): Connection {
  const { clock, roundTrip } = options;
  let url = typeof options.url === 'string' ? options.url : undefined;
  let socket: Socket | undefined;
  let isClosed = false;
  let isWelcomed = false;
  let pingAt: { readonly t: number; readonly sentMs: number } | undefined;
  let pings = 0;
  /** The server's last error of the connection, which is more specific than a close code. */
  let errorMessage: string | undefined;
  /**
   * Whether the connection has a token, also in the URL. Unknown before the token is resolved; a proxy may add one.
   */
  let hasToken = true;
  let deadline = clock.after(options.deadlineMs, () =>
    timeOut(`${hasToken ? '' : 'no token was given, and '}the server did not answer`),
  );
  let nextPing: { cancel(): void } | undefined;
  /** Set while a new token is requested or scheduled. */
  let refresh: { cancel(): void } | undefined;
  /** When the last new token was sent, monotonic ms. */
  let renewedMs = Number.NEGATIVE_INFINITY;

  function stop(): void {
    isClosed = true;
    refresh?.cancel();
    deadline.cancel();
    nextPing?.cancel();
  }

  function lose(loss: Loss): void {
    if (isClosed) return;
    stop();
    socket?.leave(1000, '');
    options.onLost(loss);
  }

  function timeOut(what: string): void {
    lose({
      code: closeCodes.heartbeatTimeout.code,
      message: `${what} within ${options.deadlineMs / 1000} s`,
      mayReconnect: true,
    });
  }

  function send(message: ClientMessage): void {
    socket?.send(JSON.stringify(message));
  }

  function ping(): void {
    pingAt = { t: ++pings, sentMs: clock.monotonic() };
    send({ ping: { t: pings } });
    deadline = clock.after(options.deadlineMs, () => timeOut('the server did not answer a ping'));
  }

  /**
   * Handles the expiry of the token in `inMs`. Servers send `expiring` a minute before, or at once for a token of
   * shorter life. The next token is requested after half of `inMs`, since it may be as short-lived.
   */
  function expiring(inMs: number): void {
    if (refresh !== undefined) return;
    const gapMs = Math.min(renewalGapMs.max, Math.max(renewalGapMs.min, inMs / 2));
    const waitMs = renewedMs + gapMs - clock.monotonic();
    if (waitMs > 0) refresh = clock.after(waitMs, () => void renew(1));
    else void renew(1);
  }

  /** Sends a new token. Retries while none is available; in the end, the server closes with 4401. */
  async function renew(tries: number): Promise<void> {
    if (typeof options.token !== 'function') return;
    refresh ??= { cancel() {} };
    try {
      const token = (await options.token()).trim();
      refresh = undefined;
      renewedMs = clock.monotonic();
      if (!isClosed && token !== '') send({ auth: { token } });
    } catch {
      refresh = undefined;
      if (isClosed || tries === renewalsMax) return;
      const waitMs = 1000 + backoffMs(tries, options.random, { baseMs: 1000 });
      refresh = clock.after(waitMs, () => void renew(tries + 1));
    }
  }

  function onText(text: string): void {
    const skipped: Skipped[] = [];
    try {
      const message = serverMessageFromJson(text, (delivery, error) => {
        skipped.push(...skippedFrom(delivery));
        options.onUnreadable(error, false);
      });
      // Undefined for a kind of a later server.
      if (message !== undefined) handle(message, skipped);
    } catch (thrown) {
      unreadable(1002, tailraceErrorFrom(thrown));
    }
  }

  function unreadable(code: number, error: TailraceError): void {
    if (options.onUnreadable(error, true)) return;
    lose({ code, message: `invalid message from the server: ${error.message}`, mayReconnect: true });
  }

  function handle(message: ServerMessage, skipped: readonly Skipped[]): void {
    if ('welcome' in message) {
      if (isWelcomed) return;
      isWelcomed = true;
      deadline.cancel();
      roundTrip.restart();
      ping();
      options.onWelcome(message.welcome);
      return;
    }
    if ('pong' in message) {
      // Not the pong of the last ping.
      if (message.pong.t !== pingAt?.t) return;
      deadline.cancel();
      roundTrip.add(pingAt.sentMs, clock.monotonic(), clock.now(), message.pong.time);
      pingAt = undefined;
      nextPing = clock.after(options.pingMs, ping);
    }
    if ('expiring' in message) expiring(message.expiring.inMs);
    if ('error' in message && !message.error.id) errorMessage = message.error.message;
    options.onMessage(message, skipped);
  }

  function open(to: string, token: string | undefined): void {
    socket = openSocket(to, options.WebSocket, {
      onOpen() {
        if (token) send({ auth: { token } });
        else hasToken = /[?&]token=/.test(to);
      },
      onText,
      onBinary: () => unreadable(1003, new TailraceError('invalid_message', 'expected a text frame, got a binary one')),
      onClose: (code, reason) => lose(lossFrom(code, errorMessage ?? reason, to, isWelcomed)),
    });
  }

  async function start(): Promise<void> {
    const to = typeof options.url === 'string' ? options.url : await options.url();
    url = to;
    const token = typeof options.token === 'function' ? await options.token() : options.token;
    if (!isClosed) open(to, token?.trim());
  }

  start().catch((error: unknown) => {
    // No token is available, or the browser does not allow the URL on this page.
    const message = error instanceof Error ? error.message : String(error);
    lose({
      code: 1006,
      message: `cannot connect to ${url ?? 'the server'}: ${message}`,
      mayReconnect: true,
    });
  });

  return {
    get url() {
      return url;
    },
    send,
    leave(reason) {
      if (isClosed) return;
      stop();
      socket?.leave(1000, reason);
    },
  };
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
