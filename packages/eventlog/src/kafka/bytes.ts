/**
 * Readers and writers of the primitive types of Kafka's protocol
 * (https://kafka.apache.org/protocol.html#protocol_types). Positions and times are JS numbers: exact below 2^53.
 */

const twoTo32 = 4_294_967_296;

/** A writer that grows as needed. Has the fields of a request's body in kafkajs: `buf` and `buffer`. */
export class KafkaWriter {
  buf: Buffer;
  at = 0;

  constructor(bytes = 512) {
    this.buf = Buffer.allocUnsafe(bytes);
  }

  /** The written bytes. */
  get buffer(): Buffer {
    return this.buf.subarray(0, this.at);
  }

  /** Grows the buffer for this number of further bytes. */
  reserve(bytes: number): void {
    if (this.at + bytes <= this.buf.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buf.length * 2, this.at + bytes));
    this.buf.copy(larger, 0, 0, this.at);
    this.buf = larger;
  }

  int8(value: number): void {
    this.reserve(1);
    this.buf[this.at++] = value;
  }

  int16(value: number): void {
    this.reserve(2);
    this.at = this.buf.writeInt16BE(value, this.at);
  }

  int32(value: number): void {
    this.reserve(4);
    this.at = this.buf.writeInt32BE(value, this.at);
  }

  uint32(value: number): void {
    this.reserve(4);
    this.at = this.buf.writeUInt32BE(value, this.at);
  }

  int64(value: number): void {
    this.reserve(8);
    const high = Math.floor(value / twoTo32);
    this.at = this.buf.writeInt32BE(high, this.at);
    this.at = this.buf.writeUInt32BE(value - high * twoTo32, this.at);
  }

  /** Writes a zigzag varint of a 32-bit number. */
  varint(value: number): void {
    this.reserve(5);
    const buf = this.buf;
    let rest = ((value << 1) ^ (value >> 31)) >>> 0;
    while (rest > 0x7f) {
      buf[this.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buf[this.at++] = rest;
  }

  /** Writes an unsigned varint, as in the compact types of flexible versions. */
  uvarint(value: number): void {
    this.reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.buf[this.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.buf[this.at++] = rest;
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buf.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Writes text of a known length in UTF-8, without the length. */
  utf8(text: string, bytes: number): void {
    this.reserve(bytes);
    this.buf.write(text, this.at, bytes, 'utf8');
    this.at += bytes;
  }

  /** Writes an int16 length, then UTF-8. */
  string(text: string): void {
    const bytes = Buffer.byteLength(text);
    this.int16(bytes);
    this.utf8(text, bytes);
  }

  /** Writes an unsigned varint of length + 1, then UTF-8. */
  compactString(text: string): void {
    const bytes = Buffer.byteLength(text);
    this.uvarint(bytes + 1);
    this.utf8(text, bytes);
  }

  /** Writes an int32 length, then the bytes. */
  bytes(value: Uint8Array): void {
    this.int32(value.length);
    this.raw(value);
  }
}

/** Returns the size of a zigzag varint of a 32-bit number. */
export function varintBytes(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  if (zigzag < 0x80) return 1;
  if (zigzag < 0x4000) return 2;
  if (zigzag < 0x20_0000) return 3;
  return zigzag < 0x1000_0000 ? 4 : 5;
}

/** A reader of bytes from the broker. Throws a RangeError beyond their end. */
export class KafkaReader {
  readonly buf: Buffer;
  at: number;

  constructor(buf: Buffer, at = 0) {
    this.buf = buf;
    this.at = at;
  }

  int8(): number {
    return this.buf.readInt8(this.at++);
  }

  int16(): number {
    const value = this.buf.readInt16BE(this.at);
    this.at += 2;
    return value;
  }

  int32(): number {
    const value = this.buf.readInt32BE(this.at);
    this.at += 4;
    return value;
  }

  int64(): number {
    const value = this.buf.readInt32BE(this.at) * twoTo32 + this.buf.readUInt32BE(this.at + 4);
    this.at += 8;
    return value;
  }

  /** Reads a zigzag varint, also longer ones, as record timestamps may be. */
  varint(): number {
    const zigzag = this.uvarint();
    // Below 2^31 the fast way; larger numbers exceed a 32-bit shift.
    if (zigzag < 0x8000_0000) return (zigzag >>> 1) ^ -(zigzag & 1);
    return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
  }

  uvarint(): number {
    const buf = this.buf;
    let byte = this.next();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    byte = buf[this.at++] ?? this.end();
    value |= (byte & 0x7f) << 7;
    if (byte < 0x80) return value;
    byte = buf[this.at++] ?? this.end();
    value |= (byte & 0x7f) << 14;
    if (byte < 0x80) return value;
    let factor = 0x20_0000;
    do {
      byte = this.next();
      value += (byte & 0x7f) * factor;
      factor *= 0x80;
    } while (byte >= 0x80);
    return value;
  }

  string(): string {
    return this.text(this.int16());
  }

  compactString(): string {
    return this.text(this.uvarint() - 1);
  }

  /** Reads text. A negative length is null, here the empty text. */
  text(bytes: number): string {
    if (bytes <= 0) return '';
    const start = this.at;
    this.skip(bytes);
    return this.buf.toString('utf8', start, this.at);
  }

  /** Returns a view of the bytes. */
  view(bytes: number): Buffer {
    const start = this.at;
    this.skip(bytes);
    return this.buf.subarray(start, this.at);
  }

  skip(bytes: number): void {
    this.at += bytes;
    if (this.at > this.buf.length) this.end();
  }

  /** Skips the tagged fields of flexible versions. */
  skipTags(): void {
    for (let left = this.uvarint(); left > 0; left--) {
      this.uvarint();
      this.skip(this.uvarint());
    }
  }

  private next(): number {
    return this.buf[this.at++] ?? this.end();
  }

  private end(): never {
    throw new RangeError(`message: expected at least ${this.at} bytes, got ${this.buf.length}`);
  }
}
