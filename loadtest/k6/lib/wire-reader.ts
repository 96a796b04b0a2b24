/**
 * Protobuf's wire format (https://protobuf.dev/programming-guides/encoding/) as far as a load test reads it. k6 has neither npm packages nor TextDecoder, so
 * the product's own reader does not load there; frames.test.ts holds this one against it.
 */
export class WireReader {
  at: number;
  end: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
    this.end = bytes.length;
  }

  /** An unsigned integer below 2^53. */
  varint(): number {
    const { bytes } = this;
    let byte = bytes[this.at++]!;
    if (byte < 128) return byte;
    let value = byte & 127;
    let scale = 128;
    for (let count = 1; count < 10; count++) {
      byte = bytes[this.at++]!;
      if (byte === undefined) break;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw new Error(`damaged Protobuf: an integer without an end at byte ${this.at} of ${bytes.length}`);
  }

  double(): number {
    const value = this.view.getFloat64(this.at, true);
    this.at += 8;
    return value;
  }

  /** The end of a length-delimited field that begins here; `at` stands on its first byte then. */
  fieldEnd(): number {
    const length = this.varint();
    const end = this.at + length;
    if (end > this.end) throw new Error(`damaged Protobuf: ${length} bytes where ${this.end - this.at} are left`);
    return end;
  }

  text(): string {
    const end = this.fieldEnd();
    const text = textOf(this.bytes, this.at, end);
    this.at = end;
    return text;
  }

  /** Goes on behind a field of no interest. */
  skip(tag: number): void {
    const type = tag & 7;
    if (type === 0) this.varint();
    else if (type === 1) this.at += 8;
    else if (type === 2) this.at = this.fieldEnd();
    else if (type === 5) this.at += 4;
    else throw new Error(`damaged Protobuf: wire type ${type} at byte ${this.at} of ${this.bytes.length}`);
  }
}

/** UTF-8, by way of the one decoder that every JavaScript has. */
function textOf(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  let isAscii = true;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte >= 128) isAscii = false;
    text += isAscii ? String.fromCharCode(byte) : '';
  }
  if (isAscii) return text;
  let escaped = '';
  for (let at = start; at < end; at++) escaped += `%${bytes[at]!.toString(16).padStart(2, '0')}`;
  try {
    return decodeURIComponent(escaped);
  } catch {
    return escaped;
  }
}
