/**
 * One connection to a NATS server, as small as the bus needs it. `nats.ts` makes it from the client library; everything else in this
 * package knows only this. A wire is up from the moment it is made until it calls `onLost` once, and never comes back: the
 * link (link.ts) makes the next one.
 */
export interface Wire {
  /** Host and port, for messages. */
  readonly address: string;
  /** The server's `max_payload` less the room for headers. */
  readonly payloadBytesMax: number;
  /** A prefix of subjects that only this wire listens to; ends in a dot. */
  readonly inbox: string;
  /** Hands the message to the library, in order. On a wire that is lost it does nothing. */
  publish(subject: string, payload: Uint8Array, reply?: string, headers?: WireHeaders): void;
  /** Takes effect at the server with the next `flush`. Returns what ends it. `onRefused`: the server does not allow it. */
  subscribe(
    subject: string,
    queue: string | undefined,
    onMessage: (message: WireMessage) => void,
    onRefused: (error: Error) => void,
  ): () => void;
  /** A round trip: what was sent before has arrived. Rejects when the wire is lost. */
  flush(): Promise<void>;
  /** Sends what is queued for at most `withinMs`, then disconnects. Does not call `onLost`. */
  close(withinMs: number): Promise<void>;
}

/** Read-only header fields by name. The library's own class fits. */
export type WireHeaders = Readonly<Record<string, string>>;

/** A message as the library hands it over; its getters decode on demand. */
export interface WireMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply?: string;
  /** `code` 503: nobody listens to the subject of a request. */
  readonly headers?: { readonly code: number; get(name: string): string };
}

/** Makes a wire or throws a TailraceError. `onLost` comes once, never before the promise resolves. */
export type Dial = (events: WireEvents) => Promise<Wire>;

export interface WireEvents {
  onLost(reason: Error): void;
  /** A permission the server denies: `subject` where it was a publish to it. */
  onRefusedPublish(subject: string, error: Error): void;
}
