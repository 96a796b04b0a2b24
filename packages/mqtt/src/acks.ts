import { packetReader } from './packet-reader.ts';
import { packetTypes, readProperties } from './properties.ts';
import { type MqttVersion, malformed, mqttReasons, reasonsOf } from './reason.ts';

/** PUBACK, PUBREC, PUBREL and PUBCOMP: packets of one form. */
export type AckType = 4 | 5 | 6 | 7;

export interface Ack {
  readonly packetId: number;
  readonly reason: number;
  readonly reasonString: string | undefined;
}

/** Reason Strings are for people: what is longer is truncated. */
export const reasonStringBytesMax = 200;

/** Returns the first byte: PUBREL has a reserved bit that is 1 (MQTT-2.2.2-1 of 3.1.1, MQTT-2.1.3-1 of 5). */
function headerOf(type: AckType): number {
  return (type << 4) | (type === packetTypes.pubrel ? 2 : 0);
}

/** Returns the number of bytes that `writeAck` writes without a Reason String. */
export function ackBytes(version: MqttVersion, reason: number): number {
  return version === 5 && reason !== mqttReasons.success ? 5 : 4;
}

/** Writes an acknowledgment without a Reason String. MQTT 3.1.1 has no reason. Returns its end. */
export function writeAck(
  bytes: Buffer,
  at: number,
  type: AckType,
  packetId: number,
  { version, reason }: { version: MqttVersion; reason: number },
): number {
  const withReason = version === 5 && reason !== mqttReasons.success;
  bytes[at] = headerOf(type);
  bytes[at + 1] = withReason ? 3 : 2;
  bytes[at + 2] = packetId >> 8;
  bytes[at + 3] = packetId & 0xff;
  if (!withReason) return at + 4;
  bytes[at + 4] = reason;
  return at + 5;
}

/** Returns one acknowledgment, with a Reason String where MQTT 5 and `packetBytesMax` of the peer allow (3.4.2-2). */
export function encodeAck(
  type: AckType,
  packetId: number,
  options: { version: MqttVersion; reason: number; reasonString?: string | undefined; packetBytesMax?: number },
): Buffer {
  const { version, reason, reasonString, packetBytesMax = Number.POSITIVE_INFINITY } = options;
  if (version === 5 && reasonString !== undefined && reasonString !== '') {
    const text = Buffer.from(truncatedReason(reasonString));
    // The lengths of the packet and of its properties: a byte each up to 127, else two.
    const properties = 3 + text.length;
    const remaining = 3 + (properties < 0x80 ? 1 : 2) + properties;
    const total = 1 + (remaining < 0x80 ? 1 : 2) + remaining;
    if (total <= packetBytesMax) {
      const packet = Buffer.allocUnsafe(total);
      packet[0] = headerOf(type);
      let at = writeLength(packet, 1, remaining);
      at = packet.writeUInt16BE(packetId, at);
      packet[at++] = reason;
      at = writeLength(packet, at, properties);
      packet[at++] = 31;
      at = packet.writeUInt16BE(text.length, at);
      text.copy(packet, at);
      return packet;
    }
  }
  const packet = Buffer.allocUnsafe(ackBytes(version, reason));
  writeAck(packet, 0, type, packetId, { version, reason });
  return packet;
}

/** Returns a text of at most 200 bytes of UTF-8 without U+0000. */
export function truncatedReason(text: string): string {
  const clean = text.toWellFormed().replaceAll('\0', '');
  if (Buffer.byteLength(clean) <= reasonStringBytesMax) return clean;
  let end = reasonStringBytesMax;
  const bytes = Buffer.from(clean);
  // Not within a character: its further bytes are 10xxxxxx.
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}

/**
 * Returns the fields of an acknowledgment of the peer. Throws MqttError (0x81) for a code that the packet has not
 * (MQTT-3.4.2-1, -3.5.2-1, -3.6.2-1, -3.7.2-1), and for bytes left over.
 */
export function decodeAck(packet: Buffer, version: MqttVersion): Ack {
  const reader = packetReader;
  reader.open(packet);
  const type = packet[0]! >> 4;
  const packetId = reader.packetId();
  let reason: number = mqttReasons.success;
  let reasonString: string | undefined;
  if (version === 5 && reader.left > 0) {
    reason = reader.byte('reason code');
    const codes = type === packetTypes.puback || type === packetTypes.pubrec ? reasonsOf.publishAck : reasonsOf.release;
    if (!codes.has(reason)) throw malformed(`reason code: expected one of this packet, got ${reason}`);
    if (reader.left > 0) reasonString = readProperties(reader, type)?.reasonString;
  }
  reader.assertEnd('acknowledgment');
  return { packetId, reason, reasonString };
}

function writeLength(bytes: Buffer, at: number, length: number): number {
  if (length < 0x80) return bytes.writeUInt8(length, at);
  bytes[at] = (length & 0x7f) | 0x80;
  bytes[at + 1] = length >> 7;
  return at + 2;
}
