import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { BlockList, isIPv4, type Socket } from 'node:net';
import { addressFrom, addressKey } from './client-address.ts';
import type { ClientCertificate } from './client-certificate.ts';
import { type Clock, systemClock, type Timer } from './clock.ts';
import type { Headers } from './web-response.ts';

export interface ConnectionLimits {
  /** Beyond it a new connection replaces another. Below the limit of open files. */
  readonly connectionsMax: number;
  /** Of one address (of IPv6 a /64). Default: `connectionsMax`. */
  readonly addressConnectionsMax?: number;
  /** Connections of proxies belong to many clients, and are not limited by address. Default: none. */
  readonly trustedProxies?: BlockList;
}

/**
 * How often unread responses and unfinished requests are checked; a connection is closed at the second check of one
 * response.
 */
const checkMs = 5_000;

/** How long the client of an answered request may take to send the rest of its body. */
const unfinishedMs = 10_000;
/**
 * Answered requests whose clients still send; beyond it the one that has waited longest is closed. Otherwise a client
 * could close thousands of them together, and one turn of the event loop would handle all, at 40 µs each.
 */
export const unfinishedMax = 256;

/** New connections above a limit: as many as one turn of the event loop accepts. */
const newConnectionsMax = 512;
/** Time for a new connection to send its request. A busy client on the same machine takes some 10 ms. */
const newConnectionMs = 25;

