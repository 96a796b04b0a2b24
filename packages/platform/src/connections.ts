import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { BlockList, isIPv4, type Socket } from 'node:net';
import { addressFrom, addressKey } from './client-address.ts';
import { type Clock, systemClock, type Timer } from './clock.ts';

export interface ConnectionLimits {
  /** Beyond it a new connection takes the place of another. Below the limit of open files. */
  readonly connectionsMax: number;
  /** Of one address (of IPv6 a /64). Default: `connectionsMax`. */
  readonly addressConnectionsMax?: number;
  /** Proxies: their connections are many clients', and are not limited by address. Default: none. */
  readonly trustedProxies?: BlockList;
}

/** How often answers are checked that their clients do not read; such a one is dropped at the second check. */
const checkMs = 5_000;

/** Accepted above a limit until their first bytes could be read: as many as one turn of the event loop accepts. */
const newcomersMax = 512;

/**
 * The connections of an HTTP server of Node.js, within limits that cannot be used to keep others out: **a new
 * connection is always accepted**. At a limit it takes the place of the connection that is missed least:
 *
 * 1. of the address with the most connections; trusted proxies come last;
 * 2. of that address, first one that has not sent a whole request, then one that is idle between two requests, then one
 *    that does not read its answer; of those the one that has waited longest.
 *
 * A connection with a whole request that is not answered yet is never closed; only where all are such is the new one
 * closed.
 *
 * One turn of the event loop accepts all connections that wait, and reads none of them. So a newcomer is not closed
 * before the next turn has read what came with it: of a burst, those stay that have sent a request. Until then there
 * may be `newcomersMax` more than a limit allows.
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
  #timer: Timer | undefined;
  readonly #afterReading: (call: () => void) => void;
  /** Accepted in this turn of the event loop, oldest first. */
  #newcomers: Connection[] = [];
  readonly counts = {
    /** Closed to make room for another. */
    evicted: 0,
    /** New ones closed because every other one was serving a request, or was as new. */
    refused: 0,
    /** Closed because the client did not read its answer. */
    unread: 0,
  };

  /** `afterReading` calls once what has come with the connections of this turn of the event loop has been read. */
  constructor(
    server: Server,
    limits: ConnectionLimits,
    clock: Pick<Clock, 'every'> = systemClock,
    afterReading: (call: () => void) => void = afterNextPoll,
  ) {
    this.#afterReading = afterReading;
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

  get size(): number {
    return this.#bySocket.size;
  }

  get limit(): number {
    return this.#limits.connectionsMax;
  }

  /** Connections of the address that has the most, proxies apart. */
  get mostOfOneAddress(): number {
    return this.#most;
  }

  /** That have not sent a whole request. Walks all connections: for a metric. */
  get incomplete(): number {
    let count = 0;
    for (const connection of this.#bySocket.values()) {
      if (connection.request?.complete !== true && !connection.address.idle.has(connection)) count++;
    }
    return count;
  }

  /** Tracks the requests of a server whose handlers do not call `begin` and `end`. */
  watchRequests(server: Server): this {
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
      const connection = this.begin(request, response);
      if (connection !== undefined) response.once('close', () => this.end(connection));
    });
    return this;
  }

  of(socket: Socket): Connection | undefined {
    return this.#bySocket.get(socket);
  }

  /** A head has come. Undefined: the connection has been closed meanwhile. */
  begin(request: IncomingMessage, response: ServerResponse): Connection | undefined {
    const connection = this.#bySocket.get(request.socket);
    if (connection === undefined) return undefined;
    const { address } = connection;
    connection.request = request;
    connection.response = response;
    if (connection.open++ === 0 && address.idle.delete(connection)) address.incomplete.add(connection);
    return connection;
  }

  /** The answer has gone out, or its connection is closed. */
  end(connection: Connection): void {
    if (--connection.open > 0 || connection.isClosed) return;
    const { address } = connection;
    connection.request = undefined;
    connection.response = undefined;
    address.incomplete.delete(connection);
    address.serving.delete(connection);
    address.idle.add(connection);
  }

  #open(socket: Socket): void {
    const remote = socket.remoteAddress;
    // Gone before it was accepted.
    if (remote === undefined) {
      socket.destroy();
      return;
    }
    const address = this.#address(addressFrom(remote) ?? remote);
    if (!this.#makeRoom(address) && this.#newcomers.length >= newcomersMax) {
      this.counts.refused++;
      this.#forget(address);
      socket.destroy();
      return;
    }
    // The connection that made room may have been the only one of this address, which was forgotten with it.
    this.#addresses.set(address.key, address);
    const connection = new Connection(socket, address);
    this.#bySocket.set(socket, connection);
    address.incomplete.add(connection);
    this.#recount(address, 1);
    socket.once('close', () => this.#close(connection));
    this.#newcomers.push(connection);
    if (this.#newcomers.length === 1) this.#afterReading(() => this.#settle());
  }

  /** Newcomers are connections like others from now on, and those that are too many go. */
  #settle(): void {
    const newcomers = new Set(this.#newcomers.reverse());
    this.#newcomers = [];
    for (const newcomer of newcomers) newcomer.isNew = false;
    for (const newcomer of newcomers) {
      if (!this.#isOverLimit(newcomer.address)) continue;
      const connection = this.#replaceableFor(newcomer.address) ?? newcomer;
      if (connection.isClosed) continue;
      if (newcomers.has(connection)) this.counts.refused++;
      else this.counts.evicted++;
      this.#drop(connection);
    }
  }

  #isOverLimit(address: Address, more = 0): boolean {
    if (!address.isProxy && address.connections + more > this.#addressConnectionsMax) return true;
    return this.size + more > this.#limits.connectionsMax;
  }

  /** Whether there is room for one more. */
  #makeRoom(address: Address): boolean {
    if (!this.#isOverLimit(address, 1)) return true;
    const connection = this.#replaceableFor(address);
    if (connection === undefined) return false;
    this.counts.evicted++;
    this.#drop(connection);
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

  #drop(connection: Connection): void {
    this.#close(connection);
    connection.socket.destroy();
  }

  #close(connection: Connection): void {
    if (connection.isClosed) return;
    connection.isClosed = true;
    connection.linger?.cancel();
    const { address } = connection;
    this.#bySocket.delete(connection.socket);
    address.incomplete.delete(connection);
    address.serving.delete(connection);
    address.idle.delete(connection);
    this.#recount(address, -1);
    this.#forget(address);
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

  #forget(address: Address): void {
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
    for (const connection of this.#bySocket.values()) {
      const { response } = connection;
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
  /** Without a whole request, in the order in which they began to wait. Some may have it by now: see `replaceable`. */
  readonly incomplete = new Set<Connection>();
  /** Found with a whole request by `replaceable`. */
  readonly serving = new Set<Connection>();
  /** Between two requests, in the order of their last answers. */
  readonly idle = new Set<Connection>();

  constructor(key: string, isProxy: boolean) {
    this.key = key;
    this.isProxy = isProxy;
  }

  /** The connection that is missed least, if any may be closed. */
  replaceable(): Connection | undefined {
    for (const connection of this.incomplete) {
      if (connection.isNew) continue;
      if (connection.request?.complete !== true) return connection;
      // Found here instead of at the end of each request, which would cost every request something.
      this.incomplete.delete(connection);
      this.serving.add(connection);
    }
    for (const connection of this.idle) if (!connection.isNew) return connection;
    for (const connection of this.serving) if (connection.response?.writableEnded === true) return connection;
    return undefined;
  }
}

/** One connection, and the request that came last on it. */
export class Connection {
  readonly socket: Socket;
  readonly address: Address;
  request: IncomingMessage | undefined;
  response: ServerResponse | undefined;
  /** Requests without an answer; pipelining makes several. */
  open = 0;
  isClosed = false;
  /** Nothing of it could be read yet. */
  isNew = true;
  /** The answer that was waiting to be read at the last check. */
  unreadAtCheck: ServerResponse | undefined;
  /** What came was no HTTP: nothing more is read. */
  isBroken = false;
  /** Closes it for good, after the client had time to read the answer. */
  linger: Timer | undefined;
  /** Of requests behind others: they have to learn that the connection has closed. Undefined until there is one. */
  pipelined: Set<{ onClose(): void }> | undefined;

  constructor(socket: Socket, address: Address) {
    this.socket = socket;
    this.address = address;
  }
}

/** The first ends this turn of the event loop, the second the next, which polls the connections for what has come. */
function afterNextPoll(call: () => void): void {
  setImmediate(() => setImmediate(call));
}
