import { connect, type Socket } from 'node:net';
import { encodePacket, type Packet } from '@tailrace/mqtt/codec';
import { PacketFramer } from '@tailrace/mqtt/framer';
import { encodePublish } from '@tailrace/mqtt/publish';
import type { AttackContext } from './attack-definition.ts';

const answerDeadlineMs = 10_000;
/** Bytes that may wait in this process; more would measure the attacker. */
const unsentBytesMax = 1_048_576;

export interface AttackConnect {
  readonly clientId: string;
  /** A device path. Default: a gateway without one. */
  readonly device?: string;
  readonly clean?: boolean;
  readonly sessionExpirySeconds?: number;
  readonly will?: { readonly topic: string; readonly payload: Uint8Array; readonly delaySeconds: number };
}

/** A hostile client of MQTT 5, which counts the refusals of the server: `connack 0x97`, `disconnect 0x96`. */
export class AttackMqtt {
  readonly socket: Socket;
  isClosed = false;
  readonly #context: AttackContext;
  readonly #framer = new PacketFramer(1_000_000);
  #connected: ((isAccepted: boolean) => void) | undefined;

  private constructor(context: AttackContext) {
    this.#context = context;
    const { mqttPort } = context.addresses;
    this.socket = connect({ host: '127.0.0.1', port: mqttPort!, noDelay: true });
    this.socket.on('data', (chunk) => this.#receive(chunk));
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.isClosed = true;
      this.#connected?.(false);
    });
  }

  /** Opens a connection without a CONNECT. */
  static dial(context: AttackContext): AttackMqtt {
    return new AttackMqtt(context);
  }

  /** Resolves with a client whose CONNECT was accepted; undefined if it was not. */
  static async open(context: AttackContext, options: AttackConnect): Promise<AttackMqtt | undefined> {
    const client = new AttackMqtt(context);
    const { clientId, device = '', clean = false, sessionExpirySeconds = 0xffff_ffff, will } = options;
    const accepted = new Promise<boolean>((resolve) => {
      client.#connected = resolve;
      setTimeout(() => resolve(false), answerDeadlineMs).unref();
    });
    client.send({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clientId, clean, keepalive: 60 },
      ...{ username: device, password: Buffer.from(context.token) },
      properties: { sessionExpiryInterval: sessionExpirySeconds },
      ...(will && {
        will: {
          ...{ topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: false },
          properties: { willDelayInterval: will.delaySeconds },
        },
      }),
    } as Packet);
    if (await accepted) return client;
    client.close();
    return undefined;
  }

  send(packet: Packet): void {
    this.socket.write(encodePacket(packet, 5));
  }

  publish(topic: string, payload: Uint8Array | string, options: { qos?: 0 | 1 | 2; packetId?: number } = {}): void {
    const { qos = 0, packetId = 1 } = options;
    const message = { topic, payload: Buffer.from(payload), qos: qos as 0 | 1 };
    this.socket.write(encodePublish(message, 5, { packetId, dup: false }));
  }

  /** Resolves when the kernel has taken most of what was sent, the connection is closed, or the attack has expired. */
  async whenWritable(): Promise<void> {
    while (this.socket.writableLength > unsentBytesMax && !this.isClosed && !this.#context.isExpired())
      await this.#context.sleep(5);
  }

  close(): void {
    this.socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#framer.push(chunk);
    for (let packet = this.#framer.next(); packet !== undefined; packet = this.#framer.next()) this.#count(packet);
    this.#framer.retain();
  }

  /** Reads the reason codes by the tables of the specification. */
  #count(packet: Buffer): void {
    const { counts } = this.#context;
    const type = packet[0]! >> 4;
    let at = 1;
    while (packet[at]! >= 0x80) at++;
    const content = packet.subarray(at + 1);
    if (type === 2) {
      counts.add(`connack ${hex(content[1] ?? 0)}`);
      this.#connected?.(content[1] === 0);
    } else if (type === 14) counts.add(`disconnect ${hex(content[0] ?? 0)}`);
    else if (type === 4 || type === 5) counts.add(`${type === 4 ? 'puback' : 'pubrec'} ${hex(content[2] ?? 0)}`);
  }
}

function hex(code: number): string {
  return `0x${code.toString(16).padStart(2, '0')}`;
}
