/** Receives the events of a socket. Called between batches, never in the middle of a publish. No method throws. */
export interface SocketWatcher {
  /** More bytes wait than the high water: leave the topics. */
  onFull(): void;
  /** The client has read nothing, or too little, for too long: disconnect it as too slow. */
  onStalled(): void;
}

/** What a session needs of a socket. No method throws. */
export interface Socket {
  /** Whether a frame was dropped: the client has a gap, receives nothing more, and is about to be terminated. */
  readonly isLost: boolean;
  watcher: SocketWatcher | undefined;
  /** Sends a reply, before data that waits. Never drops it: while the socket is full, it is queued. */
  send(frame: string | Uint8Array): void;
  /**
   * Returns undefined if the socket takes a frame of data; otherwise a promise that resolves when to check again, or
   * when the socket closes.
   */
  whenWritable(): Promise<void> | undefined;
  /** Sends a frame of data. Call it while `whenWritable` returns undefined. */
  sendData(frame: string | Uint8Array): void;
  /** Whether the client lags. It is stalled once it has lagged for the maximum. */
  setLagging(isLagging: boolean): void;
  ping(): void;
  join(topic: string): void;
  leave(topic: string): void;
  end(code: number, reason: string): void;
}
