/** The clients of the fan-out bench: plain TCP sockets that upgrade, subscribe, and from then on only count bytes. */
import { connect, type Socket } from 'node:net';
import { answer } from './child.ts';
import { load } from './fanout-load.ts';

const sockets: Socket[] = [];
let bytes = 0;

function open(port: number, token: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(
        `GET /v1/stream?channel=${load.device}&token=${token} HTTP/1.1\r\nhost: bench\r\nupgrade: websocket\r\nconnection: upgrade\r\n` +
          'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      );
    });
    socket.once('error', reject);
    // The response to the upgrade. The first messages of the server arrive with it or later, and are not counted: the
    // run starts with a reset.
    socket.once('data', () => {
      socket.on('data', (data) => {
        bytes += data.length;
      });
      resolve(socket);
    });
  });
}

answer({
  open: async ({ port, token }: { port: number; token: string }) => {
    for (let i = 0; i < load.sockets; i += 100) {
      sockets.push(...(await Promise.all(Array.from({ length: 100 }, () => open(port, token)))));
    }
    return {};
  },
  reset: () => {
    bytes = 0;
    return {};
  },
  count: () => ({ bytes }),
});
