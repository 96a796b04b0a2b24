import type { BackoffOptions } from '@tailrace/protocol/backoff';
import { TailraceError } from '@tailrace/protocol/error';
import type { UrlSource } from './addresses.ts';
import { type ClientClock, systemClock } from './clock.ts';
import type { TokenSource } from './connection.ts';
import type { WebSocketConstructor } from './websocket.ts';

export interface StreamOptions {
  /**
   * The URL of streams, as `wss://plant.example` or with the path `/v1/stream`. Several URLs of one installation are
   * used in rotation; a function is called before every attempt.
   */
  readonly url: UrlSource;
  /**
   * Sent in the first message, never in the URL. A function is called before every attempt, and when the token is about
   * to expire: the new one is sent over the open connection. Absent: none is sent, as where the URL has it (`?token=`)
   * or a proxy adds it.
   */
  readonly token?: TokenSource;
  /** Default: the WebSocket of the browser or Node.js 22. Node.js 20 has none: use that of the package `ws`. */
  readonly WebSocket?: WebSocketConstructor;
  readonly clock?: ClientClock;
  /** In [0, 1). Default: Math.random. */
  readonly random?: () => number;
  readonly backoff?: BackoffOptions;
  /** Ping interval, ms. Default 5,000. */
  readonly pingMs?: number;
  /** Timeout of opening a connection and of every pong, ms. Default 10,000. */
  readonly deadlineMs?: number;
  /** Whether to move after `moved`, to the node that owns the devices, and before a server stops. Default true. */
  readonly follow?: boolean;
}

/** Returns the options with defaults. Throws `invalid_config` where there is no WebSocket. */
export function bounded(options: StreamOptions) {
  const WebSocket: WebSocketConstructor | undefined = options.WebSocket ?? globalThis.WebSocket;
  if (WebSocket === undefined) {
    throw new TailraceError(
      'invalid_config',
      'WebSocket: expected the option, such as that of the package ws, got none; Node.js has one from version 22 on',
    );
  }
  return {
    token: options.token,
    WebSocket,
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    backoff: options.backoff,
    pingMs: options.pingMs ?? 5000,
    deadlineMs: options.deadlineMs ?? 10_000,
    follow: options.follow ?? true,
  };
}

export type BoundedStreamOptions = ReturnType<typeof bounded>;
