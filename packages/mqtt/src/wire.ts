/** A byte stream in both directions: a TCP, TLS or WebSocket connection, or one in memory. */
export interface Wire {
  /**
   * Sends bytes in order, or discards them after `close`. Returns false if more than the high water of the wire waits
   * to be sent: `WireHandlers.writable` reports when it does not any more. The wire owns the bytes from here on.
   */
  send(bytes: Uint8Array): boolean;
  /** Stops `WireHandlers.bytes` after at most one more chunk. */
  pause(): void;
  resume(): void;
  /** Closes after the bytes that wait were sent, and after 1 s in any case. Idempotent. `closed` follows. */
  close(): void;
}

/** What a wire calls. */
export interface WireHandlers {
  /** The chunk belongs to the wire: copy what outlives the call. */
  bytes(chunk: Buffer): void;
  writable(): void;
  /** Called once, when the wire is closed by either side. `error`: why, where it was not closed in an orderly way. */
  closed(error?: Error): void;
}
