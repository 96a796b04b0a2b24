import type { Socket } from 'node:net';
import { decodeAck } from '@tailrace/mqtt/acks';
import { PacketFramer } from '@tailrace/mqtt/framer';
import { decodePublish } from '@tailrace/mqtt/publish';
import { startTcpProxy } from '@tailrace/testkit/tcp-proxy';

/** A proxy between a client of MQTT 5 and its broker, which knows what the client has acknowledged. */
export interface AcknowledgmentProxy {
  readonly port: number;
  /** Payloads of QoS 1 that the client has acknowledged, over all of its connections. */
  readonly acknowledged: readonly Buffer[];
  close(): void;
}

const [publishType, pubackType] = [3, 4];

/** Starts a proxy in front of a broker. `onAcknowledged`: called for each payload that is added to `acknowledged`. */
export async function startAcknowledgmentProxy(
  broker: { host: string; port: number },
  onAcknowledged: (payload: Buffer) => void = () => {},
): Promise<AcknowledgmentProxy> {
  const acknowledged: Buffer[] = [];
  const proxy = await startTcpProxy({
    target: () => broker,
    pass(client, server) {
      const payloads = new Map<number, Buffer>();
      pipe(server, client, (packet) => {
        if (packet[0]! >> 4 !== publishType || (packet[0]! & 0x06) === 0) return;
        const { packetId, payload } = decodePublish(packet, 5);
        payloads.set(packetId, Buffer.from(payload));
      });
      pipe(client, server, (packet) => {
        if (packet[0]! >> 4 !== pubackType) return;
        const payload = payloads.get(decodeAck(packet, 5).packetId)!;
        acknowledged.push(payload);
        onAcknowledged(payload);
      });
    },
  });
  return { port: proxy.port, acknowledged, close: () => void proxy.close() };
}

/** Passes the bytes on, and each whole packet to `onPacket`. */
function pipe(from: Socket, to: Socket, onPacket: (packet: Buffer) => void): void {
  const framer = new PacketFramer(4 * 1024 * 1024);
  from.on('data', (chunk) => {
    framer.push(Buffer.from(chunk));
    for (let packet = framer.next(); packet !== undefined; packet = framer.next()) onPacket(Buffer.from(packet));
    framer.retain();
    to.write(chunk);
  });
}
