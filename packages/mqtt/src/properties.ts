import type { PacketReader } from './packet-reader.ts';
import { MqttError, malformed, mqttReasons, protocolError } from './reason.ts';

/** Packet types of the fixed header, MQTT 5 table 2-1. */
export const packetTypes = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const;

/** The properties of a will are a block of their own in CONNECT. No packet has type 0. */
export const willProperties = 0;

/** User properties of one packet; each may have 128 KiB otherwise, and there is no bound of their number. */
const userPropertiesMax = 32;
const propertiesBytesMax = 8192;

/** Properties of PUBLISH, and of a will. An absent one is undefined. */
export interface MessageProperties {
  payloadFormat?: number;
  /** Seconds. */
  messageExpiry?: number;
  contentType?: string;
  responseTopic?: string;
  /** A view of the packet. */
  correlationData?: Buffer;
  subscriptionIdentifier?: number;
  topicAlias?: number;
  reasonString?: string;
  /** Name and value of each, in order. */
  userProperties?: [string, string][];
}

type Kind = 'byte' | 'uint16' | 'uint32' | 'varint' | 'text' | 'binary' | 'pair';

interface Property {
  readonly name: string;
  readonly kind: Kind;
  /** Bit n is set if packet type n may have it (table 2-4). */
  readonly packets: number;
  readonly min: number;
  readonly max: number;
  /** The field of `MessageProperties`. */
  readonly field: keyof MessageProperties | undefined;
}

const { connect, connack, publish, subscribe, disconnect, auth } = packetTypes;
const withReason = bits(2, 4, 5, 6, 7, 9, 11, 14, 15);
const message = bits(publish, willProperties);
const all = 0xffff & ~bits(12, 13);

const properties: readonly (Property | undefined)[] = table([
  [1, 'payload format indicator', 'byte', message, 0, 1, 'payloadFormat'],
  [2, 'message expiry interval', 'uint32', message, 0, undefined, 'messageExpiry'],
  [3, 'content type', 'text', message, 0, undefined, 'contentType'],
  [8, 'response topic', 'text', message, 0, undefined, 'responseTopic'],
  [9, 'correlation data', 'binary', message, 0, undefined, 'correlationData'],
  [11, 'subscription identifier', 'varint', bits(publish, subscribe), 1, undefined, 'subscriptionIdentifier'],
  [17, 'session expiry interval', 'uint32', bits(connect, connack, disconnect)],
  [18, 'assigned client identifier', 'text', bits(connack)],
  [19, 'server keep alive', 'uint16', bits(connack)],
  [21, 'authentication method', 'text', bits(connect, connack, auth)],
  [22, 'authentication data', 'binary', bits(connect, connack, auth)],
  [23, 'request problem information', 'byte', bits(connect), 0, 1],
  [24, 'will delay interval', 'uint32', bits(willProperties)],
  [25, 'request response information', 'byte', bits(connect), 0, 1],
  [26, 'response information', 'text', bits(connack)],
  [28, 'server reference', 'text', bits(connack, disconnect)],
  [31, 'reason string', 'text', withReason, 0, undefined, 'reasonString'],
  [33, 'receive maximum', 'uint16', bits(connect, connack), 1],
  [34, 'topic alias maximum', 'uint16', bits(connect, connack)],
  [35, 'topic alias', 'uint16', bits(publish), 0, undefined, 'topicAlias'],
  [36, 'maximum QoS', 'byte', bits(connack), 0, 1],
  [37, 'retain available', 'byte', bits(connack), 0, 1],
  [38, 'user property', 'pair', all, 0, undefined, 'userProperties'],
  [39, 'maximum packet size', 'uint32', bits(connect, connack), 1],
  [40, 'wildcard subscription available', 'byte', bits(connack), 0, 1],
  [41, 'subscription identifiers available', 'byte', bits(connack), 0, 1],
  [42, 'shared subscription available', 'byte', bits(connack), 0, 1],
]);

