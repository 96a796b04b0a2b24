/** What a session needs of a socket. Nothing of it throws. */
export interface Socket {
  /** A frame could not be buffered: the client has a gap, gets nothing more, and is about to be ended with 4002. */
  readonly lost: boolean;
  send(frame: string | Uint8Array): void;
  ping(): void;
  join(topic: string): void;
  leave(topic: string): void;
  end(code: number, reason: string): void;
}
