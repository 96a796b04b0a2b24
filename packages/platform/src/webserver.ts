import * as uws from 'uWebSockets.js';
import { createServer } from 'node:net';
import { type ListenAddress, listenFault } from './listenfault.ts';
import type { Log } from './log.ts';
import { type BodyCall, BodyReader, type BodyReaderOptions } from './webbody.ts';
import { respond, watchAbort } from './webresponse.ts';

export type {
  HttpRequest,
  HttpResponse,
  TemplatedApp,
  us_socket_context_t,
  WebSocket,
  WebSocketBehavior,
} from 'uWebSockets.js';
export { type Headers, respond, watchAbort } from './webresponse.ts';

type Handler = (res: uws.HttpResponse, req: uws.HttpRequest) => void;

/** Exported by the library, and missing in its types. */
const constants = uws as unknown as {
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
  readonly DISABLED: number;
  readonly SHARED_COMPRESSOR: number;
};

/** For a WebSocketBehavior's `compression`. Shared: no window is kept for a socket; a dedicated one costs 80 KB a socket. */
export const webSocketCompression = { off: constants.DISABLED, shared: constants.SHARED_COMPRESSOR } as const;

export interface WebServerOptions extends BodyReaderOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The key of the setting that holds the port, for the message where it is taken. Default: `port`. */
  readonly portSetting?: string;
  readonly log: Log;
}

export interface WebServer {
  /** For routes. Give handlers through `guarded`. */
  readonly app: uws.TemplatedApp;
  /**
   * Resolves with where it listens. Rejects with `address_in_use` for a port that anyone else holds (it is never shared), `invalid_config`
   * for a host or port that cannot be had.
   */
  listen(): Promise<{ readonly host: string; readonly port: number }>;
  /** Takes no new connections; those there are go on. Idempotent. */
  stopListening(): void;
  /** Cuts every connection. Idempotent. */
  close(): void;
  /**
   * A handler that answers 500 and logs where it throws. Every route needs it: uWebSockets.js aborts the whole process, past all handlers
   * of errors, where one returns or throws without having answered or watched for an abort.
   */
  guarded(handler: Handler): Handler;
  /** Reads a request's body within its bounds; see `BodyCall`. Call it in the handler itself, before it returns. */
  readBody(res: uws.HttpResponse, req: uws.HttpRequest, bytesMax: number, done: BodyCall): void;
  /** Bodies that are still coming: for metrics. */
  unfinishedBodies(): { readonly count: number; readonly bytes: number; readonly bytesMax: number };
}

/**
 * A server for HTTP and WebSockets on uWebSockets.js. Nothing listens before `listen`.
 *
 * The library's own bounds: a request's head has at most 4 KB in all, else 431 (UWS_HTTP_MAX_HEADERS_SIZE in the environment of the process
 * raises it), so a larger token goes into the first message instead of the header or the URL; a path without a route cuts the connection,
 * so end the routes with one for everything; a connection idle for 10 s within a request is cut.
 */
export function createWebServer(options: WebServerOptions): WebServer {
  const { host, port, portSetting = 'port', log } = options;
  const app = uws.App();
  const bodies = new BodyReader(options);
  let listening: uws.us_listen_socket | undefined;
  let closed = false;

  function stopListening(): void {
    if (listening) uws.us_listen_socket_close(listening);
    listening = undefined;
  }

  return {
    app,
    async listen() {
      listening = await listenExclusively(app, { host, port, portSetting });
      return { host, port: uws.us_socket_local_port(listening) };
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
        log.error({ error }, 'a request could not be handled');
        watchAbort(res);
        respond(res, 500, [], 'internal error; see the server log\n');
      }
    },
    readBody: (res, req, bytesMax, done) => bodies.read(res, req, bytesMax, done),
    unfinishedBodies: () => ({
      count: bodies.unfinishedCount,
      bytes: bodies.unfinishedBytes,
      bytesMax: bodies.unfinishedBytesMax,
    }),
  };
}

/** The form with a host and options that the library has and its types have not. */
interface ExclusiveListener {
  listen(host: string, port: number, options: number, call: (socket: uws.us_listen_socket | false) => void): void;
}

/** Without the option two processes would share the port, and each would get some of the connections. */
function listenExclusively(app: uws.TemplatedApp, address: ListenAddress): Promise<uws.us_listen_socket> {
  const { promise, resolve, reject } = Promise.withResolvers<uws.us_listen_socket>();
  (app as unknown as ExclusiveListener).listen(
    address.host,
    address.port,
    constants.LIBUS_LISTEN_EXCLUSIVE_PORT,
    (socket) => {
      if (socket) resolve(socket);
      else void faultOfListening(address).then(reject);
    },
  );
  return promise;
}

/** uWebSockets.js does not say why a port could not be had; Node's own listener, trying the same, does. */
function faultOfListening(address: ListenAddress): Promise<Error> {
  const { promise, resolve } = Promise.withResolvers<Error>();
  const probe = createServer();
  probe.once('error', (error: NodeJS.ErrnoException) => resolve(listenFault(address, error.code, error)));
  probe.listen({ host: address.host, port: address.port, exclusive: true }, () => {
    probe.close(() => resolve(listenFault(address, undefined)));
  });
  return promise;
}

/** The token of `Authorization: Bearer`, its scheme in any case (RFC 6750, section 2.1). Undefined: there is none. */
export function bearerToken(req: { getHeader(lowerCaseName: string): string }): string | undefined {
  const header = req.getHeader('authorization');
  if (header.length <= 7 || header.slice(0, 7).toLowerCase() !== 'bearer ') return undefined;
  return header.slice(7).trim() || undefined;
}

/** The first value of a query parameter, percent and plus decoded. Undefined: it is not there. */
export function queryParam(req: { getQuery(name: string): string | undefined }, name: string): string | undefined {
  return req.getQuery(name);
}
