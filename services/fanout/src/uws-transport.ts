import type * as uws from 'uWebSockets.js';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import process from 'node:process';
import { BodyReader, type BodyReaderOptions } from '@tailrace/platform/body-reader';
import { headBytesMax } from '@tailrace/platform/http-refusal';
import { type ListenAddress, listenError } from '@tailrace/platform/listen-error';
import type { Logger } from '@tailrace/platform/logger';
import { respond, type WebResponse, watchAbort } from '@tailrace/platform/web-response';
import { TailraceError } from '@tailrace/protocol/error';
import { readsSplitRequests } from './split-request-check.ts';
import {
  type Connection,
  type HttpAnswer,
  type HttpRequest,
  isAccepted,
  type RequestHead,
  type Route,
  type Transport,
  type TransportHandlers,
} from './transport.ts';

export interface UwsTransportSettings {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Larger messages are delivered up to four times this size, so that their client gets a close code. */
  readonly messageBytesMax: number;
  /** A connection drops frames while more than this waits. */
  readonly socketBytesMax: number;
  readonly heartbeatMs: number;
  readonly pongDeadlineMs: number;
}

/** uWebSockets.js terminates a connection without a close code over its own limit. */
const payloadFactor = 4;

/** The maximum that uWebSockets.js accepts, seconds. */
const idleSecondsMax = 960;

const splitRequestsError =
  'this build of uWebSockets.js answers a request in two segments with 505, so that some clients cannot connect: install the version in package-lock.json, or a newer one';

/** `portSetting`: the key of the setting that holds the port, for errors. Nothing listens before `listen`. */
export function createUwsTransport(settings: UwsTransportSettings, logger: Logger, portSetting = 'port'): Transport {
  return new UwsTransport(settings, logger, portSetting);
}

/** The methods of the web server's app. */
const appMethods = { GET: 'get', POST: 'post', DELETE: 'del', OPTIONS: 'options' } as const;

/**
 * WebSockets and HTTP on uWebSockets.js, which no other file uses. The library aborts the process if a handler throws,
 * or returns from a request that is neither answered nor watched for an abort.
 */
class UwsTransport implements Transport {
  readonly #settings: UwsTransportSettings;
  readonly #logger: Logger;
  readonly #server: WebServer;

  constructor(settings: UwsTransportSettings, logger: Logger, portSetting: string) {
    const { host, port } = settings;
    this.#settings = settings;
    this.#logger = logger;
    this.#server = createWebServer({ host, port, portSetting, logger });
  }

  async listen<C extends object>(handlers: TransportHandlers<C>): Promise<number> {
    const { messageBytesMax, socketBytesMax, host } = this.#settings;
    const { app } = this.#server;
    for (const route of handlers.routes) this.#serve(route);
    app.ws<C>(handlers.path, {
      maxPayloadLength: messageBytesMax * payloadFactor,
      maxBackpressure: socketBytesMax,
      idleTimeout: idleSecondsFrom(this.#settings),
      sendPingsAutomatically: false,
      upgrade: (res, req, context) => upgrade(handlers, res, req, context),
      open: (ws) => handlers.opened(ws.getUserData(), ws as Connection),
      message: (ws, data, isBinary) => handlers.message(ws.getUserData(), new Uint8Array(data), isBinary),
      pong: (ws) => handlers.heartbeat(ws.getUserData()),
      ping: (ws) => handlers.heartbeat(ws.getUserData()),
      dropped: (ws) => handlers.dropped(ws.getUserData()),
      drain: (ws) => handlers.drained(ws.getUserData()),
      close: (ws, code) => handlers.closed(ws.getUserData(), code),
    });
    app.any(
      '/*',
      this.#server.guarded((res, req) => {
        const { status, headers, body } = handlers.otherwise(headOf(res, req));
        respond(res, status, headers, body);
      }),
    );
    const { port } = await this.#server.listen();
    if ((await readsSplitRequests(host, port)) === false) this.#logger.error({}, splitRequestsError);
    return port;
  }

  publish(topic: string, frame: string | Uint8Array): void {
    this.#server.app.publish(topic, frame, typeof frame !== 'string');
  }

  close(): void {
    this.#server.close();
  }

  unfinishedBodies(): ReturnType<Transport['unfinishedBodies']> {
    return this.#server.unfinishedBodies();
  }

  #serve(route: Route): void {
    this.#server.app[appMethods[route.method]](
      route.path,
      this.#server.guarded((res, req) => {
        watchAbort(res);
        const answer = route.answer(this.#requestOf(res, req));
        if (answer instanceof Promise) answer.then(...this.#answering(res));
        else send(res, answer);
      }),
    );
  }

  #answering(res: uws.HttpResponse): [(answer: HttpAnswer) => void, (thrown: unknown) => void] {
    return [
      (answer) => send(res, answer),
      (error) => {
        this.#logger.error({ error }, 'a request could not be handled');
        send(res, { status: 500, headers: [], body: 'internal error; see the server log\n' });
      },
    ];
  }

  #requestOf(res: uws.HttpResponse, req: uws.HttpRequest): HttpRequest {
    const server = this.#server;
    const response: WebResponse = res;
    return {
      ...headOf(res, req),
      get isAborted() {
        return response.isAborted === true;
      },
      body: (bytesMax) =>
        new Promise((resolve, reject) => {
          server.readBody(res, req, bytesMax, (error, body) => (error === undefined ? resolve(body) : reject(error)));
        }),
    };
  }
}

