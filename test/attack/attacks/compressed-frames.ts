import { deflateRawSync } from 'node:zlib';
import { opcodes } from '@tailrace/testkit/ws-frames';
import type { Attack } from '../attack-definition.ts';
import { openRawStream } from '../attack-sockets.ts';

const connections = { full: 20, small: 5 };
const unpackedBytes = 256 * 1024 * 1024;
/** Bytes that the extension omits at the end of a message (RFC 7692, 7.2.1). */
const tailBytes = 4;

const offers = [
  'permessage-deflate',
  'permessage-deflate; client_max_window_bits; server_no_context_takeover',
  'x-webkit-deflate-frame',
  // A server that keeps extensions in an object finds its prototype's members there.
  'constructor; __proto__; toString=hasOwnProperty',
];

/**
 * Compression is negotiated before there is a token, and a message of some KB unpacks to 256 MB: nats-server ran out of
 * memory (GHSA-qrvq-68c2-7grw). The handshake must negotiate none, and a compressed frame must close the connection.
 */
export const compressedFrames: Attack = {
  name: 'compressed-frames',
  words: 'messages that unpack to 256 MB, on connections that offer each form of compression',
  targets: ['standalone'],
  refusals: ['connection terminated'],
  forbidden: ['compression negotiated'],
  async run(context) {
    const payload = deflateRawSync(Buffer.alloc(context.size === 'full' ? unpackedBytes : unpackedBytes / 16), {
      level: 9,
    });
    while (!context.isExpired()) {
      await Promise.all(
        Array.from({ length: connections[context.size] }, async (_, i) => {
          const extensions = offers[i % offers.length]!;
          const stream = await openRawStream(context, {
            token: undefined,
            headers: { 'Sec-WebSocket-Extensions': extensions },
          });
          if (stream.extensions !== undefined) context.counts.add('compression negotiated');
          const part = payload.subarray(0, Math.min(16_000, payload.length - tailBytes));
          stream.sendFrame({ opcode: opcodes.binary, rsv: 4, payload: part });
          await Promise.race([
            stream.closed.then(() => context.counts.add('connection terminated')),
            context.sleep(1_000),
          ]);
          stream.socket.close();
        }),
      );
      await context.sleep(50);
    }
  },
};
