/** The least that a WebSocket must be able to do: the browser's, Node's own and the usual packages are such. */
export interface WebSocketLike {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  // One for each event: only so do the types of browsers, of Node and of `ws` fit all three.
  addEventListener(type: 'open' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { readonly code: number; readonly reason: string }) => void): void;
}

export type WebSocketConstructor = new (url: string, protocols: string) => WebSocketLike;

/** What a stream wants to hear from its socket. `onClose` comes once, whether the socket was ever open or not. */
export interface SocketListener {
  onOpen(): void;
  onText(text: string): void;
  onBinary(): void;
  onClose(code: number, reason: string): void;
}

/** A socket that can be left: after `leave` its listener hears nothing any more. */
export interface Socket {
  send(text: string): void;
  leave(code: number, reason: string): void;
}

/** Opens a WebSocket to a stream, in the JSON protocol. */
export function openSocket(url: string, WebSocket: WebSocketConstructor, listener: SocketListener): Socket {
  const socket = new WebSocket(url, 'tailrace.v1.json');
  let left = false;
  let open = false;
  socket.addEventListener('open', () => {
    open = true;
    if (!left) listener.onOpen();
  });
  socket.addEventListener('message', (event: { data: unknown }) => {
    if (left) return;
    if (typeof event.data === 'string') listener.onText(event.data);
    else listener.onBinary();
  });
  const closed = (code: number, reason: string) => {
    if (left) return;
    left = true;
    listener.onClose(code, reason);
  };
  // A handshake that fails: Node 22 says only `error`, where browsers say `close` with 1006 after it. Later, an error says nothing that the
  // close after it does not say. Without a listener some implementations throw.
  socket.addEventListener('error', () => {
    if (!open) closed(1006, '');
  });
  socket.addEventListener('close', (event: { code: number; reason: string }) => closed(event.code, event.reason));
  return {
    send(text) {
      if (!left && open) socket.send(text);
    },
    leave(code, reason) {
      if (left) return;
      left = true;
      // The peer may be gone without a word: nothing is waited for. Browsers allow 1000 and 3000 to 4999 here.
      socket.close(code, reason);
    },
  };
}
