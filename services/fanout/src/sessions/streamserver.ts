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
import { type HandshakeLimits, Handshakes, type Refusal } from '../access/handshakes.ts';
import type { Broadcast, Encoding } from '../views/view.ts';
import { Session } from './session.ts';
import { faultClose, type SessionParts } from './sessionparts.ts';
import type { Sessions } from './sessions.ts';
import { StreamSocket, type StreamSocketLimits } from './streamsocket.ts';

export interface StreamLimits extends HandshakeLimits, Omit<StreamSocketLimits, 'goodbyeMs'> {
  readonly messageBytesMax: number;
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
  token: string | undefined;
  /** To subscribe to at once. A request's head has at most 4 KB, and so names some hundred at most. */
  channels: readonly string[];
  /** Under which it is counted. */
  readonly address: string;
  session?: Session;
  socket?: StreamSocket;
}

const subprotocols: Readonly<Record<string, Encoding>> = { 'tailrace.v1.json': 'json', 'tailrace.v1.proto': 'proto' };

/** uWebSockets.js cuts a connection without a word over its own limit; up to this many times ours, the client is told 4413. */
const toldTooLargeFactor = 4;

/** Sockets are looked at when so many times what may wait in one has been published. */
const lookMarks = 4;

/** What uWebSockets.js takes, seconds. */
const idleSecondsMax = 960;

/** What load balancers ask unless told otherwise. */
const healthPaths: ReadonlySet<string> = new Set(['/', '/healthz', '*']);
const healthMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
const healthHeaders: Headers = [
  ['content-type', 'application/json'],
  ['cache-control', 'no-store'],
];

/** `GET /v1/stream`: WebSocket connections of clients, as sessions. */
export class StreamServer implements Broadcast {
  readonly counts = {
    ...{ opened: 0, refused: 0, messages: 0, faults: 0 },
    ...{ tooSlow: 0, lagging: 0, lagMs: 0, replies: { bytes: 0 } },
  };
  /** Whose sockets are looked at when so much has been published that one of them may be full. */
  readonly sockets = new Set<StreamSocket>();
  #publishedBytes = 0;
  #lost: StreamSocket[] = [];
  readonly #server: WebServer;
  readonly #sessions: Sessions;
  readonly #limits: StreamLimits;
  /** One for all sockets. */
  readonly #socketLimits: StreamSocketLimits;
  readonly #session: SessionParts;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly handshakes: Handshakes;

