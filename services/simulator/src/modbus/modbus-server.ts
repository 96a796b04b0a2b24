import { createServer, type Server, type Socket } from 'node:net';
import { listenError } from '@tailrace/platform/listen-error';
import { modbusReply } from './modbus-reply.ts';
import type { ModbusUnit } from './modbus-unit.ts';

export interface ModbusServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** By unit ID, 1 to 247. */
  readonly units: ReadonlyMap<number, ModbusUnit>;
}

/** As small devices have them. A further connection is refused. */
const connectionsMax = 16;
/** A connection without a request for this time is closed, ms. */
const idleMs = 120_000;
/** Replies that a client has not read. Beyond them it is disconnected. */
const unreadBytesMax = 65_536;
/** Transaction, protocol, length, unit (Modbus Messaging on TCP/IP V1.0b, 3.1.3). */
const headerBytes = 7;
const pduBytesMax = 253;

/** Serves units over Modbus TCP. A request to a unit that is unknown or does not answer gets no reply. */
export class ModbusServer {
  readonly #options: ModbusServerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(options: ModbusServerOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true }, (socket) => this.#open(socket));
    this.#server.maxConnections = connectionsMax;
  }

  /** Resolves with the port. Rejects with `address_in_use` and other errors of the address. */
  listen(): Promise<number> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (cause: NodeJS.ErrnoException) => {
        reject(listenError({ host, port, portSetting: 'modbusPort' }, cause.code, cause));
      });
      this.#server.listen(port, host, () => {
        const address = this.#server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  /** Idempotent. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #open(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setTimeout(idleMs, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      rest = this.#take(socket, rest.length === 0 ? bytes : Buffer.concat([rest, bytes]));
      if (socket.writableLength > unreadBytesMax) socket.destroy();
    });
  }

  /** Answers the whole requests in `bytes`, and returns the rest, which is shorter than a request. */
  #take(socket: Socket, bytes: Buffer): Buffer {
    let at = 0;
    while (bytes.length - at >= headerBytes) {
      const length = bytes.readUInt16BE(at + 4);
      if (bytes.readUInt16BE(at + 2) !== 0 || length < 2 || length > pduBytesMax + 1) {
        // The next header cannot be found.
        socket.destroy();
        return Buffer.alloc(0);
      }
      const end = at + 6 + length;
      if (end > bytes.length) break;
      this.#answer(socket, bytes.subarray(at, end));
      at = end;
    }
    return bytes.subarray(at);
  }

  #answer(socket: Socket, frame: Buffer): void {
    const unit = this.#options.units.get(frame[6]!);
    if (unit === undefined || !unit.isAnswering) return;
    const pdu = modbusReply(unit, frame.subarray(headerBytes));
    const header = Buffer.from(frame.subarray(0, headerBytes));
    header.writeUInt16BE(pdu.length + 1, 4);
    socket.write(Buffer.concat([header, pdu]));
  }
}
