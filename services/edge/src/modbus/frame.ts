/** A reply of a unit, without its framing. */
export interface Frame {
  /** 0 with RTU framing, which has none. */
  readonly transaction: number;
  readonly unit: number;
  readonly pdu: Uint8Array;
}

/** Reads frames from the bytes of one connection. */
export interface FrameParser {
  /** Returns the whole frames so far. Throws `invalid_message` if what follows cannot be found in the bytes. */
  push(bytes: Uint8Array): readonly Frame[];
}

/** A framing of Modbus: by length and transaction on TCP, or by checksum as on a serial line. */
export interface Framing {
  readonly hasTransactions: boolean;
  encode(transaction: number, unit: number, pdu: Uint8Array): Uint8Array;
  createParser(): FrameParser;
}

/** Most bytes of a PDU: those of a serial line's frame, without address and checksum (V1.1b3, 4.1). */
export const pduBytesMax = 253;

/** Joins what is left of former bytes with new ones. */
export function joined(rest: Uint8Array, bytes: Uint8Array): Uint8Array {
  if (rest.length === 0) return bytes;
  const all = new Uint8Array(rest.length + bytes.length);
  all.set(rest);
  all.set(bytes, rest.length);
  return all;
}
