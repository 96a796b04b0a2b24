import type { Wire, WireHandlers } from '@tailrace/mqtt/wire';
import { TailraceError } from '@tailrace/protocol/error';
import {
  type DeviceSocket,
  type DeviceSocketHandlers,
  type DeviceSocketServer,
  lostCode,
  type OpenDeviceSocket,
} from '../devices/device-socket.ts';
import type { MqttServer } from './mqtt-server.ts';

/** Above it, `send` returns false: the client does not read. */
const highWaterBytes = 65_536;
/** When a wire is checked again whose client does not read. */
const drainCheckMs = 250;
/** RFC 6455, section 7.4.1: the type of the data is not accepted (MQTT-6.0.0-1). */
const unsupportedDataCode = 1003;
const normalCode = 1000;

/** Serves `GET /v1/mqtt`: MQTT over WebSocket, the packets in binary messages (section 6 of the specification). */
export class MqttWebSockets implements DeviceSocketServer {
  readonly subprotocols = ['mqtt'] as const;
  readonly messageBytesMax: number;
  readonly #server: Pick<MqttServer, 'open'>;
  readonly #after: (delayMs: number, call: () => void) => unknown;

  /** `packetBytesMax`: a message has whole packets or parts of them, and a little more than one packet. */
  constructor(
    server: Pick<MqttServer, 'open'>,
    packetBytesMax: number,
    after: (delayMs: number, call: () => void) => unknown,
  ) {
    this.messageBytesMax = 2 * packetBytesMax;
    this.#server = server;
    this.#after = after;
  }

  accept(): OpenDeviceSocket {
    return (socket) => {
      const wire = new WebSocketWire(socket, this.#after);
      const { address, certificate } = socket;
      if (socket.subprotocol === '') {
        // MQTT-6.0.0-3: a client has to offer it.
        socket.close(unsupportedDataCode, 'expected the subprotocol mqtt');
        return wire;
      }
      const handlers = this.#server.open(wire, {
        address,
        certificate,
        authenticated: () => socket.authenticated(),
      });
      if (handlers === undefined) throw new TailraceError('closed', 'this server is shutting down');
      wire.handlers = handlers;
      return wire;
    };
  }
}

const noHandlers: WireHandlers = { bytes() {}, writable() {}, closed() {} };

/** A connection over WebSocket. Packets may be split over messages, and share one (MQTT-6.0.0-2). */
class WebSocketWire implements Wire, DeviceSocketHandlers {
  handlers: WireHandlers = noHandlers;
  readonly #socket: DeviceSocket;
  readonly #after: (delayMs: number, call: () => void) => unknown;
  #isClosed = false;
  #isCheckDue = false;

  constructor(socket: DeviceSocket, after: (delayMs: number, call: () => void) => unknown) {
    this.#socket = socket;
    this.#after = after;
  }

  send(bytes: Uint8Array): boolean {
    this.#socket.send(bytes);
    if (this.#socket.bufferedBytes <= highWaterBytes) return true;
    this.#checkLater();
    return false;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.close(normalCode, '');
  }

  message(data: Buffer, isBinary: boolean): void {
    if (isBinary) this.handlers.bytes(data);
    else this.#socket.close(unsupportedDataCode, 'expected binary messages');
  }

  /** The keep-alive of MQTT counts, and not that of the socket. */
  ping(): void {}

  pong(): void {}

  closed(code: number): void {
    this.#isClosed = true;
    const isOrderly = code === normalCode || code === 1001 || code === 1005;
    const lost = code === lostCode ? 'the connection was lost' : `close code ${code}`;
    this.handlers.closed(isOrderly ? undefined : new TailraceError('closed', lost));
  }

  /** A device socket does not report when it can be written again. */
  #checkLater(): void {
    if (this.#isCheckDue) return;
    this.#isCheckDue = true;
    this.#after(drainCheckMs, () => {
      this.#isCheckDue = false;
      if (this.#isClosed) return;
      if (this.#socket.bufferedBytes <= highWaterBytes) this.handlers.writable();
      else this.#checkLater();
    });
  }
}
