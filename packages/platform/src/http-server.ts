import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeader,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, BlockList, Socket } from 'node:net';
import { type ErrorCode, TailraceError } from '@tailrace/protocol/error';
import { type BodyOwner, BodyReader, type BodySink, type IncomingBody } from './body-reader.ts';
import { addressKey, clientAddress, proxiesFrom } from './client-address.ts';
import { type Clock, systemClock } from './clock.ts';
import { type Connection, type ConnectionLimits, Connections } from './connections.ts';
import { errorBody, headBytesMax, isEndOfClient, type RefusedStatus, rawAnswer, refusalOf } from './http-refusal.ts';
import { listenFault } from './listenfault.ts';
import type { Log } from './log.ts';
import type { Headers } from './webresponse.ts';

export type { Headers } from './webresponse.ts';

export interface HttpServerOptions extends Omit<ConnectionLimits, 'trustedProxies'> {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The key of the setting that holds the port, for the message where it is taken. Default: `port`. */
  readonly portSetting?: string;
  readonly log: Log;
  readonly clock?: Clock;
  /** Called for every request with a whole head. What it throws is logged and answered with 500. */
  readonly handler: (exchange: HttpExchange) => void;
  /** What was refused before it became a request. */
  readonly onRefused?: (status: RefusedStatus) => void;
  /** From the head of a request to the last byte of its body. Default: 10,000 ms. */
  readonly bodyMs?: number;
  /** Bytes of unfinished bodies held at once, over all connections. Default: 64 MB. */
  readonly unfinishedBytesMax?: number;
  /**
   * How long a connection may stay idle between two requests. Above a balancer's own, which else sends into a closed
   * one. Default: 75,000 ms.
   */
  readonly keepAliveMs?: number;
  /** Addresses and networks whose `X-Forwarded-For` is believed. Throws `invalid_config` for one that is none. */
  readonly trustedProxies?: readonly string[];
  /** Whether a limit of the service is near: slow bodies are terminated early then. Default: never. */
  readonly isNearLimit?: () => boolean;
}

/** For the head of a request, from its first byte or from the connection. */
const headMs = 10_000;
/** How exactly Node.js keeps `headMs`. */
const headCheckMs = 1_000;
/** How long a client that still sends may read its answer before the connection is closed for good. */
const lingerMs = 1_000;
/**
 * Of answers above `largeAnswerBytes` that clients have not read yet; beyond it the oldest of them is dropped with its
 * connection.
 */
const unreadAnswerBytesMax = 33_554_432;
const largeAnswerBytes = 65_536;
const exchangeOf = Symbol('exchange');
interface Marked {
  [exchangeOf]?: HttpExchange;
}

/**
 * An HTTP server on Node.js (`llhttp`), for request and answer: bounded in heads, bodies, time and connections. It
 * closes a connection that breaks the framing (RFC 9112), since what such a client means differs from proxy to proxy. A
 * handler sees an `HttpExchange`, nothing else. Nothing listens before `listen`.
 */
export class HttpServer {
  readonly connections: Connections;
  readonly bodies: BodyReader;
  readonly #server: Server;
  readonly #options: HttpServerOptions;
  readonly #clock: Clock;
  readonly #trusted: BlockList;
  /** Large answers that are not read yet, oldest first. */
  readonly #largeAnswers = new Map<HttpExchange, number>();
  #unreadAnswerBytes = 0;
  /** Requests whose answer has not gone out. */
  #open = 0;
  #closesAfterAnswers = false;
  #drained: (() => void) | undefined;

