/**
 * One connection to a NATS server: the part that the bus needs. `nats.ts` creates it from the client library, which no
 * other file uses. It is up until it calls `onLost`, once and for good: the reconnector (reconnector.ts) creates the
 * next one.
 */
export interface Connection {
  /** Host and port, for messages. */
  readonly address: string;
  /** The server's `max_payload` less `headerBytesMax`. */
  readonly payloadBytesMax: number;
  /** A prefix of subjects to which only this connection subscribes; its last character is a dot. */
  readonly inbox: string;
  /** Passes the message to the library, in order. Does nothing on a lost connection. */
  publish(subject: string, payload: Uint8Array, reply?: string, headers?: MessageHeaders): void;
  /**
   * Takes effect at the server with the next `flush`. Returns a function that unsubscribes. `onRefused`: called if the
   * server does not allow it.
   */
  subscribe(
    subject: string,
    queue: string | undefined,
    onMessage: (message: ReceivedMessage) => void,
    onRefused: (error: Error) => void,
  ): () => void;
  /** Resolves after a round trip: everything sent before has arrived. Rejects when the connection is lost. */
  flush(): Promise<void>;
  /** Sends what is queued for at most `withinMs`, then disconnects. Does not call `onLost`. */
  close(withinMs: number): Promise<void>;
}

/** Header fields by name. */
export type MessageHeaders = Readonly<Record<string, string>>;

/** A message as the library delivers it; its getters decode on demand. */
export interface ReceivedMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply?: string;
  /** `code` 503: the subject of the request has no responders. */
  readonly headers?: { readonly code: number; get(name: string): string };
}

/** Connects, or throws a TailraceError. `onLost` is called once, never before the promise resolves. */
export type Dial = (events: ConnectionEvents) => Promise<Connection>;

export interface ConnectionEvents {
  onLost(reason: Error): void;
  /** The server denies permission to publish to `subject`. */
  onRefusedPublish(subject: string, error: Error): void;
}
