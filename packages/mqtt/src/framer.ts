import { MqttError, malformed, mqttReasons } from './reason.ts';

/** Bytes of the longest fixed header: type and flags, and a remaining length of four bytes. */
const headerBytesMax = 5;

/**
 * Splits bytes into whole packets. The fixed header is checked as soon as it is there, so that no more of a packet is
 * buffered than of one that is allowed: a parser that waits for the packet would hold 256 MB for one client.
 *
 * It has a buffer only between the first and the last chunk of a packet; an idle connection costs none.
 */
export class PacketFramer {
  /** The largest packet, with its header. A header that announces more is an error. */
  packetBytesMax: number;
  #bytes: Buffer | undefined;
  #start = 0;
  #end = 0;
  /** Whether `#bytes` belongs to the framer, and not to the wire. */
  #isOwn = false;

  constructor(packetBytesMax: number) {
    this.packetBytesMax = packetBytesMax;
  }

  get pendingBytes(): number {
    return this.#end - this.#start;
  }

  /** The first byte that waits: type and flags of the next packet. Undefined if none does. */
  get firstByte(): number | undefined {
    return this.#bytes?.[this.#start];
  }

  /** Adds a chunk of the wire. Call `next` until it returns undefined, and then `retain`. */
  push(chunk: Buffer): void {
    const pending = this.pendingBytes;
    if (this.#bytes === undefined || pending === 0) {
      this.#bytes = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      this.#isOwn = false;
      return;
    }
    const needed = pending + chunk.length;
    if (!this.#isOwn || this.#end + chunk.length > this.#bytes.length) this.#grow(Math.max(needed, pending * 2));
    chunk.copy(this.#bytes, this.#end);
    this.#end += chunk.length;
  }

  /**
   * Returns the next whole packet, as a view that is valid until the chunk of the wire is not; undefined until more
   * bytes come. Throws MqttError for a remaining length that is malformed (0x81) or over the limit (0x95).
   */
  next(): Buffer | undefined {
    const bytes = this.#bytes;
    if (bytes === undefined) return undefined;
    const start = this.#start;
    let length = 0;
    let at = start + 1;
    for (let shift = 0; ; shift += 7) {
      if (at - start === headerBytesMax) throw malformed('remaining length: expected at most 4 bytes, got more');
      if (at >= this.#end) return undefined;
      const byte = bytes[at++]!;
      length |= (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      if (byte === 0 && shift > 0) throw malformed('remaining length: expected its shortest form, got a longer one');
      break;
    }
    const packetEnd = at + length;
    if (packetEnd - start > this.packetBytesMax) {
      throw new MqttError(
        mqttReasons.packetTooLarge,
        `packet: expected at most ${this.packetBytesMax} bytes, got ${packetEnd - start}`,
      );
    }
    if (packetEnd > this.#end) return undefined;
    this.#start = packetEnd;
    if (packetEnd === this.#end) this.#bytes = undefined;
    return bytes.subarray(start, packetEnd);
  }

  /** Copies what waits, which is a part of the chunk of the wire. */
  retain(): void {
    if (this.#bytes !== undefined && !this.#isOwn) this.#grow(this.pendingBytes);
  }

  clear(): void {
    this.#bytes = undefined;
    this.#start = 0;
    this.#end = 0;
  }

  #grow(capacity: number): void {
    const bytes = Buffer.allocUnsafeSlow(capacity);
    this.#bytes!.copy(bytes, 0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    this.#bytes = bytes;
    this.#isOwn = true;
  }
}