/**
 * The connections of an HTTP server of Node.js, also those that it has upgraded. Their limits cannot be used to lock
 * out other clients: **a new connection is always accepted**. At a limit it replaces a connection, which is selected in
 * this order:
 *
 * 1. of the address with the most connections; trusted proxies come last;
 * 2. of that address, first one that has not sent a whole request, then one that is idle between two requests, then one
 *    that does not read its response; of those the one that has waited longest.
 *
 * A connection whose whole request is in progress is never closed, nor one whose body is processed while it is
 * received. Only if all are such, the new one is closed.
 *
 * An upgraded connection counts as one that has not sent a whole request until its client is authenticated. From then
 * on it is out of these limits, and what serves it has limits of its own: many devices cannot lock out requests.
 *
 * One turn of the event loop accepts all pending connections and reads none of them, and a client sends its request
 * only when it is connected. So a new connection is not closed in the first `newConnectionMs`: of a burst, those stay
 * that sent a request. Meanwhile a limit may be exceeded by `newConnectionsMax`.
 */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #addressConnectionsMax: number;
  readonly #trusted: BlockList;
  readonly #bySocket = new Map<Socket, Connection>();
  readonly #addresses = new Map<string, Address>();
  /** Addresses by how many connections they have. */
  readonly #byCount: Set<Address>[] = [];
  #most = 0;
  /** Those with an answered request whose rest was not received, the longest first. */
  readonly #unfinished = new Set<Connection>();
  #upgraded = 0;
  /** Of the upgraded ones. */
  #authenticated = 0;
  #timer: Timer | undefined;
  readonly #clock: Pick<Clock, 'every' | 'after' | 'monotonic'>;
  /** Accepted since the limits were last applied, oldest first. */
  #newConnections: Connection[] = [];
  readonly counts = {
    /** Closed and replaced by a new one. */
    evicted: 0,
    /** New ones closed because every other one had a request in progress, or was as new. */
    refused: 0,
    /** Closed because the client did not read its response. */
    unread: 0,
    /** Closed because the client did not send the rest of an answered request. */
    unfinished: 0,
  };

  constructor(
    server: Server,
    limits: ConnectionLimits,
    clock: Pick<Clock, 'every' | 'after' | 'monotonic'> = systemClock,
  ) {
    this.#clock = clock;
    this.#limits = limits;
    this.#addressConnectionsMax = limits.addressConnectionsMax ?? limits.connectionsMax;
    this.#trusted = limits.trustedProxies ?? new BlockList();
    server.on('connection', (socket) => this.#open(socket));
    server.on('listening', () => {
      this.#timer ??= clock.every(checkMs, () => this.#check());
    });
    server.on('close', () => {
      this.#timer?.cancel();
      this.#timer = undefined;
    });
  }

  /** The number that counts against the limit: all but the authenticated ones. */
  get size(): number {
    return this.#bySocket.size - this.#authenticated;
  }

  get limit(): number {
    return this.#limits.connectionsMax;
  }

  /** Connections of the address that has the most, proxies and authenticated ones apart. */
  get mostOfOneAddress(): number {
    return this.#most;
  }

  /** The number of those that were upgraded, the authenticated ones included. */
  get upgraded(): number {
    return this.#upgraded;
  }

  /** The number without a whole request, upgraded ones apart. Loops over all connections: for a metric. */
  get incomplete(): number {
    let count = 0;
    for (const connection of this.#bySocket.values()) {
      if (connection.isUpgraded) continue;
      if (!connection.isServing && !connection.address.idle.has(connection)) count++;
    }
    return count;
  }

  /** Tracks the requests of a server whose handlers do not call `startRequest` and `finishRequest`. */
  watchRequests(server: Server): this {
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
      const connection = this.startRequest(request, response);
      if (connection !== undefined) response.once('close', () => this.finishRequest(connection));
    });
    return this;
  }

  of(socket: Socket): Connection | undefined {
    return this.#bySocket.get(socket);
  }

  /** A head was received. Returns undefined if the connection was closed meanwhile. */
  startRequest(request: IncomingMessage, response: ServerResponse): Connection | undefined {
    const connection = this.#bySocket.get(request.socket);
    if (connection === undefined) return undefined;
    const { address } = connection;
    connection.request = request;
    connection.response = response;
    if (connection.open++ === 0 && address.idle.delete(connection)) address.incomplete.add(connection);
    return connection;
  }

  /** The response was sent, or its connection is closed. */
  finishRequest(connection: Connection): void {
    if (--connection.open > 0 || connection.isClosed) return;
    const { address, request } = connection;
    if (request?.complete === false) {
      connection.unfinished = request;
      connection.unfinishedSinceMs = this.#clock.monotonic();
      this.#unfinished.delete(connection);
      this.#unfinished.add(connection);
      this.#closeUnfinished();
    }
    connection.request = undefined;
    connection.response = undefined;
    connection.isStreaming = false;
    address.incomplete.delete(connection);
    address.serving.delete(connection);
    address.idle.add(connection);
  }

  #closeUnfinished(): void {
    for (const oldest of this.#unfinished) {
      if (this.#unfinished.size <= unfinishedMax) return;
      this.#unfinished.delete(oldest);
      if (oldest.unfinished === undefined || oldest.unfinished.complete) continue;
      this.counts.unfinished++;
      oldest.socket.destroy();
    }
  }

  /** The connection has changed its protocol: it has no requests any more. Called once. */
  startUpgraded(connection: Connection): void {
    connection.openUpgrade = undefined;
    connection.isUpgraded = true;
    this.#upgraded++;
    const { address } = connection;
    if (address.idle.delete(connection)) address.incomplete.add(connection);
  }

  /** The client of an upgraded connection is authenticated: it is out of the limits from now on. Idempotent. */
  authenticated(connection: Connection): void {
    if (connection.isClosed || connection.isAuthenticated) return;
    connection.isAuthenticated = true;
    this.#authenticated++;
    const { address } = connection;
    address.incomplete.delete(connection);
    this.#recount(address, -1);
    this.#removeIfEmpty(address);
  }

  /** Closes the upgraded connections, which are not in the list of the server. */
  closeUpgraded(): void {
    for (const { socket, isUpgraded } of this.#bySocket.values()) if (isUpgraded) socket.destroy();
  }

  #open(socket: Socket): void {
    const remote = socket.remoteAddress;
    // Closed before it was accepted.
    if (remote === undefined) {
      socket.destroy();
      return;
    }
    const address = this.#address(addressFrom(remote) ?? remote);
    if (!this.#makeSpace(address) && this.#newConnections.length >= newConnectionsMax) {
      this.counts.refused++;
      this.#removeIfEmpty(address);
      socket.destroy();
      return;
    }
    // The replaced connection may have been the only one of this address, which was removed with it.
    this.#addresses.set(address.key, address);
    const connection = new Connection(socket, address, this.#clock.monotonic());
    this.#bySocket.set(socket, connection);
    address.incomplete.add(connection);
    this.#recount(address, 1);
    socket.once('close', () => this.#close(connection));
    this.#newConnections.push(connection);
    if (this.#newConnections.length === 1) this.#settleLater();
  }

  /** Called when a connection has become the oldest new one. */
  #settleLater(): void {
    const [oldest] = this.#newConnections;
    if (oldest === undefined) return;
    const waitMs = oldest.openedMs + newConnectionMs - this.#clock.monotonic();
    this.#clock.after(Math.ceil(waitMs), () => this.#settle());
  }

  /** Treats connections that are no longer new like all others, and closes those that exceed a limit. */
  #settle(): void {
    const nowMs = this.#clock.monotonic();
    const isDue = ({ openedMs }: Connection) => openedMs + newConnectionMs <= nowMs;
    const settled = new Set(this.#newConnections.filter(isDue).reverse());
    this.#newConnections = this.#newConnections.slice(settled.size);
    this.#settleLater();
    for (const connection of settled) connection.isNew = false;
    for (const newest of settled) {
      if (newest.isAuthenticated || !this.#exceedsLimit(newest.address)) continue;
      const connection = this.#replaceableFor(newest.address) ?? newest;
      if (connection.isClosed) continue;
      if (settled.has(connection)) this.counts.refused++;
      else this.counts.evicted++;
      this.#destroy(connection);
    }
  }

  #exceedsLimit(address: Address, more = 0): boolean {
    if (!address.isProxy && address.connections + more > this.#addressConnectionsMax) return true;
    return this.size + more > this.#limits.connectionsMax;
  }

  /** Returns whether the limits allow one more. */
  #makeSpace(address: Address): boolean {
    if (!this.#exceedsLimit(address, 1)) return true;
    const connection = this.#replaceableFor(address);
    if (connection === undefined) return false;
    this.counts.evicted++;
    this.#destroy(connection);
    return true;
  }

  #replaceableFor(address: Address): Connection | undefined {
    if (!address.isProxy && address.connections >= this.#addressConnectionsMax) return address.replaceable();
    for (let count = this.#most; count > 0; count--) {
      for (const other of this.#byCount[count] ?? []) {
        const connection = other.replaceable();
        if (connection !== undefined) return connection;
      }
    }
    for (const other of this.#addresses.values()) {
      const connection = other.isProxy ? other.replaceable() : undefined;
      if (connection !== undefined) return connection;
    }
    return undefined;
  }

  #destroy(connection: Connection): void {
    this.#close(connection);
    connection.socket.destroy();
  }

  #close(connection: Connection): void {
    if (connection.isClosed) return;
    connection.isClosed = true;
    connection.linger?.cancel();
    if (connection.isUpgraded) this.#upgraded--;
    const { address } = connection;
    this.#bySocket.delete(connection.socket);
    this.#unfinished.delete(connection);
    address.incomplete.delete(connection);
    address.serving.delete(connection);
    address.idle.delete(connection);
    if (connection.isAuthenticated) {
      this.#authenticated--;
      return;
    }
    this.#recount(address, -1);
    this.#removeIfEmpty(address);
  }

  #address(text: string): Address {
    const key = addressKey(text);
    let address = this.#addresses.get(key);
    if (address === undefined) {
      address = new Address(key, this.#trusted.check(text, isIPv4(text) ? 'ipv4' : 'ipv6'));
      this.#addresses.set(key, address);
    }
    return address;
  }

  #removeIfEmpty(address: Address): void {
    if (address.connections === 0) this.#addresses.delete(address.key);
  }

  #recount(address: Address, change: 1 | -1): void {
    const before = address.connections;
    address.connections += change;
    if (address.isProxy) return;
    this.#byCount[before]?.delete(address);
    if (address.connections > 0) {
      this.#byCount[address.connections] ??= new Set();
      this.#byCount[address.connections]!.add(address);
    }
    this.#most = Math.max(this.#most, address.connections);
    while (this.#most > 0 && this.#byCount[this.#most]!.size === 0) this.#most--;
  }

  #check(): void {
    const nowMs = this.#clock.monotonic();
    for (const connection of this.#bySocket.values()) {
      const { response, unfinished } = connection;
      if (unfinished?.complete) {
        connection.unfinished = undefined;
        this.#unfinished.delete(connection);
      } else if (unfinished !== undefined && nowMs - connection.unfinishedSinceMs >= unfinishedMs) {
        this.counts.unfinished++;
        connection.socket.destroy();
      }
      if (response === undefined || !response.writableEnded) continue;
      if (connection.unreadAtCheck === response) {
        this.counts.unread++;
        connection.socket.destroy();
      } else connection.unreadAtCheck = response;
    }
  }
}

