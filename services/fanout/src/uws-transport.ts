import type { Logger } from '@tailrace/platform/logger';
import { readsSplitRequests } from '@tailrace/platform/split-request-check';
import {
  createWebServer,
  respond,
  type HttpRequest as UwsRequest,
  type HttpResponse as UwsResponse,
  type us_socket_context_t,
  type WebServer,
  watchAbort,
} from '@tailrace/platform/web-server';
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

/**
 * WebSockets and HTTP on uWebSockets.js: the one file of fanout that knows it. The library aborts the process where a
 * handler throws, or returns from a request that is neither answered nor watched for an abort.
 */
class UwsTransport implements Transport {
  readonly #settings: UwsTransportSettings;
  readonly #logger: Logger;
  readonly #server: WebServer;

  constructor(settings: UwsTransportSettings, logger: Logger, portSetting: string) {
    const { host, port } = settings;
    this.#settings = settings;
    this.#logger = logger;
    this.#server = createWebServer({ host, port, portSetting, logger: logger });
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
    const method = route.method.toLowerCase() as 'get' | 'post' | 'options';
    this.#server.app[method](
      route.path,
      this.#server.guarded((res, req) => {
        watchAbort(res);
        const answer = route.answer(this.#requestOf(res, req));
        if (answer instanceof Promise) answer.then(...this.#answering(res));
        else send(res, answer);
      }),
    );
  }

  #answering(res: UwsResponse): [(answer: HttpAnswer) => void, (thrown: unknown) => void] {
    return [
      (answer) => send(res, answer),
      (error) => {
        this.#logger.error({ error }, 'a request could not be handled');
        send(res, { status: 500, headers: [], body: 'internal error; see the server log\n' });
      },
    ];
  }

  #requestOf(res: UwsResponse, req: UwsRequest): HttpRequest {
    const server = this.#server;
    let isAborted = false;
    watchAbort(res, () => {
      isAborted = true;
    });
    return {
      ...headOf(res, req),
      get isAborted() {
        return isAborted;
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
  res: UwsResponse,
  req: UwsRequest,
  socketContext: us_socket_context_t,
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

function headOf(res: UwsResponse, req: UwsRequest): RequestHead {
  return {
    method: req.getCaseSensitiveMethod(),
    path: req.getUrl(),
    query: req.getQuery() ?? '',
    peer: Buffer.from(res.getRemoteAddressAsText()).toString('latin1'),
    header: (lowerCaseName) => req.getHeader(lowerCaseName),
  };
}

function send(res: UwsResponse, { status, headers, body }: HttpAnswer): void {
  respond(res, status, headers, body);
}
