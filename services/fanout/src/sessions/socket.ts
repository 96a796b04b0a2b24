/** Who has to know how it goes with a socket. Called between batches, never in the middle of a publish. Nothing of it throws. */
export interface SocketWatcher {
  /** More waits than may: nothing more of what is published should come to it. */
  onFull(): void;
  /** It has taken nothing for so long, or so little, that it is to be let go as too slow. */
  onStalled(): void;
}

/** What a session needs of a socket. Nothing of it throws. */
export interface Socket {
  /** A frame could not be buffered: the client has a gap, gets nothing more, and is about to be cut. */
  readonly lost: boolean;
  watcher: SocketWatcher | undefined;
  /** Of the priority lane: goes before data that waits for room, and is never dropped. Where even that has no room, it waits. */
  send(frame: string | Uint8Array): void;
  /** Undefined: there is room for one frame of data. Else resolves when it is worth asking again; also when the socket goes. */
  room(): Promise<void> | undefined;
  /** A frame of data, when there is room for it. */
  give(frame: string | Uint8Array): void;
  /** From the first moment on, while its client lags: for so long it may. */
  setLagging(isLagging: boolean): void;
  ping(): void;
  join(topic: string): void;
  leave(topic: string): void;
  end(code: number, reason: string): void;
}
