import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeader,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, BlockList, Socket } from 'node:net';
import { type ErrorCode, TailraceError } from '@tailrace/protocol/error';
import { type BodyOwner, BodyReader, type BodySink, type IncomingBody } from './body-reader.ts';
import { BodyStream, type StreamSink } from './body-stream.ts';
import { addressKey, clientAddress, proxiesFrom } from './client-address.ts';
import { type ClientCertificate, ClientCertificates } from './client-certificate.ts';
import { type Clock, systemClock } from './clock.ts';
import { type Connection, type ConnectionLimits, Connections } from './connections.ts';
import { errorBody, headBytesMax, isEndOfClient, type RefusedStatus, rawAnswer, refusalOf } from './http-refusal.ts';
import { HttpUpgrades, type Upgrade } from './http-upgrade.ts';
import { listenError } from './listen-error.ts';
import type { Logger } from './logger.ts';
import type { ServerTlsReader } from './server-tls-reader.ts';
import { type HandshakeCounts, noHandshakes, TlsListener } from './tls-listener.ts';
import type { Headers } from './web-response.ts';

export type { Headers } from './web-response.ts';

export interface HttpServerOptions extends Omit<ConnectionLimits, 'trustedProxies'> {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The key of the setting of the port, for the error if it is in use. Default: `port`. */
  readonly portSetting?: string;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** From the head of a request to the last byte of its body. Default: 10,000 ms. */
  readonly bodyMs?: number;
  /** Bytes of unfinished bodies held at once, over all connections. Default: 64 MB. */
  readonly unfinishedBytesMax?: number;
  /**
   * How long a connection may be idle between two requests. Above that of the load balancer, which would else send into
   * a closed connection. Default: 75,000 ms.
   */
  readonly keepAliveMs?: number;
  /** Addresses and networks whose `X-Forwarded-For` is trusted. An invalid one throws `invalid_config`. */
  readonly trustedProxies?: readonly string[];
  /** A second port, with TLS; its setting is `tlsPort`. 0: any free port. Default: none. */
  readonly tls?: { readonly port: number; readonly reader: ServerTlsReader };
  /**
   * The header in which trusted proxies pass the certificate of the client, in lower case. It is ignored from any other
   * peer. Empty: none, the default.
   */
  readonly clientCertificateHeader?: string;
}

/** Callbacks of the server. */
export interface HttpHandlers {
  /** Called with a request whose head is complete. An error that it throws is logged, and the response is 500. */
  request(exchange: HttpExchange): void;
  /** The server has refused bytes that are no valid request. */
  refused(status: RefusedStatus): void;
  /** Returns whether a limit of the service is near: slow bodies are terminated early then. */
  isNearLimit(): boolean;
}

/** Before `listen` there is no connection. */
const noHandlers: HttpHandlers = { request() {}, refused() {}, isNearLimit: () => false };

/** An option of Node.js 22.21 that its types do not have yet. False: the request is an ordinary one. */
interface UpgradeOptions {
  readonly shouldUpgradeCallback: (request: IncomingMessage) => boolean;
}

/** Deadline of the head of a request, from its first byte or from the connection. */
const headMs = 10_000;
/** Resolution of `headMs`. */
const headCheckMs = 1_000;
/** How long a client that is still sending may read its response before the connection is closed. */
const lingerMs = 1_000;
/**
 * Of responses above `largeAnswerBytes` that clients have not read yet; beyond it the connection of the oldest one is
 * closed.
 */
const unreadAnswerBytesMax = 33_554_432;
const largeAnswerBytes = 65_536;
/** Most bytes of a streamed response that wait for its client; beyond it further parts are left out. */
const unreadStreamBytesMax = 65_536;
const exchangeOf = Symbol('exchange');
interface WithExchange {
  [exchangeOf]?: HttpExchange;
}

