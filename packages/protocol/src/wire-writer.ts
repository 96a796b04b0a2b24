import { bytesOf } from './slab.ts';

const utf8 = /* @__PURE__ */ new TextEncoder();

/** Bytes that the unsigned integer below 2^53 takes as a varint. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** Writes the unsigned integer below 2^53; returns where it ends. The room is the caller's to have. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let end = at;
  let rest = value;
  // Bit operations hold 32 bits; what is more goes by division.
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
 * Writes Protobuf's wire format into a buffer that is kept and used again, from `reset` to `taken`. The buffer grows by doubling;
 * what bounds it is the caller's check of `at`.
 */
export class WireWriter {
  at = 0;
  private bytes: Uint8Array<ArrayBuffer> = new Uint8Array(16 * 1024);
  private view: DataView = new DataView(this.bytes.buffer);

  reset(): void {
    this.at = 0;
  }

  /** A copy of what was written, of exactly its size. */
  taken(): Uint8Array {
    const { at, bytes } = this;
    const copy = bytesOf(at);
    // Up to here a loop costs less than making the view that `set` wants.
    if (at <= 64) for (let index = 0; index < at; index++) copy[index] = bytes[index]!;
    else copy.set(bytes.subarray(0, at));
    return copy;
  }

  byte(value: number): void {
    this.room(1);
    this.bytes[this.at++] = value;
  }

  varint(value: number): void {
    this.room(10);
    this.at = writeVarint(this.bytes, this.at, value);
  }

  /** A field of type double with its one-byte tag. */
  doubleField(tag: number, value: number): void {
    this.room(9);
    this.bytes[this.at] = tag;
    this.view.setFloat64(this.at + 1, value, true);
    this.at += 9;
  }

  /** A field of type string with its one-byte tag. */
  textField(tag: number, text: string): void {
    const length = text.length;
    this.room(length * 3 + 6);
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

  /** Opens a length-delimited field; give what it returns to `closeField`. */
  openField(tag: number): number {
    this.room(2);
    this.bytes[this.at] = tag;
    this.at += 2;
    return this.at;
  }

  /** Puts the length before the field's content, and moves the content when the length takes more than the byte left for it. */
  closeField(start: number): void {
    const length = this.at - start;
    const extra = varintBytes(length) - 1;
    if (extra > 0) {
      this.room(extra);
      this.bytes.copyWithin(start + extra, start, this.at);
      this.at += extra;
    }
    writeVarint(this.bytes, start - 1, length);
  }

  /** Length and UTF-8 of a text that is not ASCII, behind the tag at `at`. */
  private wideText(text: string): void {
    const start = this.at + 6;
    const length = utf8.encodeInto(text, this.bytes.subarray(start)).written;
    const end = writeVarint(this.bytes, this.at + 1, length);
    this.bytes.copyWithin(end, start, start + length);
    this.at = end + length;
  }

  private room(count: number): void {
    if (this.at + count <= this.bytes.length) return;
    const bytes = new Uint8Array(Math.max(this.bytes.length * 2, this.at + count));
    bytes.set(this.bytes);
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }
}