const userProperty = 38;
const subscriptionIdentifier = 11;
const authenticationMethod = 21;
const authenticationData = 22;

/**
 * Reads the properties of a packet, and checks that the packet may have each of them, once, with a value in its range.
 * Returns those in `MessageProperties`; undefined where there are none. Throws MqttError.
 */
export function readProperties(reader: PacketReader, type: number): MessageProperties | undefined {
  const length = reader.varint('property length');
  if (length === 0) return undefined;
  if (length > reader.left) throw malformed(`properties: expected ${length} bytes, the packet has ${reader.left} left`);
  if (length > propertiesBytesMax) {
    throw malformed(`properties: expected at most ${propertiesBytesMax} bytes, got ${length}`);
  }
  const packetEnd = reader.end;
  // No property may reach into the field behind the block.
  reader.end = reader.at + length;
  const read: MessageProperties = {};
  // Identifiers go up to 42.
  let seenLow = 0;
  let seenHigh = 0;
  let users = 0;
  while (reader.left > 0) {
    const id = reader.varint('property identifier');
    const property = properties[id];
    if (property === undefined || (property.packets & (1 << type)) === 0) {
      throw malformed(`property: expected one that the packet may have, got ${property?.name ?? `identifier ${id}`}`);
    }
    if (id === userProperty) {
      if (++users > userPropertiesMax)
        throw malformed(`user properties: expected at most ${userPropertiesMax}, got more`);
    } else if (id !== subscriptionIdentifier || type !== publish) {
      const bit = 1 << (id & 31);
      if (((id < 32 ? seenLow : seenHigh) & bit) !== 0)
        throw protocolError(`${property.name}: expected once, got twice`);
      if (id < 32) seenLow |= bit;
      else seenHigh |= bit;
    }
    readValue(reader, property, read);
  }
  reader.end = packetEnd;
  if ((seenLow & (1 << authenticationData)) !== 0 && (seenLow & (1 << authenticationMethod)) === 0) {
    throw protocolError('authentication data: expected with an authentication method, got it alone');
  }
  return read;
}

function readValue(reader: PacketReader, property: Property, read: MessageProperties): void {
  const { name, kind, field } = property;
  switch (kind) {
    case 'text': {
      const text = reader.text(name);
      if (field !== undefined) read[field as 'contentType'] = text;
      return;
    }
    case 'binary': {
      const bytes = reader.binary(name);
      if (field !== undefined) read[field as 'correlationData'] = bytes;
      return;
    }
    case 'pair': {
      const pair: [string, string] = [reader.text(name), reader.text(name)];
      if (read.userProperties === undefined) read.userProperties = [pair];
      else read.userProperties.push(pair);
      return;
    }
    default: {
      const value = kind === 'varint' ? reader.varint(name) : kind === 'byte' ? reader.byte(name) : reader[kind](name);
      if (value < property.min || value > property.max) throw outOfRange(property, value);
      if (field !== undefined) read[field as 'topicAlias'] = value;
    }
  }
}

function outOfRange({ name, min, max }: Property, value: number): MqttError {
  const expected = max === Number.POSITIVE_INFINITY ? `at least ${min}` : `${min} to ${max}`;
  return new MqttError(mqttReasons.protocolError, `${name}: expected ${expected}, got ${value}`);
}

function bits(...types: number[]): number {
  let set = 0;
  for (const type of types) set |= 1 << type;
  return set;
}

type Row = [
  id: number,
  name: string,
  kind: Kind,
  packets: number,
  min?: number,
  max?: number | undefined,
  field?: Property['field'],
];

function table(rows: readonly Row[]): (Property | undefined)[] {
  const byId: (Property | undefined)[] = [];
  for (const [id, name, kind, packets, min = 0, max = Number.POSITIVE_INFINITY, field] of rows) {
    byId[id] = { name, kind, packets, min, max, field };
  }
  return byId;
}
