import { connect as connectTcp, createServer as createTcpServer, isIP, type Server, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  connect as connectTls,
  createServer as createTlsServer,
  TLSSocket,
  type TlsOptions,
} from 'node:tls';
import { type ListenAddress, listenError } from '@tailrace/platform/listen-error';
import { TailraceError } from '@tailrace/protocol/error';
import type { Wire, WireHandlers } from './wire.ts';

/** Above it, `send` returns false: the peer does not read. */
const highWaterBytes = 64 * 1024;
/** From `close` to the end, also if the peer neither reads nor closes. */
const closeTimeoutMs = 1000;
/** TCP detects a peer that is gone without a word, beside the keep alive of MQTT. */
const tcpKeepAliveMs = 60_000;
const tlsHandshakeTimeoutMs = 10_000;
const backlog = 1024;

const noHandlers: WireHandlers = { bytes() {}, writable() {}, closed() {} };

/** A socket with its wire: the listeners are functions of this file, so that a connection has none of its own. */
type WireSocket = Socket & { wire: NetWire };

/** A connection over TCP or TLS. */
class NetWire implements Wire {
  handlers: WireHandlers = noHandlers;
  error: Error | undefined;
  /** The open sockets of its server. */
  readonly sockets: Set<Socket> | undefined;
  readonly #socket: WireSocket;
  #isClosing = false;

  constructor(socket: Socket, sockets?: Set<Socket>) {
    this.#socket = socket as WireSocket;
    this.sockets = sockets;
    sockets?.add(socket);
    this.#socket.wire = this;
    socket.on('data', onData);
    socket.on('drain', onDrain);
    socket.on('error', onError);
    socket.on('close', onClose);
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  send(bytes: Uint8Array): boolean {
    if (this.#isClosing) return true;
    this.#socket.write(bytes);
    return this.#socket.writableLength <= highWaterBytes;
  }

  pause(): void {
    if (!this.#isClosing) this.#socket.pause();
  }

  resume(): void {
    if (!this.#isClosing) this.#socket.resume();
  }

  close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    const socket = this.#socket;
    if (socket.connecting) {
      socket.destroy();
      return;
    }
    socket.end();
    // What still comes is read and dropped: a socket that is closed with unread bytes resets the connection, and the
    // peer may never read the last packet.
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), closeTimeoutMs);
    socket.once('close', () => clearTimeout(timer));
  }
}

function onData(this: Socket, chunk: Buffer): void {
  const { wire } = this as WireSocket;
  if (wire.isClosing) return;
  // Several answers to one chunk are one write.
  this.cork();
  try {
    wire.handlers.bytes(chunk);
  } finally {
    this.uncork();
  }
}

function onDrain(this: Socket): void {
  (this as WireSocket).wire.handlers.writable();
}

function onError(this: Socket, error: Error): void {
  (this as WireSocket).wire.error = error;
}

function onClose(this: Socket): void {
  const { wire } = this as WireSocket;
  wire.sockets?.delete(this);
  wire.handlers.closed(wire.error);
}

/** Where a client connects from. */
export interface Remote {
  readonly address: string;
  readonly port: number;
  /** Undefined without TLS. */
  readonly tls: TLSSocket | undefined;
}

export interface ListenOptions extends ListenAddress {
  /** Certificate, key and client authorities; undefined: TCP. */
  readonly tls?: TlsOptions;
  /** Returns the handlers of a new connection; undefined refuses it. */
  readonly accept: (wire: Wire, remote: Remote) => WireHandlers | undefined;
  /** Called for a connection that failed before it was secure. */
  readonly onTlsError?: (error: Error, address: string | undefined) => void;
}

export interface MqttServer {
  readonly port: number;
  /** Uses other certificates for new connections. */
  setSecureContext(options: TlsOptions): void;
  /** Accepts no more connections. Those that are open stay. */
  stopAccepting(): void;
  /** Closes the port and all connections. Resolves when they are closed. */
  close(): Promise<void>;
}

/**
 * Passes a connection to `accept` that another server has accepted, and secured where it is a TLS socket. `sockets` has
 * it while it is open. Closes it if it is refused.
 */
export function acceptSocket(socket: Socket, sockets: Set<Socket>, accept: ListenOptions['accept']): void {
  const wire = new NetWire(socket, sockets);
  const handlers = accept(wire, {
    address: socket.remoteAddress ?? '',
    port: socket.remotePort ?? 0,
    tls: socket instanceof TLSSocket ? socket : undefined,
  });
  if (handlers === undefined) socket.destroy();
  else wire.handlers = handlers;
}

/** Closes the wires of `acceptSocket`. */
export function closeSockets(sockets: Iterable<Socket>): void {
  for (const socket of sockets) (socket as WireSocket).wire.close();
}

/** Listens on a port. Rejects with the error of `listenError`. */
export async function listenMqtt(options: ListenOptions): Promise<MqttServer> {
  const { tls, host, accept, onTlsError } = options;
  const sockets = new Set<Socket>();
  const onSocket = (socket: Socket) => acceptSocket(socket, sockets, accept);
  const common = { noDelay: true, keepAlive: true, keepAliveInitialDelay: tcpKeepAliveMs };
  const server: Server =
    tls === undefined
      ? createTcpServer(common, onSocket)
      : createTlsServer({ ...tls, ...common, handshakeTimeout: tlsHandshakeTimeoutMs }, onSocket);
  // Connections whose handshake is not complete are in no other list, and `close` would wait for them.
  const tcpSockets = new Set<Socket>();
  if (tls !== undefined) {
    server.on('connection', (socket: Socket) => {
      tcpSockets.add(socket);
      socket.once('close', () => tcpSockets.delete(socket));
    });
  }
  server.on('tlsClientError', (error: Error, socket: TLSSocket) => onTlsError?.(error, socket.remoteAddress));
  await new Promise<void>((resolve, reject) => {
    const onListenError = (error: NodeJS.ErrnoException) => reject(listenError(options, error.code, error));
    server.once('error', onListenError);
    server.listen({ host, port: options.port, backlog }, () => {
      server.off('error', onListenError);
      resolve();
    });
  });
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new TailraceError('internal', 'address of the server: expected a port');
  }
  return {
    port: address.port,
    setSecureContext(context) {
      if ('setSecureContext' in server) (server as ReturnType<typeof createTlsServer>).setSecureContext(context);
    },
    stopAccepting() {
      server.close();
    },
    close() {
      return new Promise((resolve) => {
        const timer = setTimeout(() => {
          for (const socket of tcpSockets) socket.destroy();
        }, closeTimeoutMs);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        closeSockets(sockets);
      });
    },
  };
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** Authorities and client certificate; undefined: TCP. */
  readonly tls?: ConnectionOptions;
}

/** Starts to connect. Bytes that are sent meanwhile follow. `closed` reports a failure. */
export function connectWire({ host, port, tls }: ConnectOptions, handlers: WireHandlers): Wire {
  const keepAlive = { noDelay: true, keepAlive: true, keepAliveInitialDelay: tcpKeepAliveMs };
  const socket =
    tls === undefined
      ? connectTcp({ host, port, ...keepAlive })
      : connectTls({ ...(isIP(host) === 0 ? { servername: host } : {}), ...tls, host, port });
  if (tls !== undefined) {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, tcpKeepAliveMs);
  }
  const wire = new NetWire(socket);
  wire.handlers = handlers;
  return wire;
}
