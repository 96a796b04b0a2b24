import { clientMessageBytes } from '@tailrace/protocol/client-message';
import { opcodes } from '@tailrace/testkit/ws-frames';
import type { Attack } from '../attack-definition.ts';
import { openRawStream } from '../attack-sockets.ts';

const connections = { full: 50, small: 10 };
/** Two protocols, because garbage is detected in two ways: as invalid UTF-8, or as invalid Protobuf. */
const protocols = ['tailrace.v1.json', 'tailrace.v1.proto'] as const;

/**
 * Frames without a mask, at which a server must close the connection (RFC 6455, 5.1). The WebSocket library uses four
 * bytes of the payload as the mask, so that the message is garbage, and the connection waits or closes: SECURITY.md.
 */
export const unmaskedFrames: Attack = {
  name: 'unmasked-frames',
  words: '50 sockets send messages without a mask, at once and again',
  targets: ['standalone'],
  refusals: ['close 4400', 'close 1006'],
  forbidden: ['an answer to what was sent'],
  async run(context) {
    while (!context.isExpired()) {
      await Promise.all(
        Array.from({ length: connections[context.size] }, async (_, i) => {
          const protocol = protocols[i % protocols.length]!;
          const stream = await openRawStream(context, { protocol });
          const isJson = protocol === 'tailrace.v1.json';
          const ping = isJson ? JSON.stringify({ ping: { t: 1 } }) : clientMessageBytes({ ping: { t: 1 } });
          const opcode = isJson ? opcodes.text : opcodes.binary;
          const count = i % 4 < 2 ? 10 : 1;
          for (let n = 0; n < count; n++) stream.sendFrame({ opcode, payload: ping, mask: false });
          // As many bytes as the library used as the mask: the message is complete for it then.
          if (count === 1) stream.socket.write(Buffer.alloc(4));
          await Promise.race([stream.closed.then(({ code }) => context.counts.close(code)), context.sleep(2_000)]);
          if (stream.frames.some(({ payload }) => payload.includes('"pong"'))) context.counts.add(answered);
          stream.socket.close();
        }),
      );
      await context.sleep(50);
    }
  },
};

const answered = 'an answer to what was sent';
