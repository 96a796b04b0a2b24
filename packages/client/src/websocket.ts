/** The subset of WebSocket that the client uses. Those of browsers, Node.js and the usual packages have it. */
export interface WebSocketLike {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  // One overload per event, so that the types of browsers, Node.js and `ws` are all assignable.
  addEventListener(type: 'open' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { readonly code: number; readonly reason: string }) => void): void;
}

export type WebSocketConstructor = new (url: string, protocols: string) => WebSocketLike;

/** Listeners of a socket. `onClose` is called once, whether the socket was ever open or not. */
export interface SocketListener {
  onOpen(): void;
  onText(text: string): void;
  onBinary(): void;
  onClose(code: number, reason: string): void;
}

/** A WebSocket. After `leave` no listener is called. */
export interface Socket {
  send(text: string): void;
  leave(code: number, reason: string): void;
}

/** Opens a WebSocket in a JSON protocol. Default: that of streams. */
export function openSocket(
  url: string,
  WebSocket: WebSocketConstructor,
  listener: SocketListener,
  protocol = 'tailrace.v1.json',
): Socket {
  const socket = new WebSocket(url, protocol);
  let hasLeft = false;
  let isOpen = false;
  socket.addEventListener('open', () => {
    isOpen = true;
    if (!hasLeft) listener.onOpen();
  });
  socket.addEventListener('message', (event: { data: unknown }) => {
    if (hasLeft) return;
    if (typeof event.data === 'string') listener.onText(event.data);
    else listener.onBinary();
  });
  const closed = (code: number, reason: string) => {
    if (hasLeft) return;
    hasLeft = true;
    listener.onClose(code, reason);
  };
  // For a failed handshake, Node.js 22 emits only `error`, browsers emit `close` with 1006, too. Later, every error is
  // followed by a close. Without a listener some implementations throw.
  socket.addEventListener('error', () => {
    if (!isOpen) closed(1006, '');
  });
  socket.addEventListener('close', (event: { code: number; reason: string }) => closed(event.code, event.reason));
  return {
    send(text) {
      if (!hasLeft && isOpen) socket.send(text);
    },
    leave(code, reason) {
      if (hasLeft) return;
      hasLeft = true;
      // Does not wait for the peer, which may be unreachable. Browsers allow the codes 1000 and 3000 to 4999.
      socket.close(code, reason);
    },
  };
}
