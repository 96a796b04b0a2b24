import { isBitTable, type Table } from './register-address.ts';

/**
 * Requests and replies of the Modbus Application Protocol V1.1b3, section 6: bytes without unit, transaction and
 * checksum, which are the framing's.
 */

/** Most registers and bits of a write (6.11, 6.12). */
export const writeRegistersMax = 123;
export const writeBitsMax = 1_968;

export interface Request {
  readonly pdu: Uint8Array;
  /** Bytes of a reply without an exception. */
  readonly replyBytes: number;
  readonly isWrite: boolean;
}

/** Function codes of reads, by table. */
const readFunctions: Readonly<Record<Table, number>> = { coil: 1, discrete: 2, holding: 3, input: 4 };

export const writeCoil = 5;
export const writeRegister = 6;
export const writeCoils = 15;
export const writeRegisters = 16;

/** A reply has this bit of the function code for an exception (section 7). */
const exceptionBit = 0x80;

export function readRequest(table: Table, start: number, length: number): Request {
  const pdu = new Uint8Array([readFunctions[table], start >> 8, start & 0xff, length >> 8, length & 0xff]);
  const dataBytes = isBitTable(table) ? Math.ceil(length / 8) : 2 * length;
  return { pdu, replyBytes: 2 + dataBytes, isWrite: false };
}

/** Writes one register (two bytes) with function 6, or one coil with function 5. */
export function writeOneRequest(table: 'coil' | 'holding', start: number, value: Uint8Array | boolean): Request {
  const [high, low] = typeof value === 'boolean' ? [value ? 0xff : 0, 0] : [value[0]!, value[1]!];
  const pdu = new Uint8Array([table === 'coil' ? writeCoil : writeRegister, start >> 8, start & 0xff, high, low]);
  return { pdu, replyBytes: 5, isWrite: true };
}

/** Writes registers (two bytes each) with function 16, or one coil with function 15. */
export function writeManyRequest(table: 'coil' | 'holding', start: number, value: Uint8Array | boolean): Request {
  const data = typeof value === 'boolean' ? new Uint8Array([value ? 1 : 0]) : value;
  const count = typeof value === 'boolean' ? 1 : value.length / 2;
  const pdu = new Uint8Array(6 + data.length);
  pdu.set([table === 'coil' ? writeCoils : writeRegisters, start >> 8, start & 0xff, count >> 8, count & 0xff]);
  pdu[5] = data.length;
  pdu.set(data, 6);
  return { pdu, replyBytes: 5, isWrite: true };
}

/** What came of a request. */
export type Reply =
  /** `data`: registers or bits of a read; of a write, nothing. */
  | { readonly kind: 'data'; readonly data: Uint8Array }
  /** The device refuses: 1 illegal function, 2 illegal address, 3 illegal value, … (section 7). */
  | { readonly kind: 'exception'; readonly exception: number }
  /** The reply is not one to this request. */
  | { readonly kind: 'malformed'; readonly reason: string }
  | { readonly kind: 'timeout' }
  /** The connection was lost, or there is none. */
  | { readonly kind: 'disconnected' };

/**
 * Returns the reply to a request. A read's has as many bytes as were requested; a write's repeats address and value, or
 * address and number (6.5, 6.6, 6.11, 6.12). Anything else is malformed: a device that cannot do a write must not seem
 * to have done it.
 */
export function replyFrom(request: Request, pdu: Uint8Array): Reply {
  const expected = request.pdu[0]!;
  const code = pdu[0];
  if (code === (expected | exceptionBit)) {
    const exception = pdu[1];
    if (pdu.length === 2 && exception !== undefined) return { kind: 'exception', exception };
    return malformed('exception of 2 bytes', `${pdu.length}`);
  }
  if (code !== expected) return malformed(`function ${expected}`, String(code));
  if (pdu.length !== request.replyBytes) return malformed(`${request.replyBytes} bytes`, `${pdu.length}`);
  if (request.isWrite) {
    for (let index = 1; index < 5; index++) {
      if (pdu[index] !== request.pdu[index]) return malformed('the address and value of the write', 'others');
    }
    return { kind: 'data', data: pdu.subarray(5) };
  }
  if (pdu[1] !== pdu.length - 2) return malformed(`${pdu.length - 2} bytes of data`, String(pdu[1]));
  return { kind: 'data', data: pdu.subarray(2) };
}

function malformed(expected: string, got: string): Reply {
  return { kind: 'malformed', reason: `reply: expected ${expected}, got ${got}` };
}
