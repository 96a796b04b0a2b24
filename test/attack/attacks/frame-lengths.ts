import { encodeFrame, opcodes } from '@tailrace/testkit/ws-frames';
import type { Attack } from '../attack-definition.ts';
import { openRawStream } from '../attack-sockets.ts';

const connections = { full: 40, small: 10 };

/** Returns a frame header with a length of 64 bits. */
function headOf(length: bigint, first = 0x82): Buffer {
  const head = Buffer.alloc(14);
  head[0] = first;
  head[1] = 0xff;
  head.writeBigUInt64BE(BigInt.asUintN(64, length), 2);
  return head;
}

const frames: readonly Buffer[] = [
  headOf(-1n),
  headOf(1n << 63n),
  headOf((1n << 63n) - 1n),
  headOf(1n << 32n),
  headOf(0xffff_ffffn),
  headOf(70_000n),
  // An incomplete header, and a length in more bytes than it needs.
  headOf(5n).subarray(0, 9),
  Buffer.concat([headOf(5n), Buffer.alloc(5)]),
  // Reserved bits without an extension, unknown opcodes, a fragmented control frame, and one that is too long.
  ...[1, 2, 4, 7].map((rsv) => encodeFrame({ opcode: opcodes.text, rsv, payload: '{}' })),
  ...[3, 7, 11, 15].map((opcode) => encodeFrame({ opcode, payload: '{}' })),
  encodeFrame({ opcode: opcodes.ping, fin: false, payload: 'x' }),
  encodeFrame({ opcode: opcodes.ping, payload: 'x'.repeat(126) }),
  encodeFrame({ opcode: opcodes.continuation, payload: 'x' }),
  encodeFrame({ opcode: opcodes.close, payload: Buffer.from([0x03]) }),
  encodeFrame({ opcode: opcodes.close, payload: Buffer.from([0x00, 0x00]) }),
];

/**
 * Frame headers with impossible lengths, before any token: nats-server crashed at a length with its highest bit set
 * (CVE-2026-27889), and hung at an incomplete header (nats-server issue 8029).
 */
export const frameLengths: Attack = {
  name: 'frame-lengths',
  words: 'frames with impossible lengths, reserved bits and unknown opcodes, without a token',
  targets: ['standalone'],
  refusals: ['connection terminated'],
  async run(context) {
    while (!context.isExpired()) {
      await Promise.all(
        Array.from({ length: connections[context.size] }, async (_, i) => {
          const stream = await openRawStream(context, { token: undefined });
          stream.socket.write(frames[i % frames.length]!);
          stream.socket.write(Buffer.alloc(200));
          await Promise.race([
            stream.closed.then(() => context.counts.add('connection terminated')),
            context.sleep(1_000),
          ]);
          stream.socket.close();
        }),
      );
      await context.sleep(20);
    }
  },
};
