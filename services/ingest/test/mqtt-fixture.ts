import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { decodeAck, encodeAck } from '@tailrace/mqtt/acks';
import { type ConnectPacket, decodePacket, encodePacket, type Packet } from '@tailrace/mqtt/codec';
import { PacketFramer } from '@tailrace/mqtt/framer';
import { type MemoryWire, wirePair } from '@tailrace/mqtt/memory-wire';
import { decodePublish, encodePublish, type InboundPublish, type OutboundProperties } from '@tailrace/mqtt/publish';
import type { MqttVersion } from '@tailrace/mqtt/reason';
import { noHandshakes } from '@tailrace/platform/tls-listener';
import { decodeReport } from '@tailrace/protocol/report-proto';
import type { AcceptMqtt, MqttPorts } from '../src/mqtt/mqtt-ports.ts';
import { type DeviceFixtureOptions, nextMsMax, nextTurn, press, startDevices } from './device-fixture.ts';

/** Ports in memory. */
class MemoryMqttPorts implements MqttPorts {
  readonly port = 0;
  readonly tlsPort = 0;
  readonly handshakes = noHandshakes;
  readonly #open = new Set<MemoryWire>();
  #accept: AcceptMqtt | undefined;

  async listen(accept: AcceptMqtt): Promise<void> {
    this.#accept = accept;
  }

  /** Returns the side of a device; undefined if it is refused. */
  connect(address: string): MemoryWire | undefined {
    const [near, far] = wirePair();
    const handlers = this.#accept?.(far, { address, certificate: undefined });
    if (handlers === undefined) return undefined;
    far.handlers = handlers;
    this.#open.add(far);
    return near;
  }

  stopAccepting(): void {
    this.#accept = undefined;
  }

  close(): void {
    for (const wire of this.#open) wire.close();
  }
}

export interface PublishOptions {
  qos?: 0 | 1 | 2;
  packetId?: number;
  retain?: boolean;
  dup?: boolean;
  properties?: OutboundProperties;
}

/** A device over MQTT in memory, which sends and receives packets. */
export class MqttDevice {
  readonly version: MqttVersion;
  /** PUBLISH packets that were received. */
  readonly messages: InboundPublish[] = [];
  /** What was received, as texts: `connack 0`, `puback 1`, `puback 1 0x87 <reason string>`, `disconnect 0x8b`. */
  received: string[] = [];
  readonly packets: Packet[] = [];
  isClosed = false;
  readonly wire: MemoryWire;
  readonly #framer = new PacketFramer(1_000_000);

  constructor(wire: MemoryWire, version: MqttVersion) {
    this.wire = wire;
    this.version = version;
    wire.handlers = {
      bytes: (chunk) => this.#receive(chunk),
      writable() {},
      closed: () => {
        this.isClosed = true;
      },
    };
  }

  /** Takes what was received. */
  take(): string[] {
    const taken = this.received;
    this.received = [];
    return taken;
  }

  /** Resolves when something was received, with all of it; fails after `nextMsMax`. */
  async next(): Promise<string[]> {
    const giveUpAt = performance.now() + nextMsMax;
    while (performance.now() < giveUpAt) {
      if (this.received.length > 0 || this.isClosed) return this.take();
      await nextTurn();
    }
    return assert.fail('expected a packet, got none');
  }

  send(packet: Packet): void {
    this.wire.send(encodePacket(packet, this.version));
  }

  publish(topic: string, payload: string | Uint8Array, options: PublishOptions = {}): void {
    const { qos = 1, packetId = 1, retain = false, dup = false, properties } = options;
    const message = {
      topic,
      payload: Buffer.from(payload),
      qos: qos as 0 | 1,
      retain,
      ...(properties && { properties }),
    };
    this.wire.send(encodePublish(message, this.version, { packetId, dup }));
  }

  puback(packetId: number, reason = 0): void {
    this.wire.send(encodeAck(4, packetId, { version: this.version, reason }));
  }

  pubrel(packetId: number): void {
    this.wire.send(encodeAck(6, packetId, { version: this.version, reason: 0 }));
  }

