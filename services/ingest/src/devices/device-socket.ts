import type { ClientCertificate } from '@tailrace/platform/client-certificate';

/**
 * The socket of a device, as its session sees it. Adapters: `ws-sockets.ts`, on a connection of the HTTP server, and
 * `memory-sockets.ts`, within a process. Both pass `test/device-socket-contract.ts`. No method throws, and none calls
 * the handlers before it returns.
 */
export interface DeviceSocket {
  /** The key of the client's address, for limits: of IPv6 its /64. */
  readonly address: string;
  /** The subprotocol on which both sides agree; '' for none. */
  readonly subprotocol: string;
  /** The certificate of the client; undefined for none, and for one that the page of the client may not use. */
  readonly certificate?: ClientCertificate | undefined;
  /** Bytes that were sent and that the kernel has not taken yet. */
  readonly bufferedBytes: number;
  /**
   * Sends a message: a text for a string, a binary one for bytes, which may not change afterwards. Without effect after
   * `close`, `terminate`, or the close of the client.
   */
  send(data: string | Uint8Array): void;
  /** Collects what is sent until `uncork`, which then sends it in one call of the system. Calls nest. */
  cork(): void;
  uncork(): void;
  /** Sends a ping, which clients answer by themselves. */
  ping(): void;
  /**
   * Stops reading. Messages, pings and pongs of bytes that are already received may still be delivered: at most
   * `receivedBytesMax`, and what completes one message. The client is stopped by TCP then. Nothing is noticed of a
   * client that closes meanwhile.
   */
  pause(): void;
  resume(): void;
  /**
   * Sends a close frame behind what was sent, and delivers no message any more. A client that does not answer it in
   * `closeDeadlineMs` is disconnected. Idempotent. A reason above 123 bytes is shortened.
   */
  close(code: number, reason: string): void;
  /** Disconnects at once; what was sent may be lost. Idempotent. */
  terminate(): void;
  /**
   * Called when the client is authenticated: the connection is out of the limits of connections from now on, and the
   * limits of sessions count it. Before, a new connection may replace it like one without a request. Idempotent.
   */
  authenticated(): void;
}

/**
 * Receives the events of one socket. An error that a method throws is logged, and closes the socket with
 * `internalErrorCode`.
 */
export interface DeviceSocketHandlers {
  /** `data` may be part of a larger buffer: what is kept for long is copied. */
  message(data: Buffer, isBinary: boolean): void;
  /** The client has sent a ping, which is answered already. */
  ping(): void;
  /** The client has answered a ping. */
  pong(): void;
  /**
   * Called once, last. `code`: of the close frame that came first, of either side; 1005: it had none; 1006: the
   * connection is lost, or `terminate` was called.
   */
  closed(code: number): void;
}

/** The head of the request for a socket. Holds the whole request: it is not kept. */
export interface UpgradeHead {
  /** Without the query. */
  readonly path: string;
  /** As `DeviceSocket.address`. Computed at each call. */
  readonly address: string;
  /** The certificate of the client; undefined for none. Throws `unauthorized` for an invalid one of a proxy. */
  readonly certificate: ClientCertificate | undefined;
  /** Returns the value of a header; '' for a missing one. */
  header(lowerCaseName: string): string;
}

/** Called with an accepted socket; returns what receives its events. */
export type OpenDeviceSocket = (socket: DeviceSocket) => DeviceSocketHandlers;

/** Serves the sockets of one path. */
export interface DeviceSocketServer {
  /** Supported subprotocols, the preferred one first. A client that offers only others gets none. */
  readonly subprotocols: readonly string[];
  /** Limit of a message with all its fragments; a larger one closes its socket with 1009. */
  readonly messageBytesMax: number;
  /**
   * Decides about a valid request. Throws the error with which it is refused. Returns what is called with the open
   * socket; it is not called if the connection is lost before.
   */
  accept(head: UpgradeHead): OpenDeviceSocket;
}

/** A request for a socket that its server has accepted. */
export interface AcceptedUpgrade {
  readonly server: DeviceSocketServer;
  readonly open: OpenDeviceSocket;
  /** As `DeviceSocket.certificate`. */
  readonly certificate?: ClientCertificate | undefined;
}

/** How many bytes a paused socket may still deliver, besides those that complete one message: one read of Node.js. */
export const receivedBytesMax = 65_536;
/** How long a client may take to answer a close frame. */
export const closeDeadlineMs = 2_000;

/** RFC 6455, section 7.4.1: the close frame has no code. */
export const noCode = 1005;
/** RFC 6455, section 7.4.1: there was no close frame. */
export const lostCode = 1006;
/** RFC 6455, section 7.4.1: a message is too large. */
export const tooLargeCode = 1009;
/** RFC 6455, section 7.4.1: the server has an unexpected error. Clients may reconnect. */
export const internalErrorCode = 1011;

/** RFC 6455, section 5.5: a control frame has 125 bytes, two of them for the code. */
const reasonBytesMax = 123;

/** Returns a reason that fits into a close frame: shortened, and not within a character. */
export function closeReason(reason: string): string {
  if (reason.length * 3 <= reasonBytesMax) return reason;
  const bytes = Buffer.from(reason);
  if (bytes.length <= reasonBytesMax) return reason;
  let end = reasonBytesMax;
  // The other bytes of a character start with the bits 10.
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
