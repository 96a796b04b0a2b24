import { endpointUrl } from '@tailrace/client/endpoint';
import { connectWire } from '@tailrace/mqtt/net-wire';
import type { Wire, WireHandlers } from '@tailrace/mqtt/wire';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { secureWebSocket } from './secure-websocket.ts';
import type { TlsFiles } from './tls-files.ts';

export type Dial = (handlers: WireHandlers) => Wire;

/** The part of WebSocket that is needed here. */
interface BinarySocket {
  binaryType: string;
  readonly bufferedAmount: number;
  send(data: Uint8Array): void;
  close(code?: number): void;
  addEventListener(
    type: 'open' | 'message' | 'close' | 'error',
    listener: (event: { readonly data: unknown; readonly code: number }) => void,
  ): void;
}

const defaultPorts: Readonly<Record<string, number>> = { 'mqtt:': 1883, 'mqtts:': 8883 };
/** Above it, `send` returns false: the server does not read. */
const highWaterBytes = 65_536;
/** When a socket is checked again whose server does not read. */
const drainCheckMs = 250;
const normalCode = 1000;

/** Whether a URL is for MQTT: by its scheme, or the path `/v1/mqtt` on the port of HTTP. */
export function isMqttUrl(url: string): boolean {
  const { protocol, pathname } = new URL(url);
  return protocol in defaultPorts || /\/v1\/mqtt\/*$/.test(pathname);
}

/**
 * Returns what starts a connection to the listener of ingest, over TCP, TLS or WebSocket. `tls`: undefined for the
 * certificates of Node.js. Throws `invalid_config`.
 */
export function mqttDial(url: string, tls?: TlsFiles): Dial {
  const parsed = new URL(url);
  const { protocol, hostname, port, username, password } = parsed;
  if (!(protocol in defaultPorts)) {
    const address = endpointUrl(url, '/v1/mqtt');
    const WebSocketClass = tls === undefined ? WebSocket : secureWebSocket(tls);
    return (handlers) => new WebSocketWire(new WebSocketClass(address, 'mqtt') as unknown as BinarySocket, handlers);
  }
  if (username !== '' || password !== '') {
    throw new TailraceError('invalid_config', `url of ${shown(parsed.host)}: expected no user or password`);
  }
  const host = hostname.replace(/^\[|\]$/g, '');
  const address = { host, port: Number(port) || defaultPorts[protocol]! };
  if (protocol === 'mqtt:') return (handlers) => connectWire(address, handlers);
  return (handlers) => connectWire({ ...address, tls: { ALPNProtocols: ['mqtt'], ...tls?.certificates() } }, handlers);
}

/** A connection over WebSocket: the packets in binary messages (section 6 of the specification). */
class WebSocketWire implements Wire {
  readonly #socket: BinarySocket;
  readonly #handlers: WireHandlers;
  /** What is sent before the socket is open. */
  #waiting: Uint8Array[] | undefined = [];
  #isClosed = false;
  #isPaused = false;
  /** What came while it is paused: a WebSocket cannot be. */
  #received: Buffer[] = [];
  #drainTimer: NodeJS.Timeout | undefined;

  /** `socket`: of the subprotocol `mqtt`, which is not open yet. */
  constructor(socket: BinarySocket, handlers: WireHandlers) {
    this.#handlers = handlers;
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('open', () => {
      const waiting = this.#waiting ?? [];
      this.#waiting = undefined;
      for (const bytes of waiting) socket.send(bytes);
    });
    socket.addEventListener('message', ({ data }) => {
      if (data instanceof ArrayBuffer) this.#take(Buffer.from(data));
      else socket.close();
    });
    socket.addEventListener('error', () => {
      if (this.#waiting !== undefined) this.#closed(1006);
    });
    socket.addEventListener('close', ({ code }) => this.#closed(code));
  }

  send(bytes: Uint8Array): boolean {
    if (this.#isClosed) return true;
    if (this.#waiting !== undefined) {
      this.#waiting.push(bytes);
      return true;
    }
    this.#socket.send(bytes);
    if (this.#socket.bufferedAmount <= highWaterBytes) return true;
    this.#drainTimer ??= setInterval(() => this.#checkDrain(), drainCheckMs);
    return false;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    while (this.#received.length > 0 && !this.#isPaused && !this.#isClosed)
      this.#handlers.bytes(this.#received.shift()!);
  }

  close(): void {
    this.#socket.close(normalCode);
  }

  #take(bytes: Buffer): void {
    if (this.#isClosed) return;
    if (this.#isPaused) this.#received.push(bytes);
    else this.#handlers.bytes(bytes);
  }

  #checkDrain(): void {
    if (this.#socket.bufferedAmount > highWaterBytes) return;
    clearInterval(this.#drainTimer);
    this.#drainTimer = undefined;
    this.#handlers.writable();
  }

  #closed(code: number): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#drainTimer);
    this.#received = [];
    const isOrderly = code === normalCode || code === 1001 || code === 1005;
    this.#handlers.closed(isOrderly ? undefined : new TailraceError('closed', `close code ${code}`));
  }
}
