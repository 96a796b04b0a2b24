import { connect } from 'node:net';

/** A connection that carries bytes. */
export interface ByteStream {
  write(bytes: Uint8Array): void;
  /** Closes at once. No handler is called afterwards. Idempotent. */
  destroy(): void;
}

export interface StreamHandlers {
  opened(): void;
  received(bytes: Uint8Array): void;
  /** Called once, also if the connection was never open. */
  closed(reason: string): void;
}

export type OpenStream = (handlers: StreamHandlers) => ByteStream;

/** Returns a function that opens a TCP connection without Nagle's delay: a request is one small packet. */
export function tcpStreams(host: string, port: number): OpenStream {
  return ({ opened, received, closed }) => {
    const socket = connect({ host, port, noDelay: true, keepAlive: true });
    let reason = 'closed by the device';
    socket.on('connect', opened);
    socket.on('data', received);
    socket.on('error', (error) => {
      reason = error.message;
    });
    socket.on('close', () => closed(reason));
    return {
      write: (bytes) => void socket.write(bytes),
      destroy() {
        socket.removeAllListeners();
        // A reset may still come.
        socket.on('error', () => {});
        socket.destroy();
      },
    };
  };
}
