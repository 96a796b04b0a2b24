/** The side of a broker of a connection in memory, in the hands of the test. */
import { decodePacket, encodePacket, type Packet } from '@tailrace/mqtt/codec';
import { PacketFramer } from '@tailrace/mqtt/framer';
import { type MemoryWire, wirePair } from '@tailrace/mqtt/memory-wire';
import type { Wire, WireHandlers } from '@tailrace/mqtt/wire';

const encode = (packet: unknown) => encodePacket(packet as Parameters<typeof encodePacket>[0], 5);

/** Accepts each connection, grants all filters, and acknowledges all messages. */
export class ScriptedBroker {
  /** What came, as in `connect`, `subscribe a,b`, `publish topic`, `puback 1`; by connection. */
  readonly received: string[] = [];
  /** The CONNECT packets. */
  readonly connects: Extract<Packet, { cmd: 'connect' }>[] = [];
  /** Whether it answers a SUBSCRIBE. */
  grants = true;
  /** Client IDs that it refuses. */
  readonly refused = new Set<string>();
  /** By client ID, the last connection of each. */
  readonly #wires = new Map<string, MemoryWire>();
  #wire: MemoryWire | undefined;
  #isOpen = false;

  /** For `ClientOptions.dial`. */
  readonly dial = (handlers: WireHandlers): Wire => {
    const [near, far] = wirePair();
    near.handlers = handlers;
    const framer = new PacketFramer(1_048_576);
    far.handlers = {
      bytes: (chunk) => {
        framer.push(Buffer.from(chunk));
        for (let packet = framer.next(); packet !== undefined; packet = framer.next()) this.#receive(packet, far);
        framer.retain();
      },
      writable() {},
      closed: () => {
        if (this.#wire === far) this.#isOpen = false;
        this.received.push('closed');
      },
    };
    this.#wire = far;
    this.#isOpen = true;
    return near;
  };

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Sends a message to all clients. */
  publish(topic: string, payload: Uint8Array, { qos = 0, retain = false, messageId = 1 } = {}): void {
    const id = qos === 0 ? {} : { messageId };
    const packet = encode({ cmd: 'publish', topic, payload: Buffer.from(payload), qos, retain, dup: false, ...id });
    for (const wire of this.#wires.values()) wire.send(packet);
  }

  /** Loses the connection, the last one or that of a client. */
  lose(clientId?: string): void {
    (clientId === undefined ? this.#wire : this.#wires.get(clientId))!.fail(new Error('lost'));
  }

  #receive(bytes: Buffer, wire: MemoryWire): void {
    const packet = decodePacket(Buffer.from(bytes), 5);
    switch (packet.cmd) {
      case 'connect':
        if (this.refused.has(packet.clientId)) {
          wire.fail(new Error('refused'));
          return;
        }
        this.#wires.set(packet.clientId, wire);
        this.connects.push(packet);
        this.received.push('connect');
        wire.send(encode({ cmd: 'connack', reasonCode: 0, sessionPresent: false }));
        break;
      case 'subscribe': {
        const { subscriptions, messageId } = packet;
        this.received.push(`subscribe ${subscriptions.map(({ topic }) => topic).join(' ')}`);
        const granted = subscriptions.map(({ qos }) => qos);
        if (this.grants) wire.send(encode({ cmd: 'suback', messageId, granted }));
        break;
      }
      case 'publish':
        this.received.push(
          `publish ${packet.topic} ${packet.qos}${packet.retain ? ' retained' : ''} ${packet.payload}`,
        );
        if (packet.qos > 0) wire.send(encode({ cmd: 'puback', messageId: packet.messageId, reasonCode: 0 }));
        break;
      case 'puback':
        this.received.push(`puback ${packet.messageId}`);
        break;
      default:
        this.received.push(packet.cmd);
    }
  }
}