  constructor(parts: StreamServerParts) {
    const { server, sessions, limits, session, clock, log } = parts;
    this.#server = server;
    this.#sessions = sessions;
    this.#limits = limits;
    this.#socketLimits = { ...limits, goodbyeMs: limits.pongDeadlineMs };
    this.#session = session;
    this.#clock = clock;
    this.#log = log;
    this.handshakes = new Handshakes(
      limits,
      () => clock.monotonic(),
      () => sessions.size,
    );
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
      pong: (ws) => guarded(ws, (client) => void this.#heard(client)),
      ping: (ws) => guarded(ws, (client) => void this.#heard(client)),
      // In the middle of a publish, where uWebSockets.js ends the process if a socket leaves its topics: what ends it has to wait.
      dropped: (ws) => guarded(ws, (client) => this.#dropped(client), setImmediate),
      drain: (ws) => guarded(ws, (client) => client.socket?.drained()),
      close: (ws, code) => guarded(ws, (client) => this.#close(client, code)),
    });
    server.app.any(
      '/*',
      server.guarded((res, req) => this.#elsewhere(res, req)),
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

  /**
   * uWebSockets.js does not say to which sockets a frame went, nor how much waits there now. But no socket can have got more than was published: so all are looked
   * at each time that so much was, which costs a call a socket and megabyte.
   */
  publish(topic: string, frame: string | Uint8Array): void {
    this.#cutLost();
    this.#server.app.publish(topic, frame, typeof frame !== 'string');
    this.#cutLost();
    const before = this.#publishedBytes;
    this.#publishedBytes += frame.length;
    // Not now, in the middle of a batch, but before anything else happens.
    if (before < this.#lookBytes && this.#publishedBytes >= this.#lookBytes) queueMicrotask(() => this.#look());
  }

  get #lookBytes(): number {
    return lookMarks * this.#limits.socketMarkBytes;
  }

  #look(): void {
    this.#publishedBytes = 0;
    for (const socket of [...this.sockets]) socket.check();
  }

  /** Before anything newer is published, and not in the middle of it. */
  #cutLost(): void {
    if (this.#lost.length === 0) return;
    for (const socket of this.#lost.splice(0)) socket.cut();
  }

  /** What is no handshake. Health checks of load balancers are answered like on every port of ours. */
  #elsewhere(res: HttpResponse, req: HttpRequest): void {
    const path = req.getUrl();
    if (healthPaths.has(path) && healthMethods.has(req.getCaseSensitiveMethod())) {
      const { draining } = this.handshakes;
      const body = JSON.stringify({ status: draining ? 'draining' : 'ok' });
      // An answer to HEAD has no body (RFC 9110, section 9.3.2).
      respond(res, draining ? 503 : 200, healthHeaders, req.getCaseSensitiveMethod() === 'HEAD' ? '' : body);
      return;
    }
    const code = 'not_found';
    if (path !== '/v1/stream')
      refuse(res, { status: 404, code, message: 'this port serves WebSockets at /v1/stream' }, []);
    else
      refuse(res, { status: 426, code, message: 'this is no WebSocket handshake (RFC 6455)' }, [
        ['upgrade', 'websocket'],
      ]);
  }

  /** No new connections from now on. */
  drain(): void {
    this.handshakes.draining = true;
  }

  #upgrade(res: HttpResponse, req: HttpRequest, context: us_socket_context_t): void {
    const admitted = this.handshakes.admit({
      peer: Buffer.from(res.getRemoteAddressAsText()).toString('latin1'),
      forwardedFor: req.getHeader('x-forwarded-for'),
      origin: req.getHeader('origin'),
    });
    if (typeof admitted !== 'string') {
      this.counts.refused++;
      refuse(res, admitted, admitted.retryAfterSeconds === undefined ? [] : retryAfter(admitted.retryAfterSeconds));
      return;
    }
    const offered = req.getHeader('sec-websocket-protocol').split(',', 16);
    const subprotocol = offered.map((name) => name.trim()).find((name) => Object.hasOwn(subprotocols, name));
    const query = new URLSearchParams(req.getQuery());
    const client: Client = {
      encoding: subprotocol === undefined ? 'json' : subprotocols[subprotocol]!,
      token: bearerToken(req) ?? query.get('token') ?? undefined,
      channels: query.getAll('channel'),
      address: admitted,
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
    this.handshakes.addresses.opened(client.address);
    client.socket = new StreamSocket(ws, this.#socketLimits, this.#clock, this.counts);
    this.sockets.add(client.socket);
    const session = new Session(randomBytes(9).toString('base64url'), client.encoding, client.socket, this.#session);
    client.session = session;
    this.#sessions.add(session);
    const { token, channels } = client;
    // For the rest of its life a connection needs neither.
    client.token = undefined;
    client.channels = [];
    if (token !== undefined) void session.authenticate(token);
    channels.forEach((channel, i) => {
      session.onWish({ id: String(i + 1), channel });
    });
  }

  #message(client: Client, data: ArrayBuffer, isBinary: boolean): void {
    this.counts.messages++;
    if (!this.#heard(client)) return;
    const session = client.session!;
    if (data.byteLength > this.#limits.messageBytesMax) session.onTooLarge(data.byteLength);
    // The buffer is gone after this call: what is kept of it is decoded, and so copied, first.
    else session.onMessage(isBinary ? new Uint8Array(data) : Buffer.from(data).toString('utf8'));
  }

  /** Whether the client may go on. */
  #heard(client: Client): boolean {
    this.#sessions.heard(client.session!);
    return client.session!.spend(this.#clock.monotonic());
  }

  /** A frame did not fit any more: the client has a gap, so that it must not get anything newer. */
  #dropped(client: Client): void {
    if (client.socket?.lose()) this.#lost.push(client.socket);
  }

  #close(client: Client, code: number): void {
    this.#session.counts.closed(code);
    client.socket?.closed();
    if (client.socket !== undefined) this.sockets.delete(client.socket);
    this.handshakes.addresses.closed(client.address);
    if (client.session === undefined) return;
    this.#sessions.remove(client.session);
    client.session.onClose();
  }
}

function refuse(
  res: HttpResponse,
  { status, code, message }: Pick<Refusal, 'status' | 'code' | 'message'>,
  headers: Headers,
): void {
  const error = { code, message };
  watchAbort(res);
  respond(res, status, [['content-type', 'application/json'], ...headers], JSON.stringify({ error }));
}

function retryAfter(seconds: number): Headers {
  return [['retry-after', `${seconds}`]];
}
