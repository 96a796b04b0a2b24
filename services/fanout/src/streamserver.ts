import { randomBytes } from 'node:crypto';
import type { Clock } from '@tailrace/platform/clock';
import type { Log } from '@tailrace/platform/log';
import {
  bearerToken,
  type Headers,
  type HttpRequest,
  type HttpResponse,
  respond,
  type us_socket_context_t,
  type WebServer,
  type WebSocket,
  watchAbort,
} from '@tailrace/platform/webserver';
import { closeCodes } from '@tailrace/protocol/close';
import type { ErrorCode } from '@tailrace/protocol/error';
import { Session } from './session.ts';
import { faultClose, type SessionParts } from './sessionparts.ts';
import type { Sessions } from './sessions.ts';
import { StreamSocket } from './streamsocket.ts';
import type { Broadcast, Encoding } from './view.ts';

export interface StreamLimits {
  readonly connectionsMax: number;
  readonly messageBytesMax: number;
  /** Bytes that may wait in one socket. A client that lets more wait is ended with 4002. */
  readonly socketBytesMax: number;
  readonly heartbeatMs: number;
  readonly pongDeadlineMs: number;
}

export interface StreamServerParts {
  readonly server: WebServer;
  readonly sessions: Sessions;
  readonly limits: StreamLimits;
  readonly session: SessionParts;
  readonly clock: Clock;
  readonly log: Log;
}

interface Client {
  readonly encoding: Encoding;
  /** From the handshake. */
  readonly token: string | undefined;
  /** To subscribe to at once. A request's head has at most 4 KB, and so names some hundred at most. */
  readonly channels: readonly string[];
  session?: Session;
  socket?: StreamSocket;
}

const subprotocols: Readonly<Record<string, Encoding>> = { 'tailrace.v1.json': 'json', 'tailrace.v1.proto': 'proto' };

/** uWebSockets.js cuts a connection without a word over its own limit; up to this many times ours, the client is told 4413. */
const toldTooLargeFactor = 4;

/** What uWebSockets.js takes, seconds. */
const idleSecondsMax = 960;

/** `GET /v1/stream`: WebSocket connections of clients, as sessions. */
export class StreamServer implements Broadcast {
  readonly counts = { opened: 0, refused: 0, tooSlow: 0, messages: 0, faults: 0 };
  readonly #server: WebServer;
  readonly #sessions: Sessions;
  readonly #limits: StreamLimits;
  readonly #session: SessionParts;
  readonly #clock: Clock;
  readonly #log: Log;
  #draining = false;