/**
 * An HTTP server on Node.js (`llhttp`) for requests and responses, bounded in heads, bodies, time and connections. It
 * closes a connection with invalid framing (RFC 9112), because proxies interpret it differently. A handler gets an
 * `HttpExchange` only. Nothing listens before `listen`.
 */
export class HttpServer {
  readonly connections: Connections;
  readonly bodies: BodyReader;
  readonly #server: Server;
  readonly #options: HttpServerOptions;
  readonly #clock: Clock;
  readonly #trusted: BlockList;
  readonly #tls: TlsListener | undefined;
  readonly #certificates: ClientCertificates;
  /** The port with TLS, once it listens; 0 without one. */
  tlsPort = 0;
  /** Large responses that are not read yet, oldest first. */
  readonly #largeAnswers = new Map<HttpExchange, number>();
  #unreadAnswerBytes = 0;
  /** Requests without a complete response. */
  #open = 0;
  #closesAfterAnswers = false;
  #drained: (() => void) | undefined;
  #handlers = noHandlers;
  readonly #upgrades: HttpUpgrades;

  constructor(options: HttpServerOptions) {
    const { clock = systemClock, keepAliveMs = 75_000 } = options;
    this.#options = options;
    this.#clock = clock;
    this.#trusted = proxiesFrom(options.trustedProxies ?? []);
    this.#certificates = new ClientCertificates(options.clientCertificateHeader ?? '', this.#trusted);
    const serverOptions: ServerOptions & UpgradeOptions = {
      maxHeaderSize: headBytesMax,
      headersTimeout: headMs,
      // Bodies have their own deadline, with a response; that of a stream is a rate. `Connections` closes those that no
      // handler reads.
      requestTimeout: 0,
      connectionsCheckingInterval: headCheckMs,
      keepAliveTimeout: keepAliveMs,
      // `#handle` does it, with an error of Tailrace.
      requireHostHeader: false,
      shouldUpgradeCallback: (request) => this.#upgrades.accepts(request),
    };
    this.#server = createServer(serverOptions);
    const { connectionsMax } = options;
    this.connections = new Connections(this.#server, { ...options, trustedProxies: this.#trusted }, clock);
    this.bodies = new BodyReader({
      ...options,
      isNearLimit: () => this.connections.size > connectionsMax / 2 || this.#handlers.isNearLimit(),
    });
    this.#tls = options.tls && this.#tlsListener(options.tls);
    this.#server.on('request', (request, response) => this.#handle(request, response, false));
    this.#server.on('checkContinue', (request, response) => this.#handle(request, response, true));
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#refuse(error, socket as Socket));
    // Else Node.js closes the connection without a response.
    this.#server.on('connect', (_request, socket) => this.#refuseTunnel(socket as Socket));
    this.#upgrades = new HttpUpgrades(this, options.logger, () => this.#checkDrained());
    this.#server.on('upgrade', (request, socket, bytes) => this.#upgrades.open(request, socket as Socket, bytes));
  }

  /** Of the port with TLS, for metrics. */
  get handshakes(): HandshakeCounts {
    return this.#tls?.counts ?? noHandshakes;
  }

  /**
   * Resolves with the port on which it listens, without TLS. Rejects with `address_in_use`, or with `invalid_config`
   * for a host or port that is not available. Called at most once. Without `upgrade`, a request for a WebSocket is an
   * ordinary one.
   */
  async listen(handlers: HttpHandlers, upgrade?: Upgrade): Promise<number> {
    this.#handlers = handlers;
    this.#upgrades.decide = upgrade;
    const port = await this.#listen();
    try {
      if (this.#tls !== undefined) this.tlsPort = await this.#tls.listen();
    } catch (error) {
      this.close();
      throw error;
    }
    return port;
  }

  /** Connections are requests of this server once their handshake is complete. */
  #tlsListener({ port, reader }: { readonly port: number; readonly reader: ServerTlsReader }): TlsListener {
    const { host, logger } = this.#options;
    return new TlsListener({
      host,
      port,
      portSetting: 'tlsPort',
      reader,
      clock: this.#clock,
      logger,
      // As `https.Server` does it.
      onConnection: (socket) => this.#server.emit('connection', socket),
    });
  }

  #listen(): Promise<number> {
    const { host, port, portSetting = 'port', logger } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const onError = (error: NodeJS.ErrnoException) =>
      reject(listenError({ host, port, portSetting }, error.code, error));
    this.#server.once('error', onError);
    this.#server.listen({ host, port, exclusive: true, backlog: 4_096 }, () => {
      this.#server.off('error', onError);
      this.#server.on('error', (error) => logger.warn({ error, port }, 'the HTTP server has an error'));
      resolve((this.#server.address() as AddressInfo).port);
    });
    return promise;
  }

