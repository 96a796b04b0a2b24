/**
 * The bytes of a report to be kept for long, one character of a string each. In V8 a string takes 16 bytes more than
 * its characters. A Uint8Array with its own buffer takes 300 more, and one without keeps the whole fetch in memory.
 */
export type Packed = string;

export function packed(bytes: Uint8Array): Packed {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function unpacked(text: Packed): Uint8Array {
  return Buffer.from(text, 'latin1');
}
