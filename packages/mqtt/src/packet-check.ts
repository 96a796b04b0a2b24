import { packetReader as reader } from './packet-reader.ts';
import { readProperties, packetTypes as types, willProperties } from './properties.ts';
import { MqttError, type MqttVersion, malformed, mqttReasons, protocolError, reasonsOf } from './reason.ts';
import { assertTopicFilter, assertTopicName, isShared } from './topic.ts';

/** Which side of the connection checks: a server receives what clients send, and the other way. */
export type Role = 'server' | 'client';

/** Bits 3 to 0 of the first byte, table 2.2 of 3.1.1 and table 2-2 of 5. PUBLISH has flags of its own. */
const flagsOf: readonly (number | undefined)[] = [...[undefined, 0, 0, undefined, 0, 0, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0]];

/** Filters of one SUBSCRIBE or UNSUBSCRIBE, which could have tens of thousands and keep others waiting. */
export const filtersMax = 256;

const names = Object.keys(types);

const both = typeBits(
  types.publish,
  types.puback,
  types.pubrec,
  types.pubrel,
  types.pubcomp,
  types.disconnect,
  types.auth,
);

/** Bit n is set if the role receives packet type n. */
const receivedBy: Readonly<Record<Role, number>> = {
  server: both | typeBits(types.connect, types.subscribe, types.unsubscribe, types.pingreq),
  client: both | typeBits(types.connack, types.suback, types.unsuback, types.pingresp),
};

function typeBits(...bits: readonly number[]): number {
  return bits.reduce((set, type) => set | (1 << type), 0);
}

/**
 * Checks type and flags of the first byte. Throws MqttError: 0x81 for reserved bits and types that are wrong
 * (MQTT-2.2.2-2 of 3.1.1, MQTT-2.1.3-1 of 5), 0x82 for a packet that only the other side sends.
 */
export function assertHeader(firstByte: number, version: MqttVersion, role: Role): void {
  const type = firstByte >> 4;
  if (type === 0 || (type === types.auth && version === 4)) {
    throw malformed(`packet type: expected 1 to ${version === 4 ? 14 : 15}, got ${type}`);
  }
  const flags = flagsOf[type];
  if (flags !== undefined && (firstByte & 0x0f) !== flags) {
    throw malformed(`flags of ${names[type - 1]}: expected ${flags}, got ${firstByte & 0x0f}`);
  }
  if ((receivedBy[role] & (1 << type)) === 0)
    throw protocolError(`packet: expected one for a ${role}, got ${names[type - 1]}`);
}

/**
 * Checks a whole packet before it is decoded: first byte, every length, every string, the table of properties, no byte
 * left over. PUBLISH and the four acknowledgments are checked where they are decoded. Throws MqttError.
 */
export function assertPacket(packet: Buffer, version: MqttVersion, role: Role): void {
  const type = packet[0]! >> 4;
  assertHeader(packet[0]!, version, role);
  reader.open(packet);
  switch (type) {
    case types.connect:
      assertConnect(version);
      break;
    case types.connack:
      assertConnack(version);
      break;
    case types.subscribe:
      assertSubscribe(version);
      break;
    case types.unsubscribe:
      assertUnsubscribe(version);
      break;
    case types.suback:
      assertSuback(version);
      break;
    case types.unsuback:
      assertUnsuback(version);
      break;
    case types.disconnect:
      assertDisconnect(version, role);
      break;
    case types.auth:
      throw protocolError('AUTH: expected none without an authentication method');
    default:
      // PINGREQ and PINGRESP.
      break;
  }
  reader.assertEnd(names[type - 1]!);
}

/**
 * Returns the version of a CONNECT packet. Throws MqttError: 0x84 with the version of the answer for a level that is
 * not offered, 0x81 where the packet is not of MQTT.
 */
export function connectVersion(packet: Buffer): MqttVersion {
  reader.open(packet);
  const name = reader.text('protocol name');
  const level = reader.byte('protocol level');
  if (name === 'MQTT' && (level === 4 || level === 5)) return level;
  // Bit 7 is how some brokers ask for the mode of a bridge; they go on as plain clients after this answer.
  const answer = (level & 0x7f) > 4 ? 5 : 4;
  if (name === 'MQTT' || (name === 'MQIsdp' && level === 3) || level === 5) {
    throw new MqttError(
      mqttReasons.unsupportedVersion,
      `protocol: expected MQTT of level 4 or 5, got ${JSON.stringify(name)} of level ${level}`,
      { version: answer },
    );
  }
  throw malformed('protocol name: expected MQTT');
}

const connectFlags = { reserved: 0x01, will: 0x04, willQos: 0x18, willRetain: 0x20, password: 0x40, userName: 0x80 };

