import { randomBytes } from 'node:crypto';
import {
  bearerToken,
  type HttpRequest,
  type HttpResponse,
  respond,
  type us_socket_context_t,
  type WebServer,
  type WebSocket,
  watchAbort,
} from '@tailrace/platform/webserver';
import { closeCodes } from '@tailrace/protocol/close';
import { Session, type SessionParts, type Socket } from './session.ts';
import type { Sessions } from './sessions.ts';
import type { Broadcast, Encoding } from './view.ts';

export interface StreamLimits {
  readonly connectionsMax: number;
  readonly messageBytesMax: number;
  /** Bytes that may wait in one socket. A client that lets more wait is ended with 4002. */
  readonly socketBytesMax: number;
}

interface Client {
  readonly encoding: Encoding;
  /** From the handshake. */
  readonly token: string | undefined;
  /** To subscribe to at once. */
  readonly channels: readonly string[];
  session?: Session;
  socket?: StreamSocket;
}

const subprotocols: Readonly<Record<string, Encoding>> = { 'tailrace.v1.json': 'json', 'tailrace.v1.proto': 'proto' };

/** uWebSockets.js cuts a connection without a word over its own limit; up to this many times ours, the client is told 4413. */
const toldTooLargeFactor = 4;

/** `GET /v1/stream`: WebSocket connections of clients, as sessions. */
export class StreamServer implements Broadcast {
  readonly counts = { opened: 0, refused: 0, tooSlow: 0, messages: 0 };
  readonly #server: WebServer;
  readonly #sessions: Sessions;
  readonly #limits: StreamLimits;
  readonly #session: () => SessionParts;
  #draining = false;

  constructor(server: WebServer, sessions: Sessions, limits: StreamLimits, session: () => SessionParts) {
    this.#server = server;
    this.#sessions = sessions;
    this.#limits = limits;
    this.#session = session;
    server.app.ws<Client>('/v1/stream', {
      maxPayloadLength: limits.messageBytesMax * toldTooLargeFactor,
      maxBackpressure: limits.socketBytesMax,
      // Hearts are the sessions' business: they tell the client why it is let go. This is for those that cannot even be told.
      idleTimeout: 120,
      sendPingsAutomatically: false,
      upgrade: (res, req, context) => this.#upgrade(res, req, context),
      open: (ws) => this.#open(ws),
      message: (ws, data, isBinary) => this.#message(ws.getUserData(), data, isBinary),
      pong: (ws) => this.#heard(ws.getUserData()),
      ping: (ws) => this.#heard(ws.getUserData()),
      dropped: (ws) => this.#lost(ws.getUserData()),
      drain: (ws) => ws.getUserData().socket?.drained(),
      close: (ws) => this.#close(ws.getUserData()),
    });
    const elsewhere = JSON.stringify({
      error: { code: 'not_found', message: 'this port serves WebSockets at /v1/stream' },
    });
    server.app.any('/*', (res) => {
      watchAbort(res);
      respond(res, 404, [['content-type', 'application/json']], elsewhere);
    });
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
      watchAbort(res);
      const body = JSON.stringify({ error: { code: 'unavailable', message: `${why}; try another, or again` } });
      respond(
        res,
        503,
        [
          ['retry-after', '1'],
          ['content-type', 'application/json'],
        ],
        body,
      );
      return;
    }
    const offered = req.getHeader('sec-websocket-protocol').split(',', 16);
    const subprotocol = offered.map((name) => name.trim()).find((name) => Object.hasOwn(subprotocols, name));
    const query = new URLSearchParams(req.getQuery());
    const client: Client = {
      encoding: subprotocol === undefined ? 'json' : subprotocols[subprotocol]!,
      token: bearerToken(req) ?? query.get('token') ?? undefined,
      channels: query.getAll('channel').slice(0, 16),
    };
    res.upgrade<Client>(
      client,
      req.getHeader('sec-websocket-key'),
      subprotocol ?? '',
      req.getHeader('sec-websocket-extensions'),
      context,
    );
  }

  #open(ws: WebSocket<Client>): void {
    this.counts.opened++;
    const client = ws.getUserData();
    client.socket = new StreamSocket(ws);
    client.session = new Session(randomBytes(9).toString('base64url'), client.encoding, client.socket, this.#session());
    this.#sessions.add(client.session);
    if (client.token !== undefined) void client.session.authenticate(client.token);
    client.channels.forEach((channel, i) => {
      // Waits with the other messages until the token is verified; without a token it is refused as they are.
      client.session?.onWish({ id: String(i + 1), channel });
    });
  }

  #message(client: Client, data: ArrayBuffer, isBinary: boolean): void {
    this.counts.messages++;
    const session = client.session!;
    this.#sessions.heard(session);
    if (data.byteLength > this.#limits.messageBytesMax) session.end(closeCodes.messageTooLarge);
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
    client.socket!.closed();
    client.session!.onClose();
    this.#sessions.remove(client.session!);
  }
}

/**
 * A uWebSockets.js socket as a session uses it: never touched after it has gone. A socket that lost a frame is ended in the next turn of the loop, or
 * before anything newer could be buffered, whichever comes first; not at once, because the loss shows in the middle of a publish.
 */
class StreamSocket implements Socket {
  #ws: WebSocket<Client> | undefined;
  #onLost: (() => void) | undefined;

  constructor(ws: WebSocket<Client>) {
    this.#ws = ws;
  }

  send(frame: string | Uint8Array): void {
    if (this.#onLost === undefined) this.#ws?.send(frame, typeof frame !== 'string');
  }

  ping(): void {
    this.#ws?.ping();
  }

  join(topic: string): void {
    this.#ws?.subscribe(topic);
  }

  leave(topic: string): void {
    this.#ws?.unsubscribe(topic);
  }

  end(code: number, reason: string): void {
    this.#ws?.end(code, reason);
  }

  /** Whether this is the first loss. */
  lose(onLost: () => void): boolean {
    if (this.#onLost !== undefined) return false;
    this.#onLost = onLost;
    setImmediate(onLost);
    return true;
  }

  /** Room in the buffer: for a socket that lost a frame, the last moment to end it. */
  drained(): void {
    this.#onLost?.();
  }

  closed(): void {
    this.#ws = undefined;
  }
}