  subscribe(filter: string, messageId = 9, qos: 0 | 1 = 1): void {
    this.send({ cmd: 'subscribe', messageId, subscriptions: [{ topic: filter, qos }] });
  }

  disconnect(): void {
    this.send({ cmd: 'disconnect', ...(this.version === 5 ? { reasonCode: 0 } : {}) } as Packet);
  }

  #receive(chunk: Buffer): void {
    this.#framer.push(chunk);
    for (let packet = this.#framer.next(); packet !== undefined; packet = this.#framer.next())
      this.received.push(this.#text(packet));
    this.#framer.retain();
  }

  #text(packet: Buffer): string {
    const type = packet[0]! >> 4;
    if (type >= 4 && type <= 7) {
      const { packetId, reason, reasonString } = decodeAck(packet, this.version);
      const name = ['puback', 'pubrec', 'pubrel', 'pubcomp'][type - 4]!;
      const text = reasonString === undefined ? '' : ` ${reasonString}`;
      return `${name} ${packetId}${reason === 0 && text === '' ? '' : ` ${hex(reason)}${text}`}`;
    }
    if (type === 3) {
      const message = decodePublish(packet, this.version);
      this.messages.push({ ...message, payload: Buffer.from(message.payload) });
      return `publish ${message.packetId}${message.dup ? ' dup' : ''}`;
    }
    const decoded = decodePacket(packet, this.version);
    this.packets.push(decoded);
    switch (decoded.cmd) {
      case 'connack':
        return `connack ${decoded.sessionPresent ? 'present ' : ''}${hex(decoded.reasonCode ?? decoded.returnCode ?? 0)}`;
      case 'suback':
        return `suback ${decoded.granted.map((each) => hex(each as number)).join(' ')}`;
      case 'disconnect':
        return `disconnect ${hex(decoded.reasonCode ?? 0)}`;
      default:
        return decoded.cmd;
    }
  }
}

function hex(code: number): string {
  return `0x${code.toString(16).padStart(2, '0')}`;
}

export interface ConnectOptions extends Partial<Omit<ConnectPacket, 'cmd'>> {
  version?: MqttVersion;
  address?: string;
}

/** Ingest in memory with MQTT, whose log the test holds: see `startDevices`. */
export async function startMqtt(t: TestContext, options: DeviceFixtureOptions = {}) {
  const ports = new MemoryMqttPorts();
  const settings = { mqttEnabled: true, ...options.settings };
  const fixture = await startDevices(t, { ...options, settings, mqttPorts: ports });
  const dial = ({
    version = 5,
    address = '10.0.0.1',
  }: {
    version?: MqttVersion;
    address?: string;
  } = {}): MqttDevice => {
    const wire = ports.connect(address);
    assert.ok(wire !== undefined, 'the connection is refused');
    return new MqttDevice(wire, version);
  };
  /** Connects, and returns the device with the answer to its CONNECT. */
  const connect = async (options: ConnectOptions = {}): Promise<[MqttDevice, string]> => {
    const { version = 5, address, ...fields } = options;
    const device = dial({ version, ...(address === undefined ? {} : { address }) });
    const packet = {
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: version, clean: true, clientId: 'c1', keepalive: 60 },
      ...{ username: press, password: Buffer.from(fixture.token) },
      ...fields,
    } as Packet;
    device.send(packet);
    const answers = await device.next();
    return [device, answers[0] ?? 'closed'];
  };
  return {
    ...fixture,
    ports,
    dial,
    connect,
    /** Resolves with a device that is connected. */
    async login(options: ConnectOptions = {}): Promise<MqttDevice> {
      const [device, answer] = await connect(options);
      assert.match(answer, /^connack (present )?0x00$/);
      return device;
    },
    /** Resolves with the reports that wait for the log, without the time of their receipt. */
    async reports() {
      await nextTurn();
      return fixture.held.map(({ value }) => {
        const { received: _, ...report } = decodeReport(value);
        return report;
      });
    },
  };
}
