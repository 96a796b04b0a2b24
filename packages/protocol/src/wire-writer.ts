import { bytesOf } from './slab.ts';

const utf8 = /* @__PURE__ */ new TextEncoder();

/** Returns the bytes of an unsigned integer below 2^53 as a varint. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** Writes an unsigned integer below 2^53. Returns its end. The caller ensures the capacity. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let end = at;
  let rest = value;
  // Bit operations have 32 bits; larger numbers use division.
  while (rest > 0x7fffffff) {
    bytes[end++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 128) {
    bytes[end++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  bytes[end++] = rest;
  return end;
}

/**
 * Writes Protobuf's wire format into a reused buffer, from `reset` to `finish`. The buffer grows by doubling; the
 * caller bounds it by checking `at`.
 */
export class WireWriter {
  at = 0;
  private bytes: Uint8Array<ArrayBuffer> = new Uint8Array(16 * 1024);
  private view: DataView = new DataView(this.bytes.buffer);

  reset(): void {
    this.at = 0;
  }

  /** Returns a copy of the written bytes. */
  finish(): Uint8Array {
    const { at, bytes } = this;
    const copy = bytesOf(at);
    // For so few bytes a loop costs less than the view that `set` needs.
    if (at <= 64) for (let index = 0; index < at; index++) copy[index] = bytes[index]!;
    else copy.set(bytes.subarray(0, at));
    return copy;
  }

  byte(value: number): void {
    this.ensureCapacity(1);
    this.bytes[this.at++] = value;
  }

  varint(value: number): void {
    this.ensureCapacity(10);
    this.at = writeVarint(this.bytes, this.at, value);
  }

  /** Writes a double with its one-byte tag. */
  doubleField(tag: number, value: number): void {
    this.ensureCapacity(9);
    this.bytes[this.at] = tag;
    this.view.setFloat64(this.at + 1, value, true);
    this.at += 9;
  }

  /** Writes a string with its one-byte tag. */
  textField(tag: number, text: string): void {
    const length = text.length;
    this.ensureCapacity(length * 3 + 6);
    const { bytes } = this;
    bytes[this.at] = tag;
    const start = writeVarint(bytes, this.at + 1, length);
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index);
      if (code >= 128) {
        this.wideText(text);
        return;
      }
      bytes[start + index] = code;
    }
    this.at = start + length;
  }

  /** Opens a length-delimited field. Returns its start, for `closeField`. */
  openField(tag: number): number {
    this.ensureCapacity(2);
    this.bytes[this.at] = tag;
    this.at += 2;
    return this.at;
  }

  /** Writes the length before the field's content, and moves the content where the length takes more than one byte. */
  closeField(start: number): void {
    const length = this.at - start;
    const extra = varintBytes(length) - 1;
    if (extra > 0) {
      this.ensureCapacity(extra);
      this.bytes.copyWithin(start + extra, start, this.at);
      this.at += extra;
    }
    writeVarint(this.bytes, start - 1, length);
  }

  /** Writes length and UTF-8 of a text that is not ASCII, after the tag at `at`. */
  private wideText(text: string): void {
    const start = this.at + 6;
    const length = utf8.encodeInto(text, this.bytes.subarray(start)).written;
    const end = writeVarint(this.bytes, this.at + 1, length);
    this.bytes.copyWithin(end, start, start + length);
    this.at = end + length;
  }

  private ensureCapacity(count: number): void {
    if (this.at + count <= this.bytes.length) return;
    const bytes = new Uint8Array(Math.max(this.bytes.length * 2, this.at + count));
    bytes.set(this.bytes);
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }
}
