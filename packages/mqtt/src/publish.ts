import { packetReader } from './packet-reader.ts';
import { type MessageProperties, packetTypes, readProperties } from './properties.ts';
import { type MqttVersion, malformed, protocolError } from './reason.ts';
import { assertTopicName } from './topic.ts';

export type QoS = 0 | 1 | 2;

/** A PUBLISH packet of the peer. */
export interface InboundPublish {
  /** Empty if `properties.topicAlias` stands for it, until the connection has resolved the alias. */
  topic: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly dup: boolean;
  /** 0 at QoS 0. */
  readonly packetId: number;
  /** A view of the packet: copy it to keep it longer than the call. */
  readonly payload: Buffer;
  readonly properties: Readonly<MessageProperties> | undefined;
}

/** Properties of a PUBLISH of ours. */
export interface OutboundProperties {
  readonly isText?: boolean;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  readonly userProperties?: readonly (readonly [string, string])[];
}

/** A message to send. */
export interface OutboundMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
  readonly retain?: boolean;
  /** For MQTT 5; 3.1.1 has none. */
  readonly properties?: OutboundProperties;
  /** Epoch ms from which it is not sent any more, nor sent again. */
  readonly expiresAtMs?: number;
  /** Data of the caller, which is not sent. */
  readonly context?: unknown;
}

const dupBit = 0x08;
const retainBit = 0x01;

/**
 * Returns the fields of a PUBLISH packet. Throws MqttError as the specification has it. An empty topic is left to the
 * caller where the packet has an alias.
 */
export function decodePublish(packet: Buffer, version: MqttVersion): InboundPublish {
  const flags = packet[0]!;
  const qos = (flags >> 1) & 3;
  if (qos === 3) throw malformed('QoS: expected 0 to 2, got 3');
  if (qos === 0 && (flags & dupBit) !== 0) throw malformed('DUP: expected 0 at QoS 0, got 1');
  const reader = packetReader;
  reader.open(packet);
  const topic = reader.text('topic');
  const packetId = qos === 0 ? 0 : reader.packetId();
  const properties = version === 5 ? readProperties(reader, packetTypes.publish) : undefined;
  if (topic !== '') assertTopicName(topic);
  else if (version === 4) throw malformed('topic: expected at least one character, got none');
  else if (properties?.topicAlias === undefined) {
    throw protocolError('topic: expected at least one character or a topic alias, got neither');
  }
  if (properties?.responseTopic !== undefined) assertResponseTopic(properties.responseTopic);
  return {
    topic,
    qos: qos as QoS,
    retain: (flags & retainBit) !== 0,
    dup: (flags & dupBit) !== 0,
    packetId,
    payload: packet.subarray(reader.at),
    properties,
  };
}

/** MQTT-3.3.2-14. */
function assertResponseTopic(topic: string): void {
  if (/[+#]/.test(topic)) throw protocolError('response topic: expected no wildcard');
}

/**
 * Returns the packet of a message. `packetId`: 0 at QoS 0. `expirySeconds`: for MQTT 5, at least 1; undefined if the
 * message does not expire.
 */
export function encodePublish(
  message: OutboundMessage,
  version: MqttVersion,
  { packetId, dup, expirySeconds }: { packetId: number; dup: boolean; expirySeconds?: number | undefined },
): Buffer {
  const { topic, payload, qos } = message;
  const properties = version === 5 ? encodeProperties(message.properties, expirySeconds) : undefined;
  const topicBytes = Buffer.byteLength(topic);
  const propertiesLength = properties === undefined ? 0 : varintBytes(properties.length) + properties.length;
  const remaining = 2 + topicBytes + (qos > 0 ? 2 : 0) + propertiesLength + payload.length;
  const packet = Buffer.allocUnsafe(1 + varintBytes(remaining) + remaining);
  packet[0] =
    (packetTypes.publish << 4) | (dup && qos > 0 ? dupBit : 0) | (qos << 1) | (message.retain === true ? retainBit : 0);
  let at = writeVarint(packet, 1, remaining);
  at = packet.writeUInt16BE(topicBytes, at);
  at += packet.write(topic, at);
  if (qos > 0) at = packet.writeUInt16BE(packetId, at);
  if (properties !== undefined) {
    at = writeVarint(packet, at, properties.length);
    at += properties.copy(packet, at);
  }
  packet.set(payload, at);
  return packet;
}

const noBytes = Buffer.alloc(0);

function encodeProperties(properties: OutboundProperties | undefined, expirySeconds: number | undefined): Buffer {
  if (properties === undefined && expirySeconds === undefined) return noBytes;
  const fields: Buffer[] = [];
  if (properties?.isText === true) fields.push(Buffer.of(1, 1));
  if (expirySeconds !== undefined) {
    const expiry = Buffer.alloc(5);
    expiry[0] = 2;
    expiry.writeUInt32BE(Math.min(expirySeconds, 0xffff_ffff), 1);
    fields.push(expiry);
  }
  if (properties?.contentType !== undefined) fields.push(Buffer.of(3), field(properties.contentType));
  if (properties?.responseTopic !== undefined) fields.push(Buffer.of(8), field(properties.responseTopic));
  if (properties?.correlationData !== undefined) fields.push(Buffer.of(9), field(properties.correlationData));
  for (const [name, value] of properties?.userProperties ?? []) fields.push(Buffer.of(38), field(name), field(value));
  return Buffer.concat(fields);
}

/** Returns a text or bytes with their length before them. */
function field(value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  const written = Buffer.allocUnsafe(2 + bytes.length);
  written.writeUInt16BE(bytes.length, 0);
  written.set(bytes, 2);
  return written;
}

export function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;
}

/** Writes a variable byte integer in its shortest form. Returns its end. */
export function writeVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value;
  let end = at;
  for (; rest >= 0x80; rest >>>= 7) bytes[end++] = (rest & 0x7f) | 0x80;
  bytes[end++] = rest;
  return end;
}
