import { randomBytes } from 'node:crypto';
import { TailraceError } from '@tailrace/protocol/error';

/** RFC 6455, section 5.2. */
export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface Frame {
  readonly fin: boolean;
  /** The three reserved bits as a number, 4 for the first (permessage-deflate). */
  readonly rsv: number;
  readonly opcode: number;
  readonly payload: Buffer;
}

export interface FrameToSend {
  /** Default true. */
  fin?: boolean;
  /** Default 0: no extension. */
  rsv?: number;
  /** 0 to 15; `opcodes` has those that mean something. */
  opcode: number;
  payload?: Uint8Array | string;
  /** Clients must mask (5.3); false makes a frame that a server must refuse. Default true. */
  mask?: boolean;
  /** Claims another length than the payload has. */
  claimedLength?: number;
}

/** Encodes a frame, also an invalid one. */
export function encodeFrame(frame: FrameToSend): Buffer {
  const payload = Buffer.from(frame.payload ?? '');
  const { fin = true, rsv = 0, mask = true, claimedLength: length = payload.length } = frame;
  const first = (fin ? 0x80 : 0) | ((rsv & 7) << 4) | (frame.opcode & 15);
  const maskBit = mask ? 0x80 : 0;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = first;
  if (length < 126) {
    head[1] = maskBit | length;
  } else if (length < 65_536) {
    head[1] = maskBit | 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = maskBit | 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  if (!mask) return Buffer.concat([head, payload]);
  const key = randomBytes(4);
  const masked = Buffer.alloc(payload.length);
  for (let i = 0; i < payload.length; i++) masked[i] = payload[i]! ^ key[i & 3]!;
  return Buffer.concat([head, key, masked]);
}

/** Returns the payload of a close frame (section 5.5.1); empty without a code. */
export function closePayload(code?: number, reason = ''): Buffer {
  if (code === undefined) return Buffer.alloc(0);
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code, 0);
  payload.write(reason, 2);
  return payload;
}

/** Returns code and reason of a close frame; 1005, which is never sent, for none (section 7.1.5). */
export function closeFrom(payload: Buffer): { code: number; reason: string } {
  if (payload.length < 2) return { code: 1005, reason: '' };
  return { code: payload.readUInt16BE(0), reason: payload.toString('utf8', 2) };
}

/** Above this the server or the decoder is broken. */
const payloadBytesMax = 64 * 1024 * 1024;

/** Returns a decoder: it takes chunks and returns the frames that are complete, unmasked. */
export function createFrameDecoder(): (chunk: Uint8Array) => Frame[] {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    const frames: Frame[] = [];
    for (;;) {
      const taken = takeFrame(rest);
      if (!taken) return frames;
      frames.push(taken.frame);
      rest = rest.subarray(taken.bytes);
    }
  };
}

function takeFrame(bytes: Buffer): { frame: Frame; bytes: number } | undefined {
  if (bytes.length < 2) return undefined;
  const short = bytes[1]! & 0x7f;
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  const isMasked = (bytes[1]! & 0x80) !== 0;
  const start = 2 + lengthBytes + (isMasked ? 4 : 0);
  if (bytes.length < start) return undefined;
  const length =
    lengthBytes === 0 ? short : lengthBytes === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  if (length > payloadBytesMax) {
    throw new TailraceError('too_large', `a frame claims ${length} bytes; more than ${payloadBytesMax} are not read`);
  }
  if (bytes.length < start + length) return undefined;
  const payload = Buffer.from(bytes.subarray(start, start + length));
  if (isMasked) {
    for (let i = 0; i < length; i++) payload[i] = payload[i]! ^ bytes[start - 4 + (i & 3)]!;
  }
  const first = bytes[0]!;
  return { frame: { fin: first >= 0x80, rsv: (first >> 4) & 7, opcode: first & 15, payload }, bytes: start + length };
}
