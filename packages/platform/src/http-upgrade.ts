import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { ClientCertificate } from './client-certificate.ts';
import type { Connection, Connections, HttpAnswer, OpenUpgrade } from './connections.ts';
import { errorBody } from './http-refusal.ts';
import type { Logger } from './logger.ts';

/**
 * Decides about a request for a WebSocket. Returns what takes over its connection, or the answer that refuses it.
 * Undefined: it is handled like any other request. What it returns is not called if the connection is lost before.
 */
export type Upgrade = (head: HttpHead) => OpenUpgrade | HttpAnswer | undefined;

/** What upgrades need of their server. */
interface UpgradeServer {
  readonly connections: Connections;
  addressOf(request: IncomingMessage): string;
  certificateOf(request: IncomingMessage, connection: Connection): ClientCertificate | undefined;
}

/**
 * The requests of an HTTP server that change the protocol of their connection, which is a WebSocket from then on.
 * Node.js calls `accepts` with each request that has `Connection: Upgrade`, and `open` at once if it returned true.
 * Else the request is an ordinary one.
 */
export class HttpUpgrades {
  /** Undefined: every request is an ordinary one. */
  decide: Upgrade | undefined;
  readonly #server: UpgradeServer;
  readonly #logger: Logger;
  readonly #onClose: () => void;

  /** `onClose` is called when an upgraded connection is closed. */
  constructor(server: UpgradeServer, logger: Logger, onClose: () => void) {
    this.#server = server;
    this.#logger = logger;
    this.#onClose = onClose;
  }

  /**
   * Returns whether the request changes the protocol of its connection. A request behind others without a response does
   * not: its socket would write between their responses. The answer of a refusal is left in the connection.
   */
  accepts(request: IncomingMessage): boolean {
    const connection = this.#server.connections.of(request.socket);
    if (this.decide === undefined || connection?.open !== 0 || !asksForWebSocket(request)) return false;
    let decision: ReturnType<Upgrade>;
    try {
      decision = this.decide(new HttpHead(this.#server, request, connection));
    } catch (error) {
      this.#logger.error({ error }, 'a request could not be handled');
      const headers = [['Content-Type', 'application/json']] as const;
      decision = { status: 500, headers, body: errorBody('internal', 'internal error; see the server log') };
    }
    if (typeof decision === 'function') connection.openUpgrade = decision;
    else connection.refusedUpgrade = decision;
    return typeof decision === 'function';
  }

  /** Node.js passes the socket without its own listeners, and the connection is in none of its lists any more. */
  open(request: IncomingMessage, socket: Socket, bytes: Buffer): void {
    // An error without a listener would crash the process.
    socket.on('error', destroy);
    const { connections } = this.#server;
    const connection = connections.of(socket);
    const open = connection?.openUpgrade;
    if (connection === undefined || open === undefined) {
      socket.destroy();
      return;
    }
    connections.startUpgraded(connection);
    socket.once('close', this.#onClose);
    try {
      open(request, connection, bytes);
    } catch (error) {
      this.#logger.error({ error }, 'an upgraded connection could not be opened');
      socket.destroy();
    }
  }
}

function destroy(this: Socket): void {
  this.destroy();
}

/** The head of a request for a WebSocket. Holds the whole request: do not keep it. */
export class HttpHead {
  readonly #server: UpgradeServer;
  readonly #request: IncomingMessage;
  readonly #connection: Connection;

  constructor(server: UpgradeServer, request: IncomingMessage, connection: Connection) {
    this.#server = server;
    this.#request = request;
    this.#connection = connection;
  }

  /** Without the query. */
  get path(): string {
    return this.#request.url?.split('?', 1)[0] ?? '';
  }

  /** The key of the client's address, for limits. Computed at each call. */
  get address(): string {
    return this.#server.addressOf(this.#request);
  }

  /** The certificate of the client; undefined for none. Throws `unauthorized`, see `ClientCertificates.of`. */
  get certificate(): ClientCertificate | undefined {
    return this.#server.certificateOf(this.#request, this.#connection);
  }

  /** Empty without the header. */
  header(lowerCaseName: string): string {
    const value = this.#request.headers[lowerCaseName];
    return typeof value === 'string' ? value : '';
  }
}

/**
 * Returns whether a request with `Connection: Upgrade` is one for a WebSocket (RFC 6455, section 4.1). Others are
 * ordinary requests: Java's HttpClient and `curl --http2` add `Upgrade: h2c` to every request, also to one with a body.
 * So are those of HTTP/1.0 (RFC 9110, section 7.8), those without Host, which the server refuses, those with Expect,
 * which Node.js may answer, and those with a body, whose end a proxy may see elsewhere.
 */
export function asksForWebSocket(request: Pick<IncomingMessage, 'method' | 'httpVersion' | 'headers'>): boolean {
  const { method, httpVersion, headers } = request;
  if (method !== 'GET' || httpVersion !== '1.1') return false;
  if (headers.host === undefined || headers.expect !== undefined) return false;
  if (headers.upgrade?.toLowerCase() !== 'websocket') return false;
  return headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0';
}
