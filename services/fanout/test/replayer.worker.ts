import { parentPort, workerData } from 'node:worker_threads';
import { WebSocket } from 'ws';

/** Options of clients in their own thread, so that their reading does not take the server's CPU time. */
export interface ReplayerOptions {
  readonly port: number;
  readonly token: string;
  readonly sockets: number;
  /** The subscriptions of each socket, sent at once. */
  readonly subscriptions: number;
  readonly channel: string;
}

/** Bytes received, and sockets that the server closed. */
export interface ReplayerCounts {
  readonly bytes: number;
  readonly closed: number;
}

const { port, token, sockets, subscriptions, channel } = workerData as ReplayerOptions;
const counts = { bytes: 0, closed: 0 };
for (let n = 0; n < sockets; n++) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/stream?token=${token}`, ['tailrace.v1.json'], {
    perMessageDeflate: false,
  });
  socket.on('error', () => {});
  socket.on('close', () => counts.closed++);
  socket.on('message', (data: Buffer) => {
    counts.bytes += data.length;
  });
  socket.on('open', () => {
    for (let i = 0; i < subscriptions; i++) {
      socket.send(JSON.stringify({ subscribe: { id: `r${i}`, channel, from: 1, snapshot: false } }));
    }
  });
}
parentPort?.on('message', () => parentPort?.postMessage({ ...counts } satisfies ReplayerCounts));
