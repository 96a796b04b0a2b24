const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Six bits by character code; 64 for characters outside of the alphabet. */
const sixBits: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) => {
  const index = alphabet.indexOf(String.fromCharCode(code));
  return index === -1 ? 64 : index;
});

/** Encodes by RFC 4648 section 5 without padding. Browsers and Node share no function for it yet. */
export function base64urlFromBytes(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let bitCount = 0;
  for (const byte of bytes) {
    bits = ((bits << 8) | byte) & 0xffff;
    bitCount += 8;
    while (bitCount >= 6) {
      bitCount -= 6;
      text += alphabet[(bits >>> bitCount) & 63];
    }
  }
  return bitCount === 0 ? text : text + alphabet[(bits << (6 - bitCount)) & 63];
}

/** Decodes the output of `base64urlFromBytes`. Undefined for padding, other characters, and bits left over. */
export function bytesFromBase64url(text: string): Uint8Array | undefined {
  if (text.length % 4 === 1) return undefined;
  const bytes = new Uint8Array((text.length * 3) >> 2);
  let bits = 0;
  let bitCount = 0;
  let at = 0;
  for (let index = 0; index < text.length; index++) {
    const six = sixBits[text.charCodeAt(index)] ?? 64;
    if (six === 64) return undefined;
    bits = ((bits << 6) | six) & 0xffff;
    bitCount += 6;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes[at++] = bits >>> bitCount;
    }
  }
  return (bits & ((1 << bitCount) - 1)) === 0 ? bytes : undefined;
}
