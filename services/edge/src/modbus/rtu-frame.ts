import { TailraceError } from '@tailrace/protocol/error';
import { type Frame, type FrameParser, type Framing, joined, pduBytesMax } from './frame.ts';

const checksumBytes = 2;

/**
 * Framing of a serial line, sent over TCP by a converter: no transaction and no length, but a checksum (Modbus over
 * Serial Line V1.02, 2.5.1). The pauses between frames are lost on TCP, so a reply's length is taken from its function.
 */
export const rtuFraming: Framing = {
  hasTransactions: false,
  encode(_transaction, unit, pdu) {
    const frame = new Uint8Array(1 + pdu.length + checksumBytes);
    frame[0] = unit;
    frame.set(pdu, 1);
    const checksum = crc16(frame, 0, 1 + pdu.length);
    // The low byte first.
    frame[frame.length - 2] = checksum & 0xff;
    frame[frame.length - 1] = checksum >> 8;
    return frame;
  },
  createParser: () => new RtuFrameParser(),
};

class RtuFrameParser implements FrameParser {
  /** Shorter than one frame. */
  #rest: Uint8Array = new Uint8Array(0);

  push(bytes: Uint8Array): readonly Frame[] {
    const all = joined(this.#rest, bytes);
    const frames: Frame[] = [];
    let at = 0;
    for (;;) {
      const pduBytes = replyBytes(all, at + 1);
      if (pduBytes === undefined || all.length - at < 1 + pduBytes + checksumBytes) break;
      const end = at + 1 + pduBytes;
      const expected = crc16(all, at, end);
      const got = all[end]! | (all[end + 1]! << 8);
      if (got !== expected) throw invalid(`checksum ${expected}`, got);
      frames.push({ transaction: 0, unit: all[at]!, pdu: all.subarray(at + 1, end) });
      at = end + checksumBytes;
    }
    this.#rest = all.subarray(at);
    return frames;
  }
}

/** Returns the length of the reply at `at`; undefined while too few bytes are there to know it. */
function replyBytes(bytes: Uint8Array, at: number): number | undefined {
  const code = bytes[at];
  if (code === undefined) return undefined;
  if (code >= 0x80) return 2;
  if (code === 5 || code === 6 || code === 15 || code === 16) return 5;
  if (code < 1 || code > 4) throw invalid('a function that was requested', code);
  const dataBytes = bytes[at + 1];
  if (dataBytes === undefined) return undefined;
  if (dataBytes + 2 > pduBytesMax) throw invalid(`at most ${pduBytesMax - 2} bytes of data`, dataBytes);
  return 2 + dataBytes;
}

/** CRC-16 of Modbus over Serial Line V1.02, 6.2.2: polynomial 0xA001, start 0xFFFF. */
export function crc16(bytes: Uint8Array, from: number, until: number): number {
  let crc = 0xffff;
  for (let at = from; at < until; at++) {
    crc ^= bytes[at]!;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
  }
  return crc;
}

function invalid(expected: string, got: number): TailraceError {
  return new TailraceError('invalid_message', `Modbus RTU frame: expected ${expected}, got ${got}`);
}
