import { TailraceError } from '@tailrace/protocol/error';
import {
  type Connection,
  type HttpAnswer,
  type HttpRequest,
  isAccepted,
  type RequestHead,
  type Transport,
  type TransportHandlers,
} from './transport.ts';

/** The client's end of a connection within this process. No method may throw. */
export interface MemoryClient {
  /** Receives a frame. `isPublished`: it was sent to a topic, not to this connection alone. */
  message(frame: string | Uint8Array, isPublished: boolean): void;
  closed(code: number, reason: string): void;
}

/** One direction of a connection. Delivers in order, at once or later. */
export interface Wire {
  /** Bytes that wait in the process of the sender. */
  readonly waitingBytes: number;
  send(bytes: number, arrive: () => void): void;
  /** Drops the waiting bytes, and sends nothing more. */
  terminate(): void;
}

export interface Wires {
  readonly toClient: Wire;
  readonly toServer: Wire;
}

export interface MemoryRequest {
  /** In capitals. Default: GET. */
  readonly method?: string;
  /** With the query. */
  readonly target: string;
  /** By names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

const peerAddress = '127.0.0.1';
const pingBytes = 2;
const closeBytes = 4;
/** RFC 6455, section 7.1.5: the connection was closed abnormally. */
const brokenCode = 1006;

/** Delivers at once: a connection without a network. */
export const directWire: Wire = {
  waitingBytes: 0,
  send: (_bytes, arrive) => arrive(),
  terminate() {},
};

/**
 * Connections and requests within one process. Follows the rules of uWebSockets.js: a frame is dropped if more than
 * `socketBytesMax` waits on its connection, and no connection may leave a topic in the middle of a publish.
 */
export class MemoryTransport implements Transport {
  /** The open connections. */
  readonly connections = new Set<MemoryConnection>();
  readonly #socketBytesMax: number;
  readonly #topics = new Map<string, Set<MemoryConnection>>();
  #handlers: TransportHandlers<object> | undefined;
  #isPublishing = false;

  constructor(options: { readonly socketBytesMax: number }) {
    this.#socketBytesMax = options.socketBytesMax;
  }

  get isListening(): boolean {
    return this.#handlers !== undefined;
  }

  async listen<C extends object>(handlers: TransportHandlers<C>): Promise<number> {
    // A connection passes to each handler the context that the same object created for it.
    this.#handlers = handlers as unknown as TransportHandlers<object>;
    return 0;
  }

  publish(topic: string, frame: string | Uint8Array): void {
    const connections = this.#topics.get(topic);
    if (connections === undefined) return;
    this.#isPublishing = true;
    try {
      for (const connection of connections) connection.deliver(frame, true);
    } finally {
      this.#isPublishing = false;
    }
  }

  close(): void {
    this.#handlers = undefined;
    for (const connection of [...this.connections]) connection.close();
  }

  unfinishedBodies(): ReturnType<Transport['unfinishedBodies']> {
    return { count: 0, bytes: 0, bytesMax: 0 };
  }

  /** Opens a connection, or returns the response that refuses it. `wires`: to and from the client. Default: direct. */
  connect(
    request: MemoryRequest,
    client: MemoryClient,
    wires: (drained: () => void) => Wires = () => ({ toClient: directWire, toServer: directWire }),
  ): MemoryConnection | HttpAnswer {
    const handlers = this.#listening();
    const answer = handlers.handshake(headOf(request));
    if (!isAccepted(answer)) return answer;
    const { context } = answer;
    const connection: MemoryConnection = new MemoryConnection({
      handlers,
      context,
      client,
      wires: wires(() => connection.drained()),
      socketBytesMax: this.#socketBytesMax,
      join: (topic) => this.#join(topic, connection),
      leave: (topic) => this.#leave(topic, connection),
      gone: () => void this.connections.delete(connection),
    });
    this.connections.add(connection);
    handlers.opened(context, connection);
    return connection;
  }

  /** Sends an HTTP request. */
  async fetch(request: MemoryRequest): Promise<HttpAnswer> {
    const handlers = this.#listening();
    const head = headOf(request);
    const route = handlers.routes.find(({ method, path }) => method === head.method && isOn(path, head.path));
    return route === undefined ? handlers.otherwise(head) : await route.answer(requestOf(head, request.body ?? ''));
  }

  #listening(): TransportHandlers<object> {
    if (this.#handlers !== undefined) return this.#handlers;
    throw new TailraceError('unavailable', 'expected a transport that listens, got one that does not');
  }

  #join(topic: string, connection: MemoryConnection): void {
    const connections = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, connections.add(connection));
  }

  #leave(topic: string, connection: MemoryConnection): void {
    // uWebSockets.js aborts the process.
    if (this.#isPublishing)
      throw new TailraceError('internal', `expected no connection to leave ${topic} in the middle of a publish`);
    const connections = this.#topics.get(topic);
    if (connections?.delete(connection) && connections.size === 0) this.#topics.delete(topic);
  }
}

/** Returns whether the path of a route, see `Route`, is for this path. */
function isOn(route: string, path: string): boolean {
  const end = route.indexOf(':');
  if (end === -1) return route === path;
  return path.startsWith(route.slice(0, end)) && path.length > end && !path.includes('/', end);
}

