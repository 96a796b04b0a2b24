/** Writes the few Protobuf messages that a client sends: small, and seldom. */
export class WireWriter {
  readonly #bytes: number[] = [];

  varint(value: number): this {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#bytes.push((rest % 128) | 128);
    this.#bytes.push(rest);
    return this;
  }

  /** A length-delimited field. */
  field(tag: number, content: readonly number[]): this {
    this.varint(tag).varint(content.length);
    for (const byte of content) this.#bytes.push(byte);
    return this;
  }

  /** Of ASCII: device paths, tokens and ids are. */
  text(tag: number, text: string): this {
    const codes: number[] = [];
    for (let index = 0; index < text.length; index++) codes.push(text.charCodeAt(index));
    return this.field(tag, codes);
  }

  double(tag: number, value: number): this {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.varint(tag);
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }

  get bytes(): readonly number[] {
    return this.#bytes;
  }
}