  constructor(options: HttpServerOptions) {
    const { clock = systemClock, bodyMs = 10_000, keepAliveMs = 75_000, isNearLimit = () => false } = options;
    this.#options = options;
    this.#clock = clock;
    this.#trusted = proxiesFrom(options.trustedProxies ?? []);
    this.#server = createServer({
      maxHeaderSize: headBytesMax,
      headersTimeout: headMs,
      // Bodies have their own deadline, with an answer; this is for those that no handler reads.
      requestTimeout: headMs + bodyMs + 5_000,
      connectionsCheckingInterval: headCheckMs,
      keepAliveTimeout: keepAliveMs,
      // `#handle` does, with an error of ours.
      requireHostHeader: false,
    });
    const { connectionsMax } = options;
    this.connections = new Connections(this.#server, { ...options, trustedProxies: this.#trusted }, clock);
    this.bodies = new BodyReader({
      ...options,
      isNearLimit: () => this.connections.size > connectionsMax / 2 || isNearLimit(),
    });
    this.#server.on('request', (request, response) => this.#handle(request, response, false));
    this.#server.on('checkContinue', (request, response) => this.#handle(request, response, true));
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#refuse(error, socket as Socket));
    // Else Node.js closes the connection without an answer.
    this.#server.on('connect', (_request, socket) => this.#refuseTunnel(socket as Socket));
  }

  /**
   * Resolves with where it listens. Rejects with `address_in_use`, or `invalid_config` for a host or port that cannot
   * be had.
   */
  listen(): Promise<{ readonly host: string; readonly port: number }> {
    const { host, port, portSetting = 'port', log } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<{ host: string; port: number }>();
    const onFault = (error: NodeJS.ErrnoException) =>
      reject(listenFault({ host, port, portSetting }, error.code, error));
    this.#server.once('error', onFault);
    this.#server.listen({ host, port, exclusive: true, backlog: 4_096 }, () => {
      this.#server.off('error', onFault);
      this.#server.on('error', (error) => log.warn({ error, port }, 'the HTTP server has an error'));
      resolve({ host, port: (this.#server.address() as AddressInfo).port });
    });
    return promise;
  }

  /** From now on each answer closes its connection, so that a client finds another server for its next request. */
  closeAfterAnswers(): void {
    this.#closesAfterAnswers = true;
  }

  /**
   * Takes no new connections and closes the idle ones. Resolves when every request that was taken has its answer, and
   * the answers are sent.
   */
  async drain(): Promise<void> {
    this.closeAfterAnswers();
    this.#server.close();
    if (this.#open === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained = resolve;
    await promise;
  }

  /** Closes every connection. Idempotent. */
  close(): void {
    this.bodies.stop();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** The client's address, as limits count it: of IPv6 its /64. */
  addressOf(request: IncomingMessage): string {
    const forwardedFor = request.headers['x-forwarded-for'];
    const text = typeof forwardedFor === 'string' ? forwardedFor : '';
    return addressKey(clientAddress(request.socket.remoteAddress ?? '', text, this.#trusted));
  }

  #handle(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const connection = this.connections.begin(request, response);
    if (connection === undefined) return;
    const exchange = new HttpExchange(this, this.#options.log, connection, request, response, expectsContinue);
    (response as Marked)[exchangeOf] = exchange;
    response.once('close', onClose);
    if (connection.open > 1) this.#awaitTurn(connection, exchange);
    this.#open++;
    if (request.headers.host === undefined && request.httpVersionMinor === 1 && request.httpVersionMajor === 1) {
      exchange.refuse(400, 'invalid_message', 'expected the header Host (RFC 9112, section 3.2), got none');
      this.#options.onRefused?.(400);
      return;
    }
    try {
      this.#options.handler(exchange);
    } catch (error) {
      exchange.fail(error);
    }
  }

  /**
   * A pipelined request: Node.js reports the end of a connection only to the answer whose turn it is. That a request
   * has closed says nothing: it does so as soon as its body is read.
   */
  #awaitTurn(connection: Connection, exchange: HttpExchange): void {
    if (connection.pipelined === undefined) {
      const pipelined = new Set<{ onClose(): void }>();
      connection.pipelined = pipelined;
      connection.socket.once('close', () => {
        for (const each of pipelined) each.onClose();
      });
    }
    connection.pipelined.add(exchange);
  }

  /** Of an exchange: its answer is written. */
  answering(exchange: HttpExchange, response: ServerResponse, bytes: number): void {
    // With others behind it (pipelining) their answers would be lost.
    if (this.#closesAfterAnswers && exchange.connection.open === 1) response.shouldKeepAlive = false;
    if (bytes <= largeAnswerBytes) return;
    this.#largeAnswers.set(exchange, bytes);
    this.#unreadAnswerBytes += bytes;
    for (const [oldest] of this.#largeAnswers) {
      if (this.#unreadAnswerBytes <= unreadAnswerBytesMax || oldest === exchange) return;
      this.connections.counts.unread++;
      oldest.connection.socket.destroy();
      this.#forgetLarge(oldest);
    }
  }

  /** Of an exchange: its answer is sent, or its connection closed. */
  closed(exchange: HttpExchange): void {
    const { connection } = exchange;
    connection.pipelined?.delete(exchange);
    this.#forgetLarge(exchange);
    this.connections.end(connection);
    if (connection.isBroken && connection.open === 0) connection.socket.destroySoon();
    if (--this.#open === 0) this.#drained?.();
  }

  #forgetLarge(exchange: HttpExchange): void {
    const bytes = this.#largeAnswers.get(exchange);
    if (bytes === undefined) return;
    this.#largeAnswers.delete(exchange);
    this.#unreadAnswerBytes -= bytes;
  }

  /**
   * Lets a client that still sends read its answer: a socket that is closed with unread bytes is reset, and the answer
   * is lost with it. So only our half is closed at first; what still comes is thrown away.
   */
  linger(connection: Connection): void {
    const { socket } = connection;
    socket.destroySoon = () => {
      socket.end();
      connection.linger ??= this.#clock.after(lingerMs, () => socket.destroy());
    };
  }

  /**
   * Answers CONNECT. Node.js hands the socket over, with its own listeners removed: without ours, a reset of the
   * connection would end the process, and requests before the CONNECT would stay open for ever.
   */
  #refuseTunnel(socket: Socket): void {
    const connection = this.connections.of(socket);
    const isFirst = connection?.open === 0;
    socket.on('error', () => socket.destroy());
    if (connection === undefined || !isFirst) {
      // An answer would overtake those of the requests before.
      socket.destroy();
      return;
    }
    connection.isBroken = true;
    this.linger(connection);
    socket.resume();
    socket.write(rawAnswer(405, 'not_found', 'expected a request for this server, got CONNECT: it is no proxy'));
    socket.destroySoon();
  }

  /** What came on the connection is no HTTP that we take, or did not come in time. */
  #refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    const connection = this.connections.of(socket);
    if (connection === undefined || error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    if (connection.isBroken) return;
    const exchange = (connection.response as Marked | undefined)?.[exchangeOf];
    const isUnanswered = exchange !== undefined && !exchange.isOver;
    if (isEndOfClient(error) && !isUnanswered) {
      socket.destroy();
      return;
    }
    connection.isBroken = true;
    const [status, code, message] = refusalOf(error);
    if (isUnanswered) {
      // A body that breaks off, or bytes behind a request that still waits for its answer.
      exchange.breakOff(new TailraceError(code, message));
      return;
    }
    this.#options.onRefused?.(status);
    this.linger(connection);
    socket.write(rawAnswer(status, code, message));
    socket.destroySoon();
  }
}

function onClose(this: ServerResponse): void {
  (this as Marked)[exchangeOf]?.onClose();
}

/**
 * One request and its answer. The request's head is there when the handler gets it; the body is read when the handler
 * asks for it, and not at all where the head alone decides.
 */
export class HttpExchange implements BodySink {
  readonly connection: Connection;
  /** Answered, or its connection is closed. */
  isOver = false;
  readonly #server: HttpServer;
  readonly #log: Log;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #expectsContinue: boolean;
  #body: IncomingBody | undefined;
  #done: ((error: TailraceError | undefined, body: Buffer) => void) | undefined;
  #onAbort: (() => void) | undefined;
  #closes = false;
  #isClosed = false;

  constructor(
    server: HttpServer,
    log: Log,
    connection: Connection,
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ) {
    this.#server = server;
    this.#log = log;
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

  /** Empty: it is not there. */
  header(lowerCaseName: string): string {
    const value = this.#request.headers[lowerCaseName];
    return typeof value === 'string' ? value : '';
  }

  /** The client's address, as limits count it. Computed at each call. */
  get address(): string {
    return this.#server.addressOf(this.#request);
  }

  /** What came on the connection stopped making sense. */
  get isBroken(): boolean {
    return this.connection.isBroken;
  }

  /** Of Content-Length; 0: absent. */
  get declaredBytes(): number {
    return Number(this.#request.headers['content-length'] ?? 0);
  }

  /** Called if the client closes the connection before the answer; the last one given counts. */
  onAbort(call: () => void): void {
    this.#onAbort = call;
  }

  /** Reads the body within its bounds, once: see `BodySink`. */
  readBody(
    bytesMax: number,
    owner: BodyOwner | undefined,
    done: (error: TailraceError | undefined, body: Buffer) => void,
  ): void {
    this.#done = done;
    if (this.isOver) return;
    this.#body = this.#server.bodies.open(this, bytesMax, this.declaredBytes, owner);
    if (this.#body === undefined) return;
    if (this.#expectsContinue) {
      this.#expectsContinue = false;
      this.#response.writeContinue();
    }
    const request = this.#request as IncomingMessage & Marked;
    request[exchangeOf] = this;
    request.on('data', onData);
    request.on('end', onEnd);
  }

  /**
   * Answers, in one write. False, and nothing happens, where the client has closed the connection or an answer was
   * given. Closes the connection after it where the rest of the request's body is not worth reading.
   */
  answer(status: number, headers: Headers, body: string | Uint8Array = ''): boolean {
    if (this.isOver) return false;
    this.isOver = true;
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

  /** Logs an unexpected error, and answers 500. */
  fail(thrown: unknown): void {
    this.#log.error({ error: thrown }, 'a request could not be handled');
    this.refuse(500, 'internal', 'internal error; see the server log');
  }

  /** Answers with an error, and closes the connection. */
  refuse(status: number, code: ErrorCode, message: string): void {
    this.#closes = true;
    this.answer(status, [['Content-Type', 'application/json']], errorBody(code, message));
  }

  /** The connection's bytes stopped making sense. */
  breakOff(error: TailraceError): void {
    this.#closes = true;
    this.#body?.fail(error);
  }

  settleBody(error: TailraceError | undefined, body: Buffer, isComplete: boolean): void {
    if (!isComplete) this.#closes = true;
    try {
      this.#done?.(error, body);
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  /** The answer has gone out, or the connection is closed. */
  onClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (!this.isOver) {
      this.isOver = true;
      if (this.#body !== undefined) this.#body.abort();
      this.#onAbort?.();
    }
    this.#server.closed(this);
  }

  take(chunk: Buffer): void {
    this.#body?.take(chunk, true);
  }

  end(): void {
    this.#body?.end();
  }

  /**
   * A body that no handler asked for is thrown away, unless its end is not in sight, or the client waits to be told to
   * send it.
   */
  #leavesTooMuchUnread(): boolean {
    if (this.#body !== undefined || this.#request.complete) return false;
    return (
      this.#expectsContinue ||
      this.#request.headers['transfer-encoding'] !== undefined ||
      this.declaredBytes > discardBytesMax
    );
  }
}

/**
 * A body whose request is refused by its head is read and thrown away up to this size, so that the connection can be
 * used again.
 */
const discardBytesMax = 1_048_576;

function onData(this: Marked, chunk: Buffer): void {
  this[exchangeOf]?.take(chunk);
}

function onEnd(this: Marked): void {
  this[exchangeOf]?.end();
}