/** Both sides of a connection: `Connection` for the server; `sendMessage` and `leave` for its client. */
export class MemoryConnection implements Connection {
  /** The largest frame that was sent. */
  frameBytesMost = 0;
  readonly #handlers: TransportHandlers<object>;
  readonly #context: object;
  readonly #wires: Wires;
  readonly #socketBytesMax: number;
  readonly #join: (topic: string) => void;
  readonly #leave: (topic: string) => void;
  readonly #gone: () => void;
  readonly #topics = new Set<string>();
  /** Undefined after the close. */
  #client: MemoryClient | undefined;
  #isOpen = true;

  constructor(options: {
    handlers: TransportHandlers<object>;
    context: object;
    client: MemoryClient;
    wires: Wires;
    socketBytesMax: number;
    join: (topic: string) => void;
    leave: (topic: string) => void;
    gone: () => void;
  }) {
    this.#handlers = options.handlers;
    this.#context = options.context;
    this.#client = options.client;
    this.#wires = options.wires;
    this.#socketBytesMax = options.socketBytesMax;
    this.#join = options.join;
    this.#leave = options.leave;
    this.#gone = options.gone;
  }

  send(frame: string | Uint8Array, _isBinary: boolean): void {
    this.deliver(frame, false);
  }

  /** Sends a frame to this connection alone, or a published one. */
  deliver(frame: string | Uint8Array, isPublished: boolean): void {
    if (!this.#isOpen) return;
    if (this.getBufferedAmount() > this.#socketBytesMax) {
      this.#handlers.dropped(this.#context);
      return;
    }
    // A copy, because bytes may be a view of a buffer of the sender.
    const sent = typeof frame === 'string' ? frame : new Uint8Array(frame);
    const bytes = frame.length;
    this.#wires.toClient.send(bytes, () => this.#client?.message(sent, isPublished));
    this.frameBytesMost = Math.max(this.frameBytesMost, bytes);
  }

  /** The client answers each ping. */
  ping(): void {
    if (!this.#isOpen || this.getBufferedAmount() > this.#socketBytesMax) return;
    const { toClient, toServer } = this.#wires;
    toClient.send(pingBytes, () => {
      if (this.#client !== undefined)
        toServer.send(pingBytes, () => this.#isOpen && this.#handlers.heartbeat(this.#context));
    });
  }

  subscribe(topic: string): void {
    this.#topics.add(topic);
    this.#join(topic);
  }

  unsubscribe(topic: string): void {
    this.#topics.delete(topic);
    this.#leave(topic);
  }

  getTopics(): string[] {
    return [...this.#topics];
  }

  getBufferedAmount(): number {
    return this.#wires.toClient.waitingBytes;
  }

  end(code: number, reason: string): void {
    if (!this.#isOpen) return;
    this.#wires.toClient.send(closeBytes + reason.length, () => this.#closeClient(code, reason));
    this.#close(code);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#wires.toClient.terminate();
    this.#reset();
    this.#close(brokenCode);
  }

  /**
   * Simulates a crash of the server's process. `isNoticed`: its machine resets the connection; otherwise the client
   * does not notice.
   */
  crash(isNoticed: boolean): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#wires.toClient.terminate();
    if (isNoticed) this.#reset();
  }

  /** Sends a message, called by the client. */
  sendMessage(data: string | Uint8Array): void {
    const isBinary = typeof data !== 'string';
    const bytes = isBinary ? data : Buffer.from(data);
    this.#wires.toServer.send(data.length, () => {
      if (this.#isOpen) this.#handlers.message(this.#context, bytes, isBinary);
    });
  }

  /**
   * Closes the connection, called by the client, which receives nothing more. The server is notified when the close
   * frame arrives.
   */
  leave(code = 1000): void {
    this.#client = undefined;
    this.#wires.toServer.send(closeBytes + 4, () => {
      if (!this.#isOpen) return;
      this.#wires.toClient.terminate();
      this.#close(code);
    });
  }

  /** Called by the wire when it has sent some of the waiting bytes. */
  drained(): void {
    if (this.#isOpen) this.#handlers.drained(this.#context);
  }

  #reset(): void {
    this.#wires.toServer.send(0, () => this.#closeClient(brokenCode, ''));
  }

  /** As with uWebSockets.js, `closed` is called at once. */
  #close(code: number): void {
    this.#isOpen = false;
    for (const topic of this.#topics) this.#leave(topic);
    this.#topics.clear();
    this.#gone();
    this.#handlers.closed(this.#context, code);
  }

  #closeClient(code: number, reason: string): void {
    const client = this.#client;
    this.#client = undefined;
    client?.closed(code, reason);
  }
}

function headOf({ method = 'GET', target, headers = {} }: MemoryRequest): RequestHead {
  const at = target.indexOf('?');
  return {
    method,
    path: at < 0 ? target : target.slice(0, at),
    query: at < 0 ? '' : target.slice(at + 1),
    peer: peerAddress,
    header: (lowerCaseName) => headers[lowerCaseName] ?? '',
  };
}

function requestOf(head: RequestHead, body: string | Uint8Array): HttpRequest {
  return {
    ...head,
    isAborted: false,
    async body(bytesMax) {
      const bytes = Buffer.from(body as string);
      if (bytes.length <= bytesMax) return bytes;
      throw new TailraceError('too_large', `the body: expected at most ${bytesMax} bytes, got ${bytes.length}`);
    },
  };
}
