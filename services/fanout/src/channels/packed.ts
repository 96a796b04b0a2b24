/**
 * A report's bytes as they are kept for long, each a character of a string. In V8 a string takes 16 bytes more than its characters; a Uint8Array with a
 * buffer of its own takes 300 more, and one without keeps the whole fetch that it came in.
 */
export type Packed = string;

export function packed(bytes: Uint8Array): Packed {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function unpacked(text: Packed): Uint8Array {
  return Buffer.from(text, 'latin1');
}