/**
 * Returns the library's own idle timeout. The heartbeats of the node come first, with a close code; this is for a
 * connection that cannot be sent one.
 */
export function idleSecondsFrom(settings: Pick<UwsTransportSettings, 'heartbeatMs' | 'pongDeadlineMs'>): number {
  return Math.min(idleSecondsMax, 60 + Math.ceil((settings.heartbeatMs + settings.pongDeadlineMs) / 1_000));
}

function upgrade<C extends object>(
  handlers: TransportHandlers<C>,
  res: uws.HttpResponse,
  req: uws.HttpRequest,
  socketContext: uws.us_socket_context_t,
): void {
  const answer = handlers.handshake(headOf(res, req));
  if (!isAccepted(answer)) {
    watchAbort(res);
    send(res, answer);
    return;
  }
  res.upgrade<C>(
    answer.context,
    req.getHeader('sec-websocket-key'),
    answer.subprotocol,
    req.getHeader('sec-websocket-extensions'),
    socketContext,
  );
}

function headOf(res: uws.HttpResponse, req: uws.HttpRequest): RequestHead {
  return {
    method: req.getCaseSensitiveMethod(),
    path: req.getUrl(),
    query: req.getQuery() ?? '',
    peer: Buffer.from(res.getRemoteAddressAsText()).toString('latin1'),
    header: (lowerCaseName) => req.getHeader(lowerCaseName),
  };
}

function send(res: uws.HttpResponse, { status, headers, body }: HttpAnswer): void {
  respond(res, status, headers, body);
}

type Handler = (res: uws.HttpResponse, req: uws.HttpRequest) => void;

type Library = typeof uws & {
  /** Exported by the library, but missing in its types. */
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
};

/** Read by the library once, when it is loaded. Its default is 4,096. */
const headBytesVariable = 'UWS_HTTP_MAX_HEADERS_SIZE';

let loaded: Library | undefined;

/** Loads the library with the first server, after its one setting, an environment variable, is set. */
function library(): Library {
  process.env[headBytesVariable] ??= String(headBytesMax);
  loaded ??= createRequire(import.meta.url)('uWebSockets.js') as Library;
  return loaded;
}

/** Called once: with the body, the caller's own copy, or with an error (see `BodySink`) and an empty body. */
export type BodyCall = (error: TailraceError | undefined, body: Buffer) => void;

export interface WebServerOptions extends BodyReaderOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The key of the setting that holds the port, for the error if it is in use. Default: `port`. */
  readonly portSetting?: string;
  readonly logger: Logger;
}

export interface WebServer {
  /** For routes. Wrap handlers in `guarded`. */
  readonly app: uws.TemplatedApp;
  /**
   * Resolves with host and port. Rejects with `address_in_use` for a port of another process (ports are never shared),
   * `invalid_config` for a host or port that is not available.
   */
  listen(): Promise<{ readonly host: string; readonly port: number }>;
  /** Accepts no new connections; existing ones continue. Idempotent. */
  stopListening(): void;
  /** Terminates every connection. Idempotent. */
  close(): void;
  /**
   * Wraps a handler: if it throws, the request is answered with 500 and the error logged. Every route needs it:
   * uWebSockets.js aborts the process if a handler throws, or returns without an answer or an abort handler.
   */
  guarded(handler: Handler): Handler;
  /** Reads the body of a request within its limits; see `BodyCall`. Call it before the handler returns. */
  readBody(res: uws.HttpResponse, req: uws.HttpRequest, bytesMax: number, done: BodyCall): void;
  /** Returns the bodies that are still being received, for metrics. */
  unfinishedBodies(): { readonly count: number; readonly bytes: number; readonly bytesMax: number };
}

