import { createServer, type Socket } from 'node:net';

export interface CountingDeviceOptions {
  /** Called for each read of register 0, with the number that the reply has. */
  readonly onRead: (unit: number, count: number) => void;
}

export interface CountingDevice {
  readonly port: number;
  /** Answers nothing any more, in connections that stay open: what it has answered arrives. */
  mute(): void;
  /** Closes all connections, and accepts no new one. Idempotent. */
  stop(): Promise<void>;
}

const readHolding = 3;
const illegalFunction = 1;

/**
 * Starts a Modbus TCP server that counts: registers 0 and 1 of a unit have the number of their reads, as u32 with the
 * high word first. All others have 0. So no two readings of a unit are equal, and a missing one is noticed.
 */
export async function startCountingDevice({ onRead }: CountingDeviceOptions): Promise<CountingDevice> {
  const counts = new Map<number, number>();
  const sockets = new Set<Socket>();
  let isMute = false;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= 7 && rest.length >= 6 + rest.readUInt16BE(4)) {
        const end = 6 + rest.readUInt16BE(4);
        if (!isMute) socket.write(replyTo(rest.subarray(0, end)));
        rest = rest.subarray(end);
      }
    });
  });
  const replyTo = (request: Buffer): Buffer => {
    const unit = request[6]!;
    const pdu =
      request[7] === readHolding ? registersOf(unit, request) : Buffer.of(request[7]! | 0x80, illegalFunction);
    const head = Buffer.from(request.subarray(0, 7));
    head.writeUInt16BE(1 + pdu.length, 4);
    return Buffer.concat([head, pdu]);
  };
  const registersOf = (unit: number, request: Buffer): Buffer => {
    const [first, count] = [request.readUInt16BE(8), request.readUInt16BE(10)];
    const pdu = Buffer.alloc(2 + 2 * count);
    pdu[0] = readHolding;
    pdu[1] = 2 * count;
    if (first === 0 && count >= 2) {
      const number = (counts.get(unit) ?? 0) + 1;
      counts.set(unit, number);
      pdu.writeUInt32BE(number, 2);
      onRead(unit, number);
    }
    return pdu;
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  let stopped: Promise<void> | undefined;
  return {
    port: (server.address() as { port: number }).port,
    mute() {
      isMute = true;
    },
    stop() {
      stopped ??= new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      });
      return stopped;
    },
  };
}
