import { bearerToken } from '@tailrace/platform/bearer-token';
import type { Clock } from '@tailrace/platform/clock';
import { isHealthCheck } from '@tailrace/platform/health';
import type { Logger } from '@tailrace/platform/logger';
import type { Headers } from '@tailrace/platform/web-response';
import { shown } from '@tailrace/protocol/error';
import { type HandshakeLimits, Handshakes, type Refusal } from '../access/handshakes.ts';
import type { Accepted, Connection, HttpAnswer, RequestHead, Route, TransportHandlers } from '../transport.ts';
import type { Encoding } from '../views/view-options.ts';
import { Inbox, type MessageScheduler } from './message-scheduler.ts';
import { internalErrorClose, Session, type SessionOptions } from './session.ts';
import type { Sessions } from './sessions.ts';
import type { StreamSocket, StreamSockets } from './stream-socket.ts';

export interface StreamLimits extends HandshakeLimits {
  readonly messageBytesMax: number;
}

export interface StreamServerOptions {
  readonly sockets: StreamSockets;
  readonly sessions: Sessions;
  readonly messages: MessageScheduler;
  readonly limits: StreamLimits;
  readonly session: SessionOptions;
  readonly sessionId: () => string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The HTTP routes beside the stream. */
  readonly routes: readonly Route[];
}

/** A connection, from its handshake on. */
interface Client {
  readonly encoding: Encoding;
  /** The token of the handshake. Cleared once it is passed to the session. */
  token: string | undefined;
  /** The channels in the URL, to subscribe to at once. */
  channels: readonly string[];
  /** The address under which it is counted. */
  readonly address: string;
  session?: Session;
  socket?: StreamSocket;
  /** Created with the first message that waits: most clients never send that many. */
  inbox?: Inbox;
}

const subprotocols: Readonly<Record<string, Encoding>> = { 'tailrace.v1.json': 'json', 'tailrace.v1.proto': 'proto' };

const streamPath = '/v1/stream';

const healthHeaders: Headers = [
  ['content-type', 'application/json'],
  ['cache-control', 'no-store'],
];

/**
 * Serves `GET /v1/stream`: opens a session for each connection. An unexpected error closes that one connection alone.
 */
