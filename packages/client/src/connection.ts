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

/** Times a fresh token is asked for while the old one ends. */
const renewalsMax = 4;
/** Between two fresh tokens at least, and at most what a server that says that one ends is waited with, ms. */
const renewalGapMs = { min: 1000, max: 30_000 } as const;

/** A token, or what gets one: asked before every attempt, so that an expired one is not used again, and when it is about to end. */
export type TokenSource = string | (() => string | Promise<string>);

export interface ConnectionOptions {
  /** What finds one is asked at once. */
  readonly url: string | (() => Promise<string>);
  readonly token: TokenSource | undefined;
  readonly WebSocket: WebSocketConstructor;
  readonly clock: ClientClock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly roundTrip: RoundTrip;
  /** A ping is sent this often, ms. */
  readonly pingMs: number;
  /** Opening, and every answer, may take this long, ms. */
  readonly deadlineMs: number;
  onWelcome(welcome: Welcome): void;
  /** `unreadable`: deliveries of the message that are left out because they cannot be read. */
  onMessage(message: ServerMessage, unreadable: readonly Skipped[]): void;
  /**
   * Something of the server cannot be read. `isWhole`: not one delivery but the whole frame; then returns whether to
   * discard it. If not, the connection is lost.
   */
  onUnreadable(error: TailraceError, isWhole: boolean): boolean;
  /** Once, at the end, whatever ended it. */
  onLost(loss: Loss): void;
}

/**
 * One WebSocket from its opening to its end. It authenticates by the first message, because a URL gets into logs, a
 * browser cannot send headers, and a long token does not fit into a request head. It pings, and gives up where the
 * server does not answer: a half-open socket looks open for minutes, and what it last brought would pass for live. A
 * pong proves that the server answers. Whether the server receives from the devices it reports by `interrupted`.
 */
export interface Connection {
  /** Undefined while it is being found. */
  readonly url: string | undefined;
  send(message: ClientMessage): void;
  /** Leaves without a word to `onLost`. */
  leave(reason: string): void;
}

