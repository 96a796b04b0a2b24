import { TailraceError } from '@tailrace/protocol/error';
import { type Frame, type FrameParser, type Framing, joined, pduBytesMax } from './frame.ts';

/** Transaction, protocol, length, unit (Modbus Messaging on TCP/IP V1.0b, 3.1.3). */
const headerBytes = 7;

/** Framing of Modbus TCP: each request has a transaction ID, which its reply repeats. */
export const tcpFraming: Framing = {
  hasTransactions: true,
  encode(transaction, unit, pdu) {
    const length = pdu.length + 1;
    const frame = new Uint8Array(headerBytes + pdu.length);
    frame.set([transaction >> 8, transaction & 0xff, 0, 0, length >> 8, length & 0xff, unit]);
    frame.set(pdu, headerBytes);
    return frame;
  },
  createParser: () => new TcpFrameParser(),
};

class TcpFrameParser implements FrameParser {
  /** Shorter than one frame. */
  #rest: Uint8Array = new Uint8Array(0);

  push(bytes: Uint8Array): readonly Frame[] {
    const all = joined(this.#rest, bytes);
    const frames: Frame[] = [];
    let at = 0;
    while (all.length - at >= headerBytes) {
      const protocol = (all[at + 2]! << 8) | all[at + 3]!;
      const length = (all[at + 4]! << 8) | all[at + 5]!;
      // Then the next header cannot be found.
      if (protocol !== 0) throw invalid('protocol 0', protocol);
      if (length < 2 || length > pduBytesMax + 1) throw invalid(`a length of 2 to ${pduBytesMax + 1}`, length);
      const end = at + 6 + length;
      if (end > all.length) break;
      const transaction = (all[at]! << 8) | all[at + 1]!;
      frames.push({ transaction, unit: all[at + 6]!, pdu: all.subarray(at + headerBytes, end) });
      at = end;
    }
    this.#rest = all.subarray(at);
    return frames;
  }
}

function invalid(expected: string, got: number): TailraceError {
  return new TailraceError('invalid_message', `Modbus TCP frame: expected ${expected}, got ${got}`);
}
