/**
 * k6 has neither TextEncoder nor TextDecoder, which packages/protocol and protobufjs create when they load: this file
 * comes before them in the bundle. They are the WHATWG ones (https://encoding.spec.whatwg.org) as far as they are used.
 */
class Utf8Encoder {
  encode(text: string): Uint8Array {
    const bytes: number[] = [];
    // Half a surrogate pair becomes U+FFFD, as in the standard.
    const encoded = encodeURIComponent(text.replace(/[\ud800-\udfff]/gu, '\ufffd'));
    for (let at = 0; at < encoded.length; at++) {
      if (encoded[at] !== '%') bytes.push(encoded.charCodeAt(at));
      else {
        bytes.push(Number.parseInt(encoded.slice(at + 1, at + 3), 16));
        at += 2;
      }
    }
    return Uint8Array.from(bytes);
  }

  encodeInto(text: string, into: Uint8Array): { read: number; written: number } {
    const bytes = this.encode(text);
    into.set(bytes);
    return { read: text.length, written: bytes.length };
  }
}

/** Keeps a leading U+FEFF, as with `ignoreBOM`. */
class Utf8Decoder {
  readonly #isFatal: boolean;

  constructor(_label = 'utf-8', { fatal = false }: { readonly fatal?: boolean } = {}) {
    this.#isFatal = fatal;
  }

  decode(bytes: Uint8Array): string {
    let escaped = '';
    for (const byte of bytes) escaped += `%${byte.toString(16).padStart(2, '0')}`;
    try {
      return decodeURIComponent(escaped);
    } catch {
      if (this.#isFatal) throw new TypeError('bytes: expected UTF-8');
      // The standard writes one U+FFFD for each sequence, and keeps what is valid beside it.
      return String.fromCharCode(...bytes.map((byte) => (byte < 128 ? byte : 63)));
    }
  }
}

const globals = globalThis as { TextEncoder?: unknown; TextDecoder?: unknown };
globals.TextEncoder ??= Utf8Encoder;
globals.TextDecoder ??= Utf8Decoder;
