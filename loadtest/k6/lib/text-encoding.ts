/**
 * k6 1.8 lacks TextEncoder, which modules of packages/protocol create when they load: import this file before them. It is the WHATWG one
 * (https://encoding.spec.whatwg.org/#interface-textencoder) as far as they use it.
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

const globals = globalThis as { TextEncoder?: unknown };
globals.TextEncoder ??= Utf8Encoder;
