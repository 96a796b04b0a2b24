import { WebSocket } from 'k6/websockets';

/** What a load test needs of a WebSocket. Only this file uses k6's. */
export interface Socket {
  send(frame: string | ArrayBuffer): void;
  /** The listener is not called any more. */
  close(): void;
}

/** k6's event for a frame. Reading a property takes time: not for each frame. */
export interface ReceivedFrame {
  /** When k6 read it from the network, epoch ms. */
  readonly timestamp: number;
}

export interface SocketListener {
  onOpen(): void;
  onFrame(frame: string | ArrayBuffer, received: ReceivedFrame): void;
  /** Called once. The code is 1006 after an error of the network or a rejected handshake. */
  onClose(code: number, reason: string): void;
}

/** As k6 1.8 has it: its published types lack subprotocols and the fields of a close event. */
type Constructor = new (
  url: string,
  protocols: string,
  params: object,
) => {
  binaryType: string;
  onopen: () => void;
  onmessage: (event: ReceivedFrame & { readonly data: string | ArrayBuffer }) => void;
  onerror: (event: { readonly error?: string }) => void;
  onclose: (event: { readonly code?: number; readonly reason?: string }) => void;
  send(frame: string | ArrayBuffer): void;
  close(code?: number): void;
};

const ignore = () => {};

export function openSocket(url: string, subprotocol: string, listener: SocketListener): Socket {
  const socket = new (WebSocket as unknown as Constructor)(url, subprotocol, { tags: { name: 'stream' } });
  socket.binaryType = 'arraybuffer';
  let lastError = '';
  socket.onopen = () => listener.onOpen();
  socket.onmessage = (event) => listener.onFrame(event.data, event);
  // A close event follows.
  socket.onerror = ({ error }) => {
    lastError = error ?? '';
  };
  socket.onclose = ({ code, reason }) => listener.onClose(code ?? 1006, reason || lastError);
  return {
    send: (frame) => socket.send(frame),
    close() {
      socket.onopen = () => socket.close(1000);
      socket.onmessage = ignore;
      socket.onclose = ignore;
      try {
        socket.close(1000);
      } catch {
        // It is not open yet, or closed already.
      }
    },
  };
}