/** Sections 3.1.2 and 3.1.3. `connectVersion` has checked name and level. */
function assertConnect(version: MqttVersion): void {
  reader.skipText('protocol name');
  reader.byte('protocol level');
  const flags = reader.byte('connect flags');
  const has = (flag: number) => (flags & flag) !== 0;
  if (has(connectFlags.reserved)) throw malformed('connect flags: expected bit 0 to be 0');
  if (!has(connectFlags.will) && has(connectFlags.willQos | connectFlags.willRetain)) {
    throw malformed('connect flags: expected no will QoS and no will retain without a will');
  }
  if ((flags & connectFlags.willQos) === connectFlags.willQos) throw malformed('will QoS: expected 0 to 2, got 3');
  if (version === 4 && has(connectFlags.password) && !has(connectFlags.userName)) {
    throw malformed('connect flags: expected no password without a user name');
  }
  reader.uint16('keep alive');
  if (version === 5) readProperties(reader, types.connect);
  reader.skipText('client identifier');
  if (has(connectFlags.will)) {
    if (version === 5) readProperties(reader, willProperties);
    assertTopicName(reader.text('will topic'));
    reader.binary('will payload');
  }
  if (has(connectFlags.userName)) reader.skipText('user name');
  if (has(connectFlags.password)) reader.binary('password');
}

function assertConnack(version: MqttVersion): void {
  const flags = reader.byte('connect acknowledge flags');
  if (flags > 1) throw malformed(`connect acknowledge flags: expected 0 or 1, got ${flags}`);
  const code = reader.byte('return code');
  // A broker without MQTT 5 answers in the form of 3.1.1.
  const isShort = version === 4 || (reader.left === 0 && code > 0 && code <= 5);
  if (isShort ? code > 5 : !reasonsOf.connack.has(code)) {
    throw malformed(`return code: expected one of CONNACK, got ${code}`);
  }
  if (code !== 0 && flags !== 0) throw protocolError(`session present: expected 0 with code ${code}, got 1`);
  if (!isShort) readProperties(reader, types.connack);
}

function assertSubscribe(version: MqttVersion): void {
  reader.packetId();
  if (version === 5) readProperties(reader, types.subscribe);
  if (reader.left === 0) throw protocolError('subscriptions: expected at least one, got none');
  for (let filters = 1; reader.left > 0; filters++) {
    assertFilters(filters);
    const filter = reader.text('topic filter');
    assertTopicFilter(filter, version);
    const options = reader.byte('subscription options');
    const reserved = version === 5 ? 0xc0 : 0xfc;
    if ((options & reserved) !== 0) throw malformed('subscription options: expected reserved bits to be 0');
    if ((options & 0x03) === 3) throw malformed('QoS of a subscription: expected 0 to 2, got 3');
    if ((options & 0x30) === 0x30) throw malformed('retain handling: expected 0 to 2, got 3');
    if (version === 5 && (options & 0x04) !== 0 && isShared(filter)) {
      throw protocolError('no local: expected 0 for a shared subscription, got 1');
    }
  }
}

function assertUnsubscribe(version: MqttVersion): void {
  reader.packetId();
  if (version === 5) readProperties(reader, types.unsubscribe);
  if (reader.left === 0) throw protocolError('filters of UNSUBSCRIBE: expected at least one, got none');
  for (let filters = 1; reader.left > 0; filters++) {
    assertFilters(filters);
    assertTopicFilter(reader.text('topic filter'), version);
  }
}

function assertFilters(filters: number): void {
  if (filters > filtersMax)
    throw new MqttError(
      mqttReasons.quotaExceeded,
      `topic filters: expected at most ${filtersMax} of a packet, got more`,
    );
}

function assertSuback(version: MqttVersion): void {
  reader.packetId();
  if (version === 5) readProperties(reader, types.suback);
  if (reader.left === 0) throw malformed('codes of SUBACK: expected at least one, got none');
  while (reader.left > 0) {
    const code = reader.byte('return code');
    const isKnown = version === 5 ? reasonsOf.suback.has(code) : code <= 2 || code === 0x80;
    if (!isKnown) throw malformed(`code of SUBACK: expected one of this packet, got ${code}`);
  }
}

function assertUnsuback(version: MqttVersion): void {
  reader.packetId();
  if (version === 4) return;
  readProperties(reader, types.unsuback);
  if (reader.left === 0) throw malformed('codes of UNSUBACK: expected at least one, got none');
  while (reader.left > 0) {
    const code = reader.byte('reason code');
    if (!reasonsOf.unsuback.has(code)) throw malformed(`code of UNSUBACK: expected one of this packet, got ${code}`);
  }
}

function assertDisconnect(version: MqttVersion, role: Role): void {
  if (version === 4) {
    if (role === 'client') throw protocolError('packet: expected none that MQTT 3.1.1 has not, got disconnect');
    return;
  }
  if (reader.left === 0) return;
  const reason = reader.byte('reason code');
  if (!reasonsOf.disconnect.has(reason)) throw malformed(`reason code: expected one of DISCONNECT, got ${reason}`);
  if (reader.left > 0) readProperties(reader, types.disconnect);
}