class Address {
  readonly key: string;
  readonly isProxy: boolean;
  connections = 0;
  /** Without a whole request, the longest waiting first. Some may have one by now: see `replaceable`. */
  readonly incomplete = new Set<Connection>();
  /** With a whole request, as found by `replaceable`. */
  readonly serving = new Set<Connection>();
  /** Between two requests, in the order of their last responses. */
  readonly idle = new Set<Connection>();

  constructor(key: string, isProxy: boolean) {
    this.key = key;
    this.isProxy = isProxy;
  }

  /** Returns the connection to replace; undefined if none may be closed. */
  replaceable(): Connection | undefined {
    for (const connection of this.incomplete) {
      if (connection.isNew) continue;
      if (!connection.isServing) return connection;
      // Moved here instead of when each request is complete, which would add a cost to every request.
      this.incomplete.delete(connection);
      this.serving.add(connection);
    }
    for (const connection of this.idle) if (!connection.isNew) return connection;
    for (const connection of this.serving) if (connection.response?.writableEnded === true) return connection;
    return undefined;
  }
}

/** A whole response. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/**
 * Takes over the connection of an accepted upgrade: reads and writes its socket, and sends 101. `bytes`: received
 * behind the head of the request. An error that it throws is logged, and closes the connection.
 */
export type OpenUpgrade = (request: IncomingMessage, connection: Connection, bytes: Buffer) => void;

