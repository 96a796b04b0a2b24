import type { Attack } from '../attack-definition.ts';
import { openRawStream } from '../attack-sockets.ts';

/** Empty, masked fragments of an endless message, 6 bytes each. */
const fragments = Buffer.alloc(60_000, Buffer.from([0x00, 0x80, 1, 2, 3, 4]));
const startOfMessage = Buffer.from([0x01, 0x80, 1, 2, 3, 4]);
const pauseMs = 1;

/**
 * The WebSocket library ignores empty fragments, and reads a socket again as long as its buffer of 512 KiB was full:
 * SECURITY.md requires smaller receive buffers. `attack.ts` runs it in a network namespace with them.
 */
export const emptyFragments: Attack = {
  name: 'empty-fragments',
  words: 'a socket without a token sends empty fragments at full speed, with receive buffers of 256 KiB',
  targets: ['standalone'],
  receiveBufferBytes: 262_144,
  refusals: [],
  async run(context) {
    const stream = await openRawStream(context, { token: undefined });
    stream.socket.write(startOfMessage);
    while (!context.isExpired()) {
      if (stream.socket.unsentBytes() < 4 * fragments.length) stream.socket.write(fragments);
      else await context.sleep(pauseMs);
    }
    stream.socket.close();
  },
};
