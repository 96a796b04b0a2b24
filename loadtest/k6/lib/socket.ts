import { WebSocket } from 'k6/websockets';

/** What a load test needs of a WebSocket. The one file that knows k6's. */
export interface Socket {
  send(frame: string | ArrayBuffer): void;
  /** Nothing more comes of it. */
  leave(): void;
}

/** Of a frame. To ask costs time: not at each. */
export interface LogReport {
  /** When k6 read it from the network, epoch ms. */
  readonly timestamp: number;
}

export interface SocketListener {
  onOpen(): void;
  onFrame(frame: string | ArrayBuffer, logReport: LogReport): void;
  /** Once. 1006 where the network or a refused handshake ended it. */
  onClose(code: number, reason: string): void;
}

/** As k6 1.8 has it; its published types know neither subprotocols nor the fields of a close. */
type Constructor = new (
  url: string,
  protocols: string,
  params: object,
) => {
  binaryType: string;
  onopen: () => void;
  onmessage: (event: LogReport & { readonly data: string | ArrayBuffer }) => void;
  onerror: (event: { readonly error?: string }) => void;
  onclose: (event: { readonly code?: number; readonly reason?: string }) => void;
  send(frame: string | ArrayBuffer): void;
  close(code?: number): void;
};

const nothing = () => {};

export function openSocket(url: string, subprotocol: string, listener: SocketListener): Socket {
  const socket = new (WebSocket as unknown as Constructor)(url, subprotocol, { tags: { name: 'stream' } });
  socket.binaryType = 'arraybuffer';
  let fault = '';
  socket.onopen = () => listener.onOpen();
  socket.onmessage = (event) => listener.onFrame(event.data, event);
  // A close follows.
  socket.onerror = ({ error }) => {
    fault = error ?? '';
  };
  socket.onclose = ({ code, reason }) => listener.onClose(code ?? 1006, reason || fault);
  return {
    send: (frame) => socket.send(frame),
    leave() {
      socket.onopen = () => socket.close(1000);
      socket.onmessage = nothing;
      socket.onclose = nothing;
      try {
        socket.close(1000);
      } catch {
        // It is not open yet, or not any more.
      }
    },
  };
}