  /** From now on each response closes its connection, so that a client uses another server for its next request. */
  closeAfterAnswers(): void {
    this.#closesAfterAnswers = true;
  }

  /**
   * Accepts no new connections and closes the idle ones. Resolves when the response of every accepted request is sent,
   * and every upgraded connection is closed, which is for the one that has upgraded it.
   */
  async drain(): Promise<void> {
    this.closeAfterAnswers();
    this.#tls?.close();
    this.#server.close();
    if (this.#open === 0 && this.connections.upgraded === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained = resolve;
    await promise;
  }

  /** Closes every connection. Idempotent. */
  close(): void {
    this.bodies.stop();
    this.#tls?.close();
    this.#server.close();
    this.#server.closeAllConnections();
    this.connections.closeUpgraded();
  }

  /** Returns the key of the client's address, for limits: of IPv6 its /64. */
  addressOf(request: IncomingMessage): string {
    const forwardedFor = request.headers['x-forwarded-for'];
    const text = typeof forwardedFor === 'string' ? forwardedFor : '';
    return addressKey(clientAddress(request.socket.remoteAddress ?? '', text, this.#trusted));
  }

  /** Returns the certificate of the client, see `ClientCertificates.of`. */
  certificateOf({ headers }: IncomingMessage, connection: Connection): ClientCertificate | undefined {
    return this.#certificates.of(connection, headers);
  }

  #handle(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const connection = this.connections.startRequest(request, response);
    if (connection === undefined) return;
    const exchange = new HttpExchange(this, this.#options.logger, connection, request, response, expectsContinue);
    (response as WithExchange)[exchangeOf] = exchange;
    response.once('close', onClose);
    if (connection.open > 1) this.#trackPipelined(connection, exchange);
    this.#open++;
    if (request.headers.host === undefined && request.httpVersionMinor === 1 && request.httpVersionMajor === 1) {
      exchange.refuse(400, 'invalid_message', 'expected the header Host (RFC 9112, section 3.2), got none');
      this.#handlers.refused(400);
      return;
    }
    const { refusedUpgrade } = connection;
    if (refusedUpgrade !== undefined) {
      connection.refusedUpgrade = undefined;
      exchange.answer(refusedUpgrade.status, refusedUpgrade.headers, refusedUpgrade.body);
      return;
    }
    try {
      this.#handlers.request(exchange);
    } catch (error) {
      exchange.fail(error);
    }
  }

  /**
   * Tracks a pipelined request: Node.js reports the close of a connection only to its first response. The `close` of a
   * request is of no use: it comes as soon as its body is read.
   */
  #trackPipelined(connection: Connection, exchange: HttpExchange): void {
    if (connection.pipelined === undefined) {
      const pipelined = new Set<{ onClose(): void }>();
      connection.pipelined = pipelined;
      connection.socket.once('close', () => {
        for (const each of pipelined) each.onClose();
      });
    }
    connection.pipelined.add(exchange);
  }

  /** Called by an exchange when it writes its response. */
  answering(exchange: HttpExchange, response: ServerResponse, bytes: number): void {
    // The responses of pipelined requests behind it would be lost.
    if (this.#closesAfterAnswers && exchange.connection.open === 1) response.shouldKeepAlive = false;
    if (bytes <= largeAnswerBytes) return;
    this.#largeAnswers.set(exchange, bytes);
    this.#unreadAnswerBytes += bytes;
    for (const [oldest] of this.#largeAnswers) {
      if (this.#unreadAnswerBytes <= unreadAnswerBytesMax || oldest === exchange) return;
      this.connections.counts.unread++;
      oldest.connection.socket.destroy();
      this.#removeLarge(oldest);
    }
  }

  /** Reads the body of an exchange as it arrives. */
  openStream(exchange: HttpExchange, source: IncomingMessage, sink: StreamSink, owner: BodyOwner): BodyStream {
    exchange.connection.isStreaming = true;
    return new BodyStream({ source, sink, clock: this.#clock, counts: [this.bodies, owner] });
  }

  /** Whether each response closes its connection. */
  get closesAfterAnswers(): boolean {
    return this.#closesAfterAnswers;
  }

  /** Called by an exchange when its response is sent, or its connection closed. */
  closed(exchange: HttpExchange): void {
    const { connection } = exchange;
    connection.pipelined?.delete(exchange);
    this.#removeLarge(exchange);
    this.connections.finishRequest(connection);
    if (connection.isBroken && connection.open === 0) connection.socket.destroySoon();
    if (--this.#open === 0 && this.#drained !== undefined) this.#checkDrained();
  }

  #checkDrained(): void {
    if (this.#open === 0 && this.connections.upgraded === 0) this.#drained?.();
  }

  #removeLarge(exchange: HttpExchange): void {
    const bytes = this.#largeAnswers.get(exchange);
    if (bytes === undefined) return;
    this.#largeAnswers.delete(exchange);
    this.#unreadAnswerBytes -= bytes;
  }

  /**
   * Lets a client that is still sending read its response. A socket that is closed with unread bytes is reset, and the
   * response is lost. So only the writing half is closed at first, and received bytes are discarded.
   */
  linger(connection: Connection): void {
    const { socket } = connection;
    socket.destroySoon = () => {
      socket.end();
      connection.linger ??= this.#clock.after(lingerMs, () => socket.destroy());
    };
  }

  /**
   * Refuses CONNECT. Node.js passes the socket without its own listeners. Without new ones a reset of the connection
   * would crash the process, and requests before the CONNECT would stay open without end.
   */
  #refuseTunnel(socket: Socket): void {
    const connection = this.connections.of(socket);
    const isFirst = connection?.open === 0;
    socket.on('error', () => socket.destroy());
    if (connection === undefined || !isFirst) {
      // A response would overtake those of the requests before.
      socket.destroy();
      return;
    }
    connection.isBroken = true;
    this.linger(connection);
    socket.resume();
    socket.write(rawAnswer(405, 'not_found', 'expected a request for this server, got CONNECT: it is no proxy'));
    socket.destroySoon();
  }

  /** The bytes of the connection are no valid request, or were not received in time. */
  #refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    const connection = this.connections.of(socket);
    if (connection === undefined || error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    if (connection.isBroken) return;
    const exchange = (connection.response as WithExchange | undefined)?.[exchangeOf];
    const isUnanswered = exchange !== undefined && !exchange.isFinished;
    if (isEndOfClient(error) && !isUnanswered) {
      socket.destroy();
      return;
    }
    connection.isBroken = true;
    const [status, code, message] = refusalOf(error);
    if (isUnanswered) {
      // An invalid body, or invalid bytes behind a request without a response yet.
      exchange.failBody(new TailraceError(code, message));
      return;
    }
    this.#handlers.refused(status);
    this.linger(connection);
    socket.write(rawAnswer(status, code, message));
    socket.destroySoon();
  }
}

function onClose(this: ServerResponse): void {
  (this as WithExchange)[exchangeOf]?.onClose();
}

/**
 * One request and its response. The request's head is complete when the handler gets it. The body is read when the
 * handler calls `readBody`, and not at all if the head decides.
 */
export class HttpExchange implements BodySink {
  readonly connection: Connection;
  /** The response is written, or the connection is closed. */
  isFinished = false;
  readonly #server: HttpServer;
  readonly #logger: Logger;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #expectsContinue: boolean;
  #body: IncomingBody | BodyStream | undefined;
  #done: ((error: TailraceError | undefined, body: Buffer) => void) | undefined;
  #closes = false;
  #isClosed = false;
  /** The body is invalid, which was found before the handler reads it. */
  #invalidBody: TailraceError | undefined;

  constructor(
    server: HttpServer,
    logger: Logger,
    connection: Connection,
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ) {
    this.#server = server;
    this.#logger = logger;
    this.connection = connection;
    this.#request = request;
    this.#response = response;
    this.#expectsContinue = expectsContinue;
  }

  get method(): string {
    return this.#request.method ?? '';
  }

  /** Without the query. */
  get path(): string {
    const { url = '' } = this.#request;
    const end = url.indexOf('?');
    return end === -1 ? url : url.slice(0, end);
  }

  /** Empty without the header. */
  header(lowerCaseName: string): string {
    const value = this.#request.headers[lowerCaseName];
    return typeof value === 'string' ? value : '';
  }

  /** The key of the client's address, for limits. Computed at each call. */
  get address(): string {
    return this.#server.addressOf(this.#request);
  }

  /** The certificate of the client; undefined for none. Throws `unauthorized`, see `ClientCertificates.of`. */
  get certificate(): ClientCertificate | undefined {
    return this.#server.certificateOf(this.#request, this.connection);
  }

  /** Invalid bytes were received on the connection. */
  get isBroken(): boolean {
    return this.connection.isBroken;
  }

  /** Of Content-Length; 0: absent. */
  get declaredBytes(): number {
    return Number(this.#request.headers['content-length'] ?? 0);
  }

  /** Reads the body within its limits, once: see `BodySink`. */
  readBody(
    bytesMax: number,
    owner: BodyOwner | undefined,
    done: (error: TailraceError | undefined, body: Buffer) => void,
  ): void {
    this.#done = done;
    if (this.isFinished) return;
    if (this.#invalidBody !== undefined) {
      this.settleBody(this.#invalidBody, Buffer.alloc(0), false);
      return;
    }
    this.#body = this.#server.bodies.open(this, bytesMax, this.declaredBytes, owner);
    if (this.#body !== undefined) this.#receive();
  }

  /**
   * Reads the body as it arrives, without a limit of its size, instead of `readBody`. Returns undefined for a finished
   * request, whose sink is not called.
   */
  streamBody(sink: StreamSink, owner: BodyOwner): BodyStream | undefined {
    if (this.isFinished) return undefined;
    const stream = this.#server.openStream(this, this.#request, sink, owner);
    this.#body = stream;
    if (this.#invalidBody !== undefined) stream.fail(this.#invalidBody);
    else this.#receive();
    return stream;
  }

  #receive(): void {
    if (this.#expectsContinue) {
      this.#expectsContinue = false;
      this.#response.writeContinue();
    }
    const request = this.#request as IncomingMessage & WithExchange;
    request[exchangeOf] = this;
    request.on('data', onData);
    request.on('end', onEnd);
  }

  /**
   * Writes the response, in one write. Returns false and does nothing if the client has closed the connection or the
   * response was written before. Closes the connection after it if the rest of the request's body is not worth reading.
   */
  answer(status: number, headers: Headers, body: string | Uint8Array = ''): boolean {
    if (this.isFinished) return false;
    this.isFinished = true;
    const response = this.#response;
    const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
    const fields: OutgoingHttpHeader[] = ['Content-Length', bytes];
    for (const [name, value] of headers) fields.push(name, value);
    if (this.#closes || this.#leavesTooMuchUnread()) {
      response.shouldKeepAlive = false;
      if (!this.#request.complete) this.#server.linger(this.connection);
    }
    this.#server.answering(this, response, bytes);
    response.writeHead(status, fields);
    response.end(body);
    return true;
  }

  /**
   * Starts a response whose parts follow, before the body of the request is complete. Returns false and does nothing if
   * the request is finished, or of HTTP/1.0, which has no such responses.
   */
  answerHead(status: number, headers: Headers): boolean {
    if (this.isFinished || this.#request.httpVersionMinor === 0) return false;
    const response = this.#response;
    const fields: OutgoingHttpHeader[] = [];
    for (const [name, value] of headers) fields.push(name, value);
    this.#server.answering(this, response, 0);
    response.writeHead(status, fields);
    response.flushHeaders();
    return true;
  }

  /**
   * Sends a part of a started response. Returns false if the request is finished, or if the part is left out because
   * 64 KiB wait for the client.
   */
  answerPart(text: string): boolean {
    if (this.isFinished || this.#response.writableLength > unreadStreamBytesMax) return false;
    this.#response.write(text);
    return true;
  }

  /**
   * Sends the last part of a started response. Returns false if the client has closed the connection. Closes the
   * connection after it if the body of the request is incomplete.
   */
  answerEnd(text: string): boolean {
    if (this.isFinished) return false;
    this.isFinished = true;
    const { socket } = this.connection;
    const isIncomplete = !this.#request.complete;
    if (isIncomplete) this.#server.linger(this.connection);
    // The head of the response did not announce it.
    const closes = isIncomplete || (this.#server.closesAfterAnswers && this.connection.open === 1);
    this.#response.end(text, closes ? () => socket.destroySoon() : undefined);
    return true;
  }

  /** Logs an unexpected error, and responds with 500. */
  fail(thrown: unknown): void {
    this.#logger.error({ error: thrown }, 'a request could not be handled');
    if (this.#response.headersSent) this.connection.socket.destroy();
    else this.refuse(500, 'internal', 'internal error; see the server log');
  }

  /** Responds with an error, and closes the connection. */
  refuse(status: number, code: ErrorCode, message: string): void {
    this.#closes = true;
    this.answer(status, [['Content-Type', 'application/json']], errorBody(code, message));
  }

  /** The bytes of the connection are invalid: the body fails, also one that is not read yet, unless it is complete. */
  failBody(error: TailraceError): void {
    this.#closes = true;
    if (this.#body !== undefined) this.#body.fail(error);
    else if (!this.#request.complete) this.#invalidBody = error;
  }

  settleBody(error: TailraceError | undefined, body: Buffer, isComplete: boolean): void {
    if (!isComplete) this.#closes = true;
    try {
      this.#done?.(error, body);
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  /** The response is sent, or the connection is closed. */
  onClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (!this.isFinished) {
      this.isFinished = true;
      this.#body?.abort();
    } else if (this.#body instanceof BodyStream) this.#body.stop();
    this.#server.closed(this);
  }

  take(chunk: Buffer): void {
    try {
      this.#body?.take(chunk, true);
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  end(): void {
    try {
      this.#body?.end();
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  /**
   * Returns whether the rest of a body that no handler reads is not worth reading: its length is unknown or large, the
   * client waits for `100 Continue`, or the body is a stream.
   */
  #leavesTooMuchUnread(): boolean {
    if (this.#body instanceof BodyStream) return !this.#request.complete;
    if (this.#body !== undefined || this.#request.complete) return false;
    return (
      this.#expectsContinue ||
      this.#request.headers['transfer-encoding'] !== undefined ||
      this.declaredBytes > discardBytesMax
    );
  }
}

/**
 * A body whose request is refused by its head is read and discarded up to this size, so that the connection can be used
 * again.
 */
const discardBytesMax = 1_048_576;

function onData(this: WithExchange, chunk: Buffer): void {
  this[exchangeOf]?.take(chunk);
}

function onEnd(this: WithExchange): void {
  this[exchangeOf]?.end();
}
