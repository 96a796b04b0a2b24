import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { ClientCertificate } from '@tailrace/platform/client-certificate';
import type { Connection, Connections } from '@tailrace/platform/connections';
import { rawAnswer } from '@tailrace/platform/http-refusal';
import type { Logger } from '@tailrace/platform/logger';
import { type RawData, type ServerOptions, WebSocket, WebSocketServer } from 'ws';
import {
  type AcceptedUpgrade,
  closeDeadlineMs,
  closeReason,
  type DeviceSocket,
  type DeviceSocketHandlers,
  type DeviceSocketServer,
  internalErrorCode,
  lostCode,
  tooLargeCode,
} from './device-socket.ts';

/**
 * Bounds of what one client can hold in memory with a message that it does not complete: tiny fragments and tiny chunks
 * cost more than their bytes. The defaults of ws allow a hundred times as many (GHSA-96hv-2xvq-fx4p).
 */
const fragmentsMax = 64;
const bufferedChunksMax = 4_096;
/**
 * Pongs that wait for the kernel; beyond it ws terminates the connection. A device that pings every second may send a
 * minute of pings at once when its link returns.
 */
const pendingPongsMax = 64;

/** Options that the types of ws do not have. */
type WsOptions = ServerOptions & { readonly closeTimeout: number; readonly maxPendingAutoPongs: number };

const socketOf = Symbol('socket');
interface WithSocket {
  [socketOf]?: WsSocket;
}

/** Makes sockets of devices from upgraded connections, with the library ws. */
export class WsSockets {
  readonly #connections: Pick<Connections, 'authenticated'>;
  readonly #logger: Logger;
  readonly #servers = new Map<DeviceSocketServer, WebSocketServer>();

  constructor(connections: Pick<Connections, 'authenticated'>, logger: Logger) {
    this.#connections = connections;
    this.#logger = logger;
  }

  /**
   * Answers 101, and opens the socket. `bytes`: received behind the head of the request. A request that ws does not
   * accept is answered with 400.
   */
  open(
    request: IncomingMessage,
    connection: Connection,
    bytes: Buffer,
    address: string,
    { server, open, certificate }: AcceptedUpgrade,
  ): void {
    this.#serverFor(server).handleUpgrade(request, connection.socket, bytes, (webSocket) => {
      const authenticated = () => this.#connections.authenticated(connection);
      const client = { address, certificate };
      new WsSocket(webSocket, connection.socket, client, authenticated, this.#logger).start(open);
    });
  }

  #serverFor(server: DeviceSocketServer): WebSocketServer {
    let found = this.#servers.get(server);
    if (found === undefined) {
      const options: WsOptions = {
        noServer: true,
        clientTracking: false,
        // A compressor costs some 300 KB a socket, and messages of devices are small.
        perMessageDeflate: false,
        maxPayload: server.messageBytesMax,
        maxFragments: fragmentsMax,
        maxBufferedChunks: bufferedChunksMax,
        maxPendingAutoPongs: pendingPongsMax,
        closeTimeout: closeDeadlineMs,
        handleProtocols: (offered) => server.subprotocols.find((each) => offered.has(each)) ?? false,
      };
      found = new WebSocketServer(options);
      found.on('wsClientError', (error, socket) => {
        socket.end(
          rawAnswer(400, 'invalid_message', `expected a request for a WebSocket (RFC 6455): ${error.message}`),
        );
        socket.once('finish', () => socket.destroy());
      });
      this.#servers.set(server, found);
    }
    return found;
  }
}

class WsSocket implements DeviceSocket {
  readonly address: string;
  readonly certificate: ClientCertificate | undefined;
  readonly authenticated: () => void;
  readonly #webSocket: WebSocket;
  readonly #socket: Socket;
  readonly #logger: Logger;
  /** Undefined before `start`. */
  #handlers: DeviceSocketHandlers | undefined;
  /** This side closes: nothing is delivered any more. */
  #isClosing = false;
  /** Of the close frame of this side, if it is the first one. */
  #closeCode: number | undefined;

  constructor(
    webSocket: WebSocket,
    socket: Socket,
    client: Pick<DeviceSocket, 'address' | 'certificate'>,
    authenticated: () => void,
    logger: Logger,
  ) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.address = client.address;
    this.certificate = client.certificate;
    this.authenticated = authenticated;
    this.#logger = logger;
    (webSocket as WithSocket)[socketOf] = this;
    webSocket.on('message', onMessage);
    webSocket.on('ping', onPing);
    webSocket.on('pong', onPong);
    webSocket.on('close', onClose);
    webSocket.on('error', onError);
  }

  /** The first bytes of the client are delivered after it. */
  start(open: AcceptedUpgrade['open']): void {
    this.#guard(() => {
      this.#handlers = open(this);
    });
  }

  get subprotocol(): string {
    return this.#webSocket.protocol;
  }

  get bufferedBytes(): number {
    return this.#webSocket.bufferedAmount;
  }

  /** ws counts what is sent after the close as buffered, and never sends it. */
  get #isOpen(): boolean {
    return this.#webSocket.readyState === WebSocket.OPEN;
  }

  send(data: string | Uint8Array): void {
    if (this.#isOpen) this.#webSocket.send(data);
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  ping(): void {
    if (this.#isOpen) this.#webSocket.ping();
  }

  pause(): void {
    if (this.#isOpen) this.#webSocket.pause();
  }

  resume(): void {
    this.#webSocket.resume();
  }

  close(code: number, reason: string): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (this.#isOpen) this.#closeCode = code;
    // A paused socket never receives the close frame of its client.
    this.#webSocket.resume();
    this.#webSocket.close(code, closeReason(reason));
  }

  terminate(): void {
    this.#isClosing = true;
    this.#closeCode ??= lostCode;
    this.#webSocket.terminate();
  }

  message(data: Buffer, isBinary: boolean): void {
    if (this.#isClosing) return;
    try {
      this.#handlers?.message(data, isBinary);
    } catch (error) {
      this.#fail(error);
    }
  }

  pinged(): void {
    if (!this.#isClosing) this.#guard(() => this.#handlers?.ping());
  }

  ponged(): void {
    if (!this.#isClosing) this.#guard(() => this.#handlers?.pong());
  }

  closed(code: number): void {
    this.#isClosing = true;
    this.#guard(() => this.#handlers?.closed(this.#closeCode ?? code));
  }

  /** ws has received invalid frames, and closes with the code. */
  invalid(code: number): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#closeCode = code;
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#logger.error({ error }, 'an event of a device socket could not be handled');
    this.close(internalErrorCode, 'internal error');
  }
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  // A Buffer: the default `binaryType` of ws.
  (this as WithSocket)[socketOf]!.message(data as Buffer, isBinary);
}

function onPing(this: WebSocket): void {
  (this as WithSocket)[socketOf]!.pinged();
}

function onPong(this: WebSocket): void {
  (this as WithSocket)[socketOf]!.ponged();
}

function onClose(this: WebSocket, code: number): void {
  (this as WithSocket)[socketOf]!.closed(code);
}

/** The codes with which ws closes after an error of its parser; 1002 (protocol error) after any other. */
const codesOfErrors: Readonly<Record<string, number>> = {
  WS_ERR_INVALID_UTF8: 1007,
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 1008,
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: tooLargeCode,
};

/** Without this listener an error of the parser would crash the process. */
function onError(this: WebSocket, error: NodeJS.ErrnoException): void {
  (this as WithSocket)[socketOf]!.invalid(codesOfErrors[error.code ?? ''] ?? 1002);
}
