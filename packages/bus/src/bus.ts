/**
 * The port to the nodes' own network: small binary messages between the processes of one installation.
 *
 * Adapters: `memory` (one process) and `nats` (core NATS). Subjects are NATS subjects: tokens of printable ASCII joined
 * by dots, at most 512 bytes. In patterns `*` matches one token, and a last `>` one or more. Delivery is at most once:
 * a user that needs more detects gaps or acknowledges on top, as the relay does. One contract suite
 * (`test/contract.ts`) tests every adapter.
 *
 * A payload passed to the bus belongs to it: do not change it afterwards. A received payload may be kept, but it may be
 * a view into a larger chunk: copy what is kept for long.
 *
 * Errors are TailraceErrors: `unavailable` (not connected, no responders), `timeout`, `too_large`, `closed`,
 * `forbidden` (the server does not allow this user the subject), `invalid_path` and `invalid_pattern` (not a subject,
 * not a pattern), `limit_reached`.
 */
export interface Bus {
  /** OpenTelemetry's name of the messaging system (`messaging.system`), for spans. Absent: this process. */
  readonly system?: string;
  /**
   * Connects; tries each address once. Rejects with `unavailable` or `unauthorized`, with the addresses and what to
   * check. Once connected, it reconnects by itself without limit.
   */
  start(): Promise<void>;
  /**
   * Stops subscriptions, sends what is queued for a bounded time, then disconnects. Pending requests reject with
   * `closed`; every later call rejects or throws `closed`. Idempotent.
   */
  close(): Promise<void>;
  /**
   * Publishes at most once, in order per publisher and subject; never blocks. While disconnected, or beyond
   * `pendingBytesMax`, the message is dropped and counted in `stats().dropped`; it is never delivered late. Throws
   * `too_large` for a payload over `payloadBytesMax`.
   */
  publish(subject: string, payload: Uint8Array): void;
  /**
   * Delivers every message on a matching subject from now on. Resolves when the server has the subscription; during an
   * outage, after it. Continues over reconnects. What `onMessage` throws is logged and does not affect other
   * subscribers. Not for subjects that are served.
   */
  subscribe(subject: string, onMessage: (payload: Uint8Array, subject: string) => void): Promise<BusSubscription>;
  /**
   * Sends a request to a responder of the subject. Resolves with all parts of its reply, in order. Rejects with
   * `unavailable` at once if the subject has no responders or the bus is disconnected, and if the connection or a part
   * of the reply is lost meanwhile; with `timeout` after `deadlineMs`.
   */
  request(subject: string, payload: Uint8Array, options: { deadlineMs: number }): Promise<readonly Uint8Array[]>;
  /**
   * Replies to requests; each goes to one of the responders of the subject. A reply has at most 65,536 parts and 256
   * MiB, and each part at most `payloadBytesMax` bytes. A thrown TailraceError reaches the requester with its code and
   * message, anything else as `internal`. Beyond 1,024 requests in progress, requesters get `rate_limited`. Continues
   * over reconnects.
   */
  serve(
    subject: string,
    onRequest: (payload: Uint8Array, subject: string) => readonly Uint8Array[] | Promise<readonly Uint8Array[]>,
  ): Promise<BusSubscription>;
  stats(): BusStats;
}

export interface BusSubscription {
  /** Unsubscribes; the callback is not called again. Idempotent. */
  stop(): Promise<void>;
}

export interface BusStats {
  /** Bytes published and not yet confirmed as sent, which takes 0.1 s and a round trip, and their limit. */
  readonly pendingBytes: number;
  readonly pendingBytesMax: number;
  /** Maximum of one message. With NATS the server's `max_payload` less 512 bytes, from `start` on. */
  readonly payloadBytesMax: number;
  /** Messages that `publish` has dropped so far. */
  readonly dropped: number;
  /** Connections made so far: the first, and one more for each that was lost. */
  readonly connections: number;
  readonly connected: boolean;
}
