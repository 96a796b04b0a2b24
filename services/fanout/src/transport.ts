import type { Headers } from '@tailrace/platform/web-response';

/**
 * The network port of a fanout node: WebSocket connections with topics, and HTTP requests beside them. Adapters:
 * `uws-transport.ts` on sockets, `memory-transport.ts` within a process. Both pass `test/transport-contract.ts`.
 */
export interface Transport {
  /**
   * Accepts connections and requests from now on. Resolves with the port, or 0 without one. Rejects with
   * `address_in_use` and `invalid_config`. Called at most once.
   */
  listen<C extends object>(handlers: TransportHandlers<C>): Promise<number>;
  /**
   * Sends a frame to each connection that is subscribed to the topic: text frames for strings, binary ones for bytes.
   * A connection whose buffer is full does not get it, and `dropped` is called, possibly before this returns.
   */
  publish(topic: string, frame: string | Uint8Array): void;
  /** Terminates all connections, and accepts none. Idempotent. */
  close(): void;
  /** Returns the request bodies that are still being received, for metrics. */
  unfinishedBodies(): { readonly count: number; readonly bytes: number; readonly bytesMax: number };
}

/** The head of a request. Valid until the handler returns or awaits: copy what is needed later. */
export interface RequestHead {
  /** In upper case. */
  readonly method: string;
  readonly path: string;
  /** The text after `?`, as sent. */
  readonly query: string;
  /** The address of the peer of the socket. */
  readonly peer: string;
  /** Returns an empty text for a missing header. */
  header(lowerCaseName: string): string;
}

export interface HttpRequest extends RequestHead {
  /** Whether the client closed the connection before the response. Valid at any time. */
  readonly isAborted: boolean;
  /**
   * Resolves with the body, which the caller owns. Rejects with the errors of `BodySink`. Call it before the first
   * await.
   */
  body(bytesMax: number): Promise<Buffer>;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string | Uint8Array;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE' | 'OPTIONS';
  /** A last segment with a colon, as in `/v1/credentials/:id`, is for any segment. */
  readonly path: string;
  /** Returns the response. An error is logged, and answered with 500. */
  answer(request: HttpRequest): HttpAnswer | Promise<HttpAnswer>;
}

/** A WebSocket connection. No method may be called after it has closed. */
export interface Connection {
  /** Sends a frame to this connection. A full connection drops it and calls `dropped`. */
  send(frame: string | Uint8Array, isBinary: boolean): unknown;
  ping(): unknown;
  subscribe(topic: string): unknown;
  unsubscribe(topic: string): unknown;
  /** Returns the topics to which it is subscribed. */
  getTopics(): string[];
  /** Returns the bytes that wait in this process, without those in the kernel. */
  getBufferedAmount(): number;
  /** Closes it after everything sent before. Calls `closed` at once. */
  end(code: number, reason: string): unknown;
  /** Terminates it. Calls `closed` at once. */
  close(): unknown;
}

/** A handshake that is accepted. */
export interface Accepted<C> {
  /** Empty for none. */
  readonly subprotocol: string;
  /** Passed with each event of the connection. */
  readonly context: C;
}

/** Handlers of a transport. No method may throw. */
export interface TransportHandlers<C> {
  /** The path of WebSocket handshakes. */
  readonly path: string;
  readonly routes: readonly Route[];
  /** Answers a request that is neither a handshake nor for a route. */
  otherwise(request: RequestHead): HttpAnswer;
  /** Accepts a handshake, or returns the response that refuses it. */
  handshake(request: RequestHead): Accepted<C> | HttpAnswer;
  opened(context: C, connection: Connection): void;
  /** `data`: valid until this returns. */
  message(context: C, data: Uint8Array, isBinary: boolean): void;
  /** Receives a ping or pong of the WebSocket protocol. */
  heartbeat(context: C): void;
  /**
   * Called when the connection did not get a frame, and so has a gap. Possibly in the middle of a publish, when no
   * connection may be closed or leave a topic.
   */
  dropped(context: C): void;
  /** Called when the connection has sent some of the waiting bytes. */
  drained(context: C): void;
  /** Called once for each opened connection, which must not be used any more. */
  closed(context: C, code: number): void;
}

/** Whether a handshake was accepted. */
export function isAccepted<C>(answer: Accepted<C> | HttpAnswer): answer is Accepted<C> {
  return 'context' in answer;
}

/** Returns the first value of a query parameter; undefined for a missing one. */
export function queryParameter({ query }: Pick<RequestHead, 'query'>, name: string): string | undefined {
  return query === '' ? undefined : (new URLSearchParams(query).get(name) ?? undefined);
}