/**
 * Creates a server for HTTP and WebSockets on uWebSockets.js. Nothing listens before `listen`.
 *
 * The library's own limits: a head of at most `headBytesMax` bytes and 100 header fields, otherwise it sends 431 with a
 * page of HTML. A path without a route closes the connection, so the last route has to match everything. A connection
 * that is idle for 10 s is closed.
 */
export function createWebServer(options: WebServerOptions): WebServer {
  const { host, port, portSetting = 'port', logger } = options;
  const { App, us_listen_socket_close, us_socket_local_port } = library();
  const app = App();
  const bodies = new BodyReader(options);
  let listening: uws.us_listen_socket | undefined;
  let closed = false;

  function stopListening(): void {
    if (listening) us_listen_socket_close(listening);
    listening = undefined;
  }

  return {
    app,
    async listen() {
      listening = await listenExclusively(app, { host, port, portSetting });
      return { host, port: us_socket_local_port(listening) };
    },
    stopListening,
    close() {
      if (closed) return;
      closed = true;
      stopListening();
      bodies.stop();
      app.close();
    },
    guarded: (handler) => (res, req) => {
      try {
        handler(res, req);
      } catch (error) {
        logger.error({ error }, 'a request could not be handled');
        watchAbort(res);
        respond(res, 500, [], 'internal error; see the server log\n');
      }
    },
    readBody: (res, req, bytesMax, done) => readBody(bodies, logger, { res, req, bytesMax, done }),
    unfinishedBodies: () => ({
      count: bodies.unfinishedCount,
      bytes: bodies.unfinishedBytes,
      bytesMax: bodies.unfinishedBytesMax,
    }),
  };
}

function readBody(
  bodies: BodyReader,
  logger: Logger,
  reading: { res: uws.HttpResponse; req: uws.HttpRequest; bytesMax: number; done: BodyCall },
): void {
  const { res, req, bytesMax, done } = reading;
  const settleBody = (error: TailraceError | undefined, body: Buffer) => {
    try {
      done(error, body);
    } catch (thrown) {
      // An internal error affects this request alone.
      logger.error({ error: thrown }, 'a request could not be handled');
      respond(res, 500, [], 'internal error; see the server log\n');
    }
  };
  watchAbort(res);
  const lengths = contentLengthsOf(req);
  if (lengths.size > 1) {
    const message = `expected one Content-Length (RFC 9112, section 6.3), got ${[...lengths].join(' and ').slice(0, 80)}`;
    settleBody(new TailraceError('invalid_message', message), Buffer.alloc(0));
    return;
  }
  // Absent or chunked: 0; the bytes are counted as they are received.
  const incoming = bodies.open({ settleBody }, bytesMax, Number([...lengths][0] ?? 0));
  if (incoming === undefined) return;
  watchAbort(res, () => incoming.abort());
  // The library reuses the memory of a chunk when the handler returns.
  res.onData((chunk, isLast) => {
    if (isLast) incoming.finish(new Uint8Array(chunk));
    else incoming.take(new Uint8Array(chunk), false);
  });
}

/** Returns all values of Content-Length. The library takes the first; a proxy may take another. */
function contentLengthsOf(req: uws.HttpRequest): ReadonlySet<string> {
  const lengths = new Set<string>();
  req.forEach((name, value) => {
    if (name === 'content-length') lengths.add(value);
  });
  return lengths;
}

/** The signature with host and options, which is missing in the library's types. */
interface ExclusiveListener {
  listen(host: string, port: number, options: number, call: (socket: uws.us_listen_socket | false) => void): void;
}

/** Listens exclusively: without the option two processes would share the port and its connections. */
function listenExclusively(app: uws.TemplatedApp, address: ListenAddress): Promise<uws.us_listen_socket> {
  const { promise, resolve, reject } = Promise.withResolvers<uws.us_listen_socket>();
  (app as unknown as ExclusiveListener).listen(
    address.host,
    address.port,
    library().LIBUS_LISTEN_EXCLUSIVE_PORT,
    (socket) => {
      if (socket) resolve(socket);
      else void listenErrorOf(address).then(reject);
    },
  );
  return promise;
}

/** Returns the reason why a port is not available, from Node's own listener: uWebSockets.js reports none. */
function listenErrorOf(address: ListenAddress): Promise<Error> {
  const { promise, resolve } = Promise.withResolvers<Error>();
  const probe = createServer();
  probe.once('error', (error: NodeJS.ErrnoException) => resolve(listenError(address, error.code, error)));
  probe.listen({ host: address.host, port: address.port, exclusive: true }, () => {
    probe.close(() => resolve(listenError(address, undefined)));
  });
  return promise;
}
