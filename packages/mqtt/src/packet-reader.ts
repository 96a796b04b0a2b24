import { isUtf8 } from 'node:buffer';
import { malformed, protocolError } from './reason.ts';

/**
 * Reads the fields of one whole packet, and never beyond its end. Each method throws MqttError: 0x81 for a field that
 * the packet does not have whole, or whose bytes are malformed. `what` names the field in the message.
 */
export class PacketReader {
  bytes: Buffer = Buffer.alloc(0);
  at = 0;
  end = 0;

  /** Starts after the fixed header, whose remaining length the framer has checked. */
  open(packet: Buffer): void {
    let at = 1;
    while (packet[at]! >= 0x80) at++;
    this.bytes = packet;
    this.at = at + 1;
    this.end = packet.length;
  }

  /** Drops the reference to the packet. */
  close(): void {
    this.bytes = empty;
  }

  get left(): number {
    return this.end - this.at;
  }

  byte(what: string): number {
    if (this.at >= this.end) throw tooShort(what, 1, 0);
    return this.bytes[this.at++]!;
  }

  uint16(what: string): number {
    const { at } = this;
    if (at + 2 > this.end) throw tooShort(what, 2, this.left);
    this.at = at + 2;
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!;
  }

  uint32(what: string): number {
    const { at } = this;
    if (at + 4 > this.end) throw tooShort(what, 4, this.left);
    this.at = at + 4;
    return this.bytes.readUInt32BE(at);
  }

  /** A variable byte integer, which must have its shortest form (MQTT-1.5.5-1). */
  varint(what: string): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte(what);
      value |= (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      if (byte === 0 && shift > 0) throw malformed(`${what}: expected the shortest form, got a longer one`);
      return value;
    }
    throw malformed(`${what}: expected at most 4 bytes, got more`);
  }

  /** A packet identifier, which is never 0 (MQTT-2.3.1-1 of 3.1.1, MQTT-2.2.1-3 of 5). */
  packetId(): number {
    const packetId = this.uint16('packet identifier');
    if (packetId === 0) throw protocolError('packet identifier: expected 1 to 65535, got 0');
    return packetId;
  }

  /** Returns the bytes of a field that has its length before it, as a view. */
  binary(what: string): Buffer {
    const start = this.#field(what);
    return this.bytes.subarray(start, this.at);
  }

  /** Checks a string: well-formed UTF-8 (MQTT-1.5.3-1 of 3.1.1, 1.5.4-1 of 5) without U+0000 (1.5.3-2, 1.5.4-2). */
  skipText(what: string): void {
    const start = this.#field(what);
    assertText(this.bytes, start, this.at, what);
  }

  text(what: string): string {
    const start = this.#field(what);
    return assertText(this.bytes, start, this.at, what)
      ? this.bytes.toString('latin1', start, this.at)
      : this.bytes.toString('utf8', start, this.at);
  }

  /** Throws unless all bytes were read. */
  assertEnd(what: string): void {
    if (this.at !== this.end) throw malformed(`${what}: expected no byte after its last field, got ${this.left}`);
  }

  /** Passes length and content of a field. Returns the start of the content. */
  #field(what: string): number {
    const length = this.uint16(what);
    const start = this.at;
    if (start + length > this.end) throw tooShort(what, length, this.left);
    this.at = start + length;
    return start;
  }
}

/** One packet is read at a time, so one reader serves all connections. */
export const packetReader = new PacketReader();

const empty = Buffer.alloc(0);

/** Returns whether all bytes are ASCII, which most texts are: a view for `isUtf8` costs more than a short text. */
function assertText(bytes: Buffer, start: number, end: number, what: string): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === 0) throw malformed(`${what}: expected no U+0000`);
    if (byte < 0x80) continue;
    const rest = bytes.subarray(at, end);
    if (!isUtf8(rest)) throw malformed(`${what}: expected well-formed UTF-8`);
    if (rest.includes(0)) throw malformed(`${what}: expected no U+0000`);
    return false;
  }
  return true;
}

function tooShort(what: string, expected: number, left: number) {
  return malformed(`${what}: expected ${expected} bytes, the packet has ${left} left`);
}