/** One connection, and its latest request. */
export class Connection {
  readonly socket: Socket;
  readonly address: Address;
  /** Monotonic, ms. */
  readonly openedMs: number;
  request: IncomingMessage | undefined;
  response: ServerResponse | undefined;
  /** Requests without a response; several with pipelining. */
  open = 0;
  isClosed = false;
  /** Accepted less than `newConnectionMs` ago. */
  isNew = true;
  /** The body of its request is processed while it is received. */
  isStreaming = false;
  /** The response that was unread at the last check. */
  unreadAtCheck: ServerResponse | undefined;
  /** The latest answered request whose body was incomplete, and since when, monotonic, ms. */
  unfinished: IncomingMessage | undefined;
  unfinishedSinceMs = 0;
  /** Invalid HTTP was received: nothing more is read. */
  isBroken = false;
  /** Closes it after the client had time to read the response. */
  linger: Timer | undefined;
  /** The decision about a request for an upgrade, until Node.js passes the upgrade or the request on. */
  openUpgrade: OpenUpgrade | undefined;
  refusedUpgrade: HttpAnswer | undefined;
  isUpgraded = false;
  /** The client of the upgraded connection is authenticated. */
  isAuthenticated = false;
  /** The certificate that the client has presented in its handshake; null: none; undefined: not read yet. */
  certificate: ClientCertificate | null | undefined;
  /** Pipelined requests, which are notified when the connection closes. Undefined until there is one. */
  pipelined: Set<{ onClose(): void }> | undefined;

  constructor(socket: Socket, address: Address, openedMs: number) {
    this.socket = socket;
    this.address = address;
    this.openedMs = openedMs;
  }

  /** Whether a request is in progress that is complete, or whose rest the server receives as fast as it can use it. */
  get isServing(): boolean {
    return this.isStreaming || this.request?.complete === true;
  }
}
