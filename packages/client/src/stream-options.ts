import type { BackoffOptions } from '@tailrace/protocol/backoff';
import { TailraceError } from '@tailrace/protocol/error';
import type { UrlSource } from './addresses.ts';
import { type ClientClock, systemClock } from './clock.ts';
import type { TokenSource } from './connection.ts';
import type { WebSocketConstructor } from './websocket.ts';

export interface StreamOptions {
  /**
   * Of the streams, as `wss://plant.example` or with the whole path `/v1/stream`. Of several addresses of one installation each gets its turn; a
   * function is asked before every attempt.
   */
  readonly url: UrlSource;
  /**
   * Sent as the first message, never in the URL. A function is asked before every attempt, and when the token is about to end: the fresh one is sent
   * over the open connection. Left out: none is sent, as where the URL has it (`?token=`) or a proxy adds it.
   */
  readonly token?: TokenSource;
  /** Default: the one of the browser or of Node 22. Node 20 has none: give that of the package `ws`. */
  readonly WebSocket?: WebSocketConstructor;
  readonly clock?: ClientClock;
  /** In [0, 1). Default: Math.random. */
  readonly random?: () => number;
  readonly backoff?: BackoffOptions;
  /** A ping this often, ms. Default 5,000. */
  readonly pingMs?: number;
  /** Opening a connection, and every answer, may take this long, ms. Default 10,000. */
  readonly deadlineMs?: number;
  /** Whether to go to the node where the devices live when the server says so, and to another one when it is about to stop. Default true. */
  readonly follow?: boolean;
}

/** The options with their defaults. Throws `invalid_config` where there is no WebSocket. */
export function bounded(options: StreamOptions) {
  const WebSocket: WebSocketConstructor | undefined = options.WebSocket ?? globalThis.WebSocket;
  if (WebSocket === undefined) {
    throw new TailraceError(
      'invalid_config',
      'WebSocket: expected the option, such as that of the package ws; this runtime has none (Node has from 22 on)',
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