export function openConnection(options: ConnectionOptions): Connection {
  const { clock, roundTrip } = options;
  let url = typeof options.url === 'string' ? options.url : undefined;
  let socket: Socket | undefined;
  let over = false;
  let welcome = false;
  let pingAt: { readonly t: number; readonly sentMs: number } | undefined;
  let pings = 0;
  /** What the server said last about the connection as a whole: it knows better than a close code. */
  let said: string | undefined;
  /** Not known before it is asked for. One in the URL counts; a proxy may add one that is not seen here. */
  let hasToken = true;
  let deadline = clock.after(options.deadlineMs, () =>
    silent(`${hasToken ? '' : 'no token was given, and '}the server did not answer`),
  );
  let nextPing: { cancel(): void } | undefined;
  /** A fresh token is being asked for, or will be. */
  let refresh: { cancel(): void } | undefined;
  /** When the last one was sent. */
  let renewedMs = Number.NEGATIVE_INFINITY;

  function end(): void {
    over = true;
    refresh?.cancel();
    deadline.cancel();
    nextPing?.cancel();
  }

  function lose(loss: Loss): void {
    if (over) return;
    end();
    socket?.leave(1000, '');
    options.onLost(loss);
  }

  function silent(what: string): void {
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
    deadline = clock.after(options.deadlineMs, () => silent('the connection was silent: no answer to a ping'));
  }

  /**
   * The token ends in so many milliseconds. Servers say so a minute before, or at once of one that holds for less: its
   * successor is fetched when half of that has passed, since it would hold for no longer, and be answered in the same
   * way.
   */
  function expiring(inMs: number): void {
    if (refresh !== undefined) return;
    const gapMs = Math.min(renewalGapMs.max, Math.max(renewalGapMs.min, inMs / 2));
    const waitMs = renewedMs + gapMs - clock.monotonic();
    if (waitMs > 0) refresh = clock.after(waitMs, () => void renew(1));
    else void renew(1);
  }

  /** One that cannot be had now may be had in a moment; if not, the server closes with 4401. */
  async function renew(tries: number): Promise<void> {
    if (typeof options.token !== 'function') return;
    refresh ??= { cancel() {} };
    try {
      const token = (await options.token()).trim();
      refresh = undefined;
      renewedMs = clock.monotonic();
      if (!over && token !== '') send({ auth: { token } });
    } catch {
      refresh = undefined;
      if (over || tries === renewalsMax) return;
      const waitMs = 1000 + backoffMs(tries, options.random, { baseMs: 1000 });
      refresh = clock.after(waitMs, () => void renew(tries + 1));
    }
  }

  function take(text: string): void {
    const skipped: Skipped[] = [];
    try {
      const message = serverMessageFromJson(text, (delivery, error) => {
        skipped.push(...skippedFrom(delivery));
        options.onUnreadable(error, false);
      });
      // A kind that only a later server knows.
      if (message !== undefined) handle(message, skipped);
    } catch (thrown) {
      unreadable(1002, tailraceErrorFrom(thrown));
    }
  }

  function unreadable(code: number, error: TailraceError): void {
    if (options.onUnreadable(error, true)) return;
    lose({ code, message: `the server sent what is not understood: ${error.message}`, mayReconnect: true });
  }

  function handle(message: ServerMessage, skipped: readonly Skipped[]): void {
    if ('welcome' in message) {
      if (welcome) return;
      welcome = true;
      deadline.cancel();
      roundTrip.restart();
      ping();
      options.onWelcome(message.welcome);
      return;
    }
    if ('pong' in message) {
      // An answer to an older ping says nothing of now.
      if (message.pong.t !== pingAt?.t) return;
      deadline.cancel();
      roundTrip.add(pingAt.sentMs, clock.monotonic(), clock.now(), message.pong.time);
      pingAt = undefined;
      nextPing = clock.after(options.pingMs, ping);
    }
    if ('expiring' in message) expiring(message.expiring.inMs);
    if ('error' in message && !message.error.id) said = message.error.message;
    options.onMessage(message, skipped);
  }

  function open(to: string, token: string | undefined): void {
    socket = openSocket(to, options.WebSocket, {
      onOpen() {
        if (token) send({ auth: { token } });
        else hasToken = /[?&]token=/.test(to);
      },
      onText: take,
      onBinary: () => unreadable(1003, new TailraceError('invalid_message', 'expected a text frame, got a binary one')),
      onClose: (code, reason) => lose(lossFrom(code, said ?? reason, to)),
    });
  }

  async function start(): Promise<void> {
    const to = typeof options.url === 'string' ? options.url : await options.url();
    url = to;
    const token = typeof options.token === 'function' ? await options.token() : options.token;
    if (!over) open(to, token?.trim());
  }

  start().catch((error: unknown) => {
    // No token to be had, or an address that the browser does not allow from this page.
    const message = error instanceof Error ? error.message : String(error);
    lose({
      code: 1006,
      message: `cannot connect to ${url ?? 'the address that is asked for'}: ${message}`,
      mayReconnect: true,
    });
  });

  return {
    get url() {
      return url;
    },
    send,
    leave(reason) {
      if (over) return;
      end();
      socket?.leave(1000, reason);
    },
  };
}

function lossFrom(code: number, said: string, url: string): Loss {
  // The reasons of our close codes speak to the client; a loss is told to people.
  const message = (said === '' ? meaningOf(code, url) : said).replace(/; (?:come back|after=.*)$/, '');
  return { code, message, mayReconnect: mayReconnect(code) };
}

/** What a close code without a reason comes to. */
function meaningOf(code: number, url: string): string {
  const name = closeNameOf(code);
  if (name !== undefined) return closeCodes[name].reason;
  return code === 1006
    ? `${new URL(url).origin} cannot be reached`
    : `the server closed the connection with code ${code}`;
}