  constructor(parts: StreamServerParts) {
    const { server, sessions, limits, session, clock, log } = parts;
    this.#server = server;
    this.#sessions = sessions;
    this.#limits = limits;
    this.#session = session;
    this.#clock = clock;
    this.#log = log;
    const guarded = this.#guarded.bind(this);
    server.app.ws<Client>('/v1/stream', {
      maxPayloadLength: limits.messageBytesMax * toldTooLargeFactor,
      maxBackpressure: limits.socketBytesMax,
      // Hearts are the sessions' business: they tell the client why it is let go. This is for those that cannot even be told.
      idleTimeout: Math.min(idleSecondsMax, 60 + Math.ceil((limits.heartbeatMs + limits.pongDeadlineMs) / 1_000)),
      sendPingsAutomatically: false,
      upgrade: (res, req, context) => {
        try {
          this.#upgrade(res, req, context);
        } catch (error) {
          this.counts.faults++;
          log.error({ error }, 'a handshake could not be handled');
          watchAbort(res);
          respond(res, 500, [], 'internal error; see the server log\n');
        }
      },
      open: (ws) => guarded(ws, (client) => this.#open(ws, client)),
      message: (ws, data, isBinary) => guarded(ws, (client) => this.#message(client, data, isBinary)),
      pong: (ws) => guarded(ws, (client) => this.#heard(client)),
      ping: (ws) => guarded(ws, (client) => this.#heard(client)),
      // In the middle of a publish, where uWebSockets.js ends the process if a socket leaves its topics: what ends it has to wait.
      dropped: (ws) => guarded(ws, (client) => this.#lost(client), setImmediate),
      drain: (ws) => guarded(ws, (client) => client.socket?.drained()),
      close: (ws) => guarded(ws, (client) => this.#close(client)),
    });
    server.app.any(
      '/*',
      server.guarded((res, req) => elsewhere(res, req.getUrl())),
    );
  }

  /**
   * uWebSockets.js aborts the whole process where a handler throws. What nobody expected is logged once, and ends that one socket with
   * 1011, now or when `whenSafe` calls.
   */
  #guarded(
    ws: WebSocket<Client>,
    call: (client: Client) => void,
    whenSafe: (end: () => void) => void = (end) => end(),
  ): void {
    const client = ws.getUserData();
    try {
      call(client);
    } catch (thrown) {
      this.counts.faults++;
      const { session } = client;
      if (session !== undefined) whenSafe(() => session.fail(thrown));
      else {
        this.#log.error({ error: thrown }, 'a connection could not be opened');
        ws.end(faultClose.code, faultClose.reason);
      }
    }
  }

  publish(topic: string, frame: string | Uint8Array): void {
    this.#server.app.publish(topic, frame, typeof frame !== 'string');
  }

  /** No new connections from now on. */
  drain(): void {
    this.#draining = true;
  }

  #upgrade(res: HttpResponse, req: HttpRequest, context: us_socket_context_t): void {
    if (this.#draining || this.#sessions.size >= this.#limits.connectionsMax) {
      this.counts.refused++;
      const why = this.#draining
        ? 'this node is going'
        : `${this.#limits.connectionsMax} connections are the most this node takes`;
      refuse(res, 503, { code: 'unavailable', message: `${why}; try another, or again` }, [['retry-after', '1']]);
      return;
    }
    const offered = req.getHeader('sec-websocket-protocol').split(',', 16);
    const subprotocol = offered.map((name) => name.trim()).find((name) => Object.hasOwn(subprotocols, name));
    const query = new URLSearchParams(req.getQuery());
    const client: Client = {
      encoding: subprotocol === undefined ? 'json' : subprotocols[subprotocol]!,
      token: bearerToken(req) ?? query.get('token') ?? undefined,
      channels: query.getAll('channel'),
    };
    res.upgrade<Client>(
      client,
      req.getHeader('sec-websocket-key'),
      subprotocol ?? '',
      req.getHeader('sec-websocket-extensions'),
      context,
    );
  }

  #open(ws: WebSocket<Client>, client: Client): void {
    this.counts.opened++;
    const limits = { socketBytesMax: this.#limits.socketBytesMax, goodbyeMs: this.#limits.pongDeadlineMs };
    client.socket = new StreamSocket(ws, limits, this.#clock);
    const session = new Session(randomBytes(9).toString('base64url'), client.encoding, client.socket, this.#session);
    client.session = session;
    this.#sessions.add(session);
    if (client.token !== undefined) void session.authenticate(client.token);
    client.channels.forEach((channel, i) => {
      session.onWish({ id: String(i + 1), channel });
    });
  }

  #message(client: Client, data: ArrayBuffer, isBinary: boolean): void {
    this.counts.messages++;
    const session = client.session!;
    this.#sessions.heard(session);
    if (data.byteLength > this.#limits.messageBytesMax) session.onTooLarge(data.byteLength);
    // The buffer is gone after this call: what is kept of it is decoded, and so copied, first.
    else session.onMessage(isBinary ? new Uint8Array(data) : Buffer.from(data).toString('utf8'));
  }

  #heard(client: Client): void {
    this.#sessions.heard(client.session!);
  }

  /** A frame did not fit any more: the client has a gap, so that it must not get anything newer. */
  #lost(client: Client): void {
    if (client.socket?.lose(() => client.session?.end(closeCodes.tooSlow))) this.counts.tooSlow++;
  }

  #close(client: Client): void {
    client.socket?.closed();
    if (client.session === undefined) return;
    this.#sessions.remove(client.session);
    client.session.onClose();
  }
}

/** What is no handshake. */
function elsewhere(res: HttpResponse, path: string): void {
  const code = 'not_found';
  if (path !== '/v1/stream') refuse(res, 404, { code, message: 'this port serves WebSockets at /v1/stream' }, []);
  else refuse(res, 426, { code, message: 'this is no WebSocket handshake (RFC 6455)' }, [['upgrade', 'websocket']]);
}

function refuse(
  res: HttpResponse,
  status: number,
  error: { readonly code: ErrorCode; readonly message: string },
  headers: Headers,
): void {
  watchAbort(res);
  respond(res, status, [['content-type', 'application/json'], ...headers], JSON.stringify({ error }));
}
