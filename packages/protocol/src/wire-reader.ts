import { type ErrorCode, TailraceError } from './error.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Wire types of Protobuf (https://protobuf.dev/programming-guides/encoding/). Groups (3 and 4) do not occur in proto3.
 */
const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/**
 * Interned texts (device paths, tags, units) by a hash of their bytes. A repeated text is one string in memory and
 * costs no decoding. A direct-mapped cache: the next text of the same slot replaces a text, so it never grows.
 */
const repeatedTexts: (string | undefined)[] = new Array(8192).fill(undefined);
const repeatedBytesMax = 200;

/**
 * Reads Protobuf's wire format from untrusted bytes. It never reads past `end`, whatever lengths the bytes declare, and
 * throws a TailraceError with the code of the constructor.
 */
export class WireReader {
  at = 0;
  end: number;
  /** All of the bytes. */
  readonly view: DataView;
  private readonly bytes: Uint8Array;
  private readonly code: ErrorCode;

  constructor(bytes: Uint8Array, code: ErrorCode) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = bytes.length;
    this.code = code;
  }

  fail(problem: string): never {
    throw new TailraceError(
      this.code,
      `Protobuf: expected well-formed bytes, got ${problem} at byte ${this.at} of ${this.bytes.length}`,
    );
  }

  /** Reads an unsigned integer below 2^53. */
  varint(): number {
    if (this.at >= this.end) this.fail('an end within a field');
    const first = this.bytes[this.at++]!;
    if (first < 128) return first;
    let value = first & 127;
    for (let scale = 128, count = 1; count < 10; scale *= 128, count++) {
      if (this.at >= this.end) this.fail('an end within a field');
      const byte = this.bytes[this.at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value <= Number.MAX_SAFE_INTEGER ? value : this.fail('an integer of 2^53 or more');
    }
    return this.fail('an integer of more than 10 bytes');
  }

  /** Reads an `int64`; one beyond 2^53 is rounded. */
  signedVarint(): number {
    let value = 0;
    for (let scale = 1, count = 0; count < 10; scale *= 128, count++) {
      if (this.at >= this.end) this.fail('an end within a field');
      const byte = this.bytes[this.at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value < 2 ** 63 ? value : this.int64Before(count + 1);
    }
    return this.fail('an integer of more than 10 bytes');
  }

  /** Returns the `int64` of the bytes before `at`, in two's complement. */
  private int64Before(count: number): number {
    let bits = 0n;
    for (let back = 1; back <= count; back++) bits = (bits << 7n) | BigInt(this.bytes[this.at - back]! & 127);
    return Number(BigInt.asIntN(64, bits));
  }

  /** Reads a tag: field number and wire type. */
  tag(): number {
    const tag = this.varint();
    return tag >= 8 && tag <= 0xffffffff ? tag : this.fail(`the invalid field tag ${tag}`);
  }

  float(): number {
    if (this.at + 4 > this.end) this.fail('an end within a field');
    const value = this.view.getFloat32(this.at, true);
    this.at += 4;
    return value;
  }

  double(): number {
    if (this.at + 8 > this.end) this.fail('an end within a field');
    const value = this.view.getFloat64(this.at, true);
    this.at += 8;
    return value;
  }

  /** Enters a length-delimited field, whose end becomes `end`. Returns the previous end, for `leave`. */
  enter(): number {
    const length = this.varint();
    if (length > this.end - this.at) this.fail(`a length of ${length} where ${this.end - this.at} bytes are left`);
    const outerEnd = this.end;
    this.end = this.at + length;
    return outerEnd;
  }

  /** Continues after the field that `enter` entered. */
  leave(outerEnd: number): void {
    this.at = this.end;
    this.end = outerEnd;
  }

  /** Returns a view of the bytes of a length-delimited field. */
  slice(): Uint8Array {
    const outerEnd = this.enter();
    const slice = this.bytes.subarray(this.at, this.end);
    this.leave(outerEnd);
    return slice;
  }

  /** Reads a text. Fails for invalid UTF-8. */
  text(): string {
    const outerEnd = this.enter();
    const text = this.decoded();
    this.leave(outerEnd);
    return text;
  }

  /** Reads a text that is likely to repeat, and interns it. */
  repeatedText(): string {
    const outerEnd = this.enter();
    const { bytes, at, end } = this;
    if (end - at > repeatedBytesMax) {
      const text = this.decoded();
      this.leave(outerEnd);
      return text;
    }
    const slot = slotOf(bytes, at, end);
    let text = repeatedTexts[slot];
    if (text === undefined || !this.isNext(text)) {
      text = this.decoded();
      repeatedTexts[slot] = text;
    }
    this.leave(outerEnd);
    return text;
  }

  /** Skips an unknown field. */
  skip(wireType: number): void {
    if (wireType === wireTypes.varint) this.skipVarint();
    else if (wireType === wireTypes.fixed64) this.advance(8);
    else if (wireType === wireTypes.bytes) this.leave(this.enter());
    else if (wireType === wireTypes.fixed32) this.advance(4);
    else this.fail(`the unsupported wire type ${wireType}`);
  }

  /** Skips an integer of up to 64 bits: an unknown field may exceed a safe integer. */
  private skipVarint(): void {
    for (let count = 0; count < 10; count++) {
      if (this.at >= this.end) this.fail('an end within a field');
      if (this.bytes[this.at++]! < 128) return;
    }
    this.fail('an integer of more than 10 bytes');
  }

  private advance(count: number): void {
    if (this.at + count > this.end) this.fail('an end within a field');
    this.at += count;
  }

  /** Returns whether the bytes from `at` to `end` equal the text. Bytes of 128 and more never match. */
  private isNext(text: string): boolean {
    const { bytes, at } = this;
    if (text.length !== this.end - at) return false;
    for (let index = 0; index < text.length; index++) {
      const byte = bytes[at + index]!;
      if (byte !== text.charCodeAt(index) || byte >= 128) return false;
    }
    return true;
  }

  private decoded(): string {
    const { bytes, at, end } = this;
    // For texts this short, the call of the decoder costs more than a loop.
    if (end - at <= 40) {
      const text = asciiText(bytes, at, end);
      if (text !== undefined) return text;
    }
    try {
      return utf8.decode(bytes.subarray(at, end));
    } catch {
      return this.fail('a text that is not UTF-8');
    }
  }
}

/** Decodes ASCII; undefined for other bytes. Eight bytes a step, because every step allocates a string. */
export function asciiText(bytes: Uint8Array, start: number, end: number): string | undefined {
  let text = '';
  let at = start;
  let seen = 0;
  for (; at + 8 <= end; at += 8) {
    const [a, b, c, d] = [bytes[at]!, bytes[at + 1]!, bytes[at + 2]!, bytes[at + 3]!];
    const [e, f, g, h] = [bytes[at + 4]!, bytes[at + 5]!, bytes[at + 6]!, bytes[at + 7]!];
    seen |= a | b | c | d | e | f | g | h;
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  for (; at < end; at++) {
    seen |= bytes[at]!;
    text += String.fromCharCode(bytes[at]!);
  }
  return seen < 128 ? text : undefined;
}

/** FNV-1a (32 bit) over words of four bytes instead of bytes: only the distribution over the slots matters. */
function slotOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash = Math.imul(hash ^ word, 0x01000193);
    hash ^= hash >>> 15;
  }
  for (; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return (hash ^ (hash >>> 16)) & (repeatedTexts.length - 1);
}