export class StreamServer implements TransportHandlers<Client> {
  readonly path = streamPath;
  readonly routes: readonly Route[];
  readonly counts = { opened: 0, refused: 0, messages: 0, errors: 0 };
  readonly handshakes: Handshakes;
  readonly #sockets: StreamSockets;
  readonly #sessions: Sessions;
  readonly #messages: MessageScheduler;
  readonly #limits: StreamLimits;
  readonly #session: SessionOptions;
  readonly #sessionId: () => string;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(options: StreamServerOptions) {
    const { sockets, sessions, messages, limits, session, sessionId, clock, logger, routes } = options;
    this.#sockets = sockets;
    this.#sessions = sessions;
    this.#messages = messages;
    this.#limits = limits;
    this.#session = session;
    this.#sessionId = sessionId;
    this.#clock = clock;
    this.#logger = logger;
    this.routes = routes;
    this.handshakes = new Handshakes(
      limits,
      () => clock.monotonic(),
      () => sessions.size,
    );
  }

  /** Refuses new connections from now on. */
  drain(): void {
    this.handshakes.draining = true;
  }

  handshake(request: RequestHead): Accepted<Client> | HttpAnswer {
    try {
      return this.#handshake(request);
    } catch (error) {
      this.counts.errors++;
      this.#logger.error({ error }, 'a handshake could not be handled');
      return { status: 500, headers: [], body: 'internal error; see the server log\n' };
    }
  }

  opened(client: Client, connection: Connection): void {
    try {
      this.#open(client, connection);
    } catch (error) {
      this.#fail(client, error, connection);
    }
  }

  message(client: Client, data: Uint8Array, isBinary: boolean): void {
    try {
      this.counts.messages++;
      const nowMs = this.#clock.monotonic();
      if (!this.#received(client, nowMs)) return;
      const session = client.session!;
      if (data.length > this.#limits.messageBytesMax) session.onTooLarge(data.length);
      else if (this.#messages.isFree(client.inbox)) {
        session.onMessage(isBinary ? data : textOf(data));
        this.#messages.spend(this.#clock.monotonic() - nowMs);
      } else {
        client.inbox ??= new Inbox((waited) => this.#handle(client, waited));
        // The bytes are only valid during this call.
        this.#messages.wait(client.inbox, isBinary ? data.slice() : textOf(data));
      }
    } catch (error) {
      this.#fail(client, error);
    }
  }

  heartbeat(client: Client): void {
    try {
      this.#received(client, this.#clock.monotonic());
    } catch (error) {
      this.#fail(client, error);
    }
  }

  dropped(client: Client): void {
    try {
      if (client.socket !== undefined) this.#sockets.dropped(client.socket);
    } catch (error) {
      // Not in the middle of a publish.
      setImmediate(() => this.#fail(client, error));
    }
  }

  drained(client: Client): void {
    try {
      client.socket?.drained();
    } catch (error) {
      this.#fail(client, error);
    }
  }

  closed(client: Client, code: number): void {
    try {
      this.#session.counts.closed(code);
      if (client.socket !== undefined) this.#sockets.delete(client.socket);
      this.handshakes.addresses.closed(client.address);
      if (client.session === undefined) return;
      this.#sessions.remove(client.session);
      client.session.onClose();
    } catch (error) {
      this.#fail(client, error);
    }
  }

  /** Answers health checks of load balancers like every port of Tailrace. */
  otherwise({ path, method }: RequestHead): HttpAnswer {
    if (isHealthCheck(method, path)) {
      const { draining } = this.handshakes;
      const body = JSON.stringify({ status: draining ? 'draining' : 'ok' });
      // An answer to HEAD has no body (RFC 9110, section 9.3.2).
      return { status: draining ? 503 : 200, headers: healthHeaders, body: method === 'HEAD' ? '' : body };
    }
    const code = 'not_found';
    if (path !== streamPath) {
      const requests = this.routes
        .filter((route) => route.method !== 'OPTIONS')
        .map((route) => `${route.method} ${route.path}`);
      const expected = [`a WebSocket handshake at ${streamPath}`, ...requests].join(', ');
      const message = `expected one of ${expected}, got ${shown(`${method} ${path}`)}`;
      return refusalOf({ status: 404, code, message }, []);
    }
    const upgrade: Headers = [['upgrade', 'websocket']];
    return refusalOf({ status: 426, code, message: 'expected a WebSocket handshake (RFC 6455)' }, upgrade);
  }

  #handshake(request: RequestHead): Accepted<Client> | HttpAnswer {
    const admitted = this.handshakes.admit({
      peer: request.peer,
      forwardedFor: request.header('x-forwarded-for'),
      origin: request.header('origin'),
    });
    if (typeof admitted !== 'string') {
      this.counts.refused++;
      const { retryAfterSeconds } = admitted;
      return refusalOf(admitted, retryAfterSeconds === undefined ? [] : [['retry-after', `${retryAfterSeconds}`]]);
    }
    const offered = request.header('sec-websocket-protocol').split(',', 16);
    const subprotocol = offered.map((name) => name.trim()).find((name) => Object.hasOwn(subprotocols, name));
    const query = new URLSearchParams(request.query);
    const client: Client = {
      encoding: subprotocol === undefined ? 'json' : subprotocols[subprotocol]!,
      token: bearerToken(request.header('authorization')) ?? query.get('token') ?? undefined,
      channels: query.getAll('channel'),
      address: admitted,
    };
    return { subprotocol: subprotocol ?? '', context: client };
  }

  #open(client: Client, connection: Connection): void {
    this.counts.opened++;
    this.handshakes.addresses.opened(client.address);
    client.socket = this.#sockets.add(connection);
    const session = new Session(this.#sessionId(), client.encoding, client.socket, this.#session, client.address);
    client.session = session;
    this.#sessions.add(session);
    const { token, channels } = client;
    // Released: a connection needs neither any more.
    client.token = undefined;
    client.channels = [];
    if (token !== undefined) void session.authenticate(token);
    channels.forEach((channel, i) => {
      session.onSubscribeRequest({ id: String(i + 1), channel });
    });
  }

  /** Notes that something was received from the client. Returns whether it may go on. */
  #received({ session }: Client, nowMs: number): boolean {
    this.#sessions.onReceived(session!);
    return session!.spend(nowMs);
  }

  /** Handles a message that has waited. */
  #handle(client: Client, data: string | Uint8Array): void {
    try {
      client.session!.onMessage(data);
    } catch (error) {
      this.#fail(client, error);
    }
  }

  /** Logs an unexpected error once, and closes this connection with 1011. */
  #fail({ session }: Client, thrown: unknown, connection?: Connection): void {
    this.counts.errors++;
    if (session !== undefined) {
      session.fail(thrown);
      return;
    }
    this.#logger.error({ error: thrown }, 'a connection could not be opened');
    connection?.end(internalErrorClose.code, internalErrorClose.reason);
  }
}

function refusalOf(
  { status, code, message }: Pick<Refusal, 'status' | 'code' | 'message'>,
  headers: Headers,
): HttpAnswer {
  return {
    status,
    headers: [['content-type', 'application/json'], ...headers],
    body: JSON.stringify({ error: { code, message } }),
  };
}

function textOf(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString('utf8');
}
