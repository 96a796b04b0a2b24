/** A minimal WebSocket client, for thousands of connections, where a library would dominate the bench. */
import { connect, type Socket } from 'node:net';

export interface WsClientOptions {
  readonly port: number;
  /** Path and query. */
  readonly path: string;
  /** Each whole text or binary frame. The bytes are only good during the call. */
  readonly onFrame: (payload: Buffer) => void;
  readonly onClose?: () => void;
}

export interface WsClient {
  sendText(text: string): void;
  /** Closes the TCP connection without a close frame. */
  terminate(): void;
}

/** Resolves when the server has upgraded. Rejects when it does not. */
export function openWsClient({ port, path, onFrame, onClose }: WsClientOptions): Promise<WsClient> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, '127.0.0.1', () => {
      socket.write(
        `GET ${path} HTTP/1.1\r\nhost: bench\r\nupgrade: websocket\r\nconnection: upgrade\r\n` +
          'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      );
    });
    socket.setNoDelay(true);
    let rest: Buffer | undefined;
    let open = false;
    socket.once('error', reject);
    socket.once('close', () => {
      reject(new Error('closed before it was open'));
      onClose?.();
    });
    socket.on('data', (chunk) => {
      let data = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
      rest = undefined;
      if (!open) {
        const end = data.indexOf('\r\n\r\n');
        if (end < 0) {
          rest = data;
          return;
        }
        const status = data.toString('latin1', 9, 12);
        if (status !== '101') {
          reject(new Error(`status ${status}`));
          socket.destroy();
          return;
        }
        open = true;
        resolve({ sendText: (text) => void socket.write(maskedText(text)), terminate: () => socket.destroy() });
        data = data.subarray(end + 4);
      }
      const left = takeFrames(data, onFrame, (payload) => void socket.write(masked(10, payload)));
      if (left.length > 0) rest = left;
    });
  });
}

/** Calls for each whole frame (RFC 6455, section 5.2). Returns the rest, which is part of the next one. */
function takeFrames(data: Buffer, onFrame: (payload: Buffer) => void, onPing: (payload: Buffer) => void): Buffer {
  let at = 0;
  while (data.length - at >= 2) {
    const short = data[at + 1]! & 127;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (data.length - at < head) break;
    const length =
      short < 126 ? short : short === 126 ? data.readUInt16BE(at + 2) : Number(data.readBigUInt64BE(at + 2));
    if (data.length - at < head + length) break;
    const opcode = data[at]! & 15;
    const payload = data.subarray(at + head, at + head + length);
    if (opcode === 9) onPing(payload);
    else if (opcode <= 2) onFrame(payload);
    at += head + length;
  }
  return data.subarray(at);
}

function maskedText(text: string): Buffer {
  return masked(1, Buffer.from(text));
}

/** A client's frames are masked; with a mask of zeros the payload stays as it is. */
function masked(opcode: number, payload: Buffer): Buffer {
  const head =
    payload.length < 126
      ? Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0])
      : Buffer.from([0x80 | opcode, 0xfe, payload.length >> 8, payload.length & 255, 0, 0, 0, 0]);
  return Buffer.concat([head, payload]);
}
