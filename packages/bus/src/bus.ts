/**
 * The port to the nodes' own network: small binary messages between the processes of one installation.
 *
 * Adapters: `memory` (one process), `nats` (core NATS). Subjects are NATS subjects: tokens of printable
 * ASCII joined by dots, at most 512 bytes; in patterns `*` is one token, a last `>` the rest (at least one). `publish` is at most
 * once: whoever needs more chains or acknowledges on top (the relay does). One contract suite (`test/contract.ts`) states what every
 * adapter keeps.
 *
 * A payload given to the bus belongs to it: do not change it afterwards. A payload received may be kept, but it may be a view
 * into a larger chunk: copy what is kept for long.
 *
 * Failures are TailraceErrors: `unavailable` (not connected, nobody serves), `timeout`, `too_large`, `closed`, `forbidden` (the server
 * does not allow this user the subject), `invalid_path` and `invalid_pattern` (no subject, no pattern), `limit_reached`.
 */
export interface Bus {
  /** What carries the messages, by OpenTelemetry's name for it (`messaging.system`), for spans. Absent: this process. */
  readonly system?: string;
  /** Connects; tries each address once. `unavailable` names the addresses and says what to check, `unauthorized` likewise. After that it reconnects for ever by itself. */
  start(): Promise<void>;
  /**
   * Ends subscriptions, sends what is queued for a bounded time, then disconnects. Requests under way
   * reject with `closed`, so does (or throws) every call afterwards. Idempotent.
   */
  close(): Promise<void>;
  /**
   * At most once, in order per publisher and subject, never blocks. While disconnected, or beyond `pendingBytesMax`, the
   * message is dropped and counted in `stats().dropped`; it is never delivered late. A payload over `payloadBytesMax` throws `too_large`.
   */
  publish(subject: string, payload: Uint8Array): void;
  /**
   * Delivers every message on a matching subject from now on; the server knows of it when the promise resolves. Lasts over reconnects; made
   * during an outage, it resolves after it. What `onMessage` throws is logged and withholds nothing from other subscribers.
   * Not for subjects that are served.
   */
  subscribe(subject: string, onMessage: (payload: Uint8Array, subject: string) => void): Promise<BusSubscription>;
  /**
   * Asks whoever serves the subject. Resolves with the parts of its answer, all of them, in order. `unavailable` at once where nobody
   * serves it or the bus is disconnected, and when the connection or a part of the answer is lost meanwhile; `timeout` after `deadlineMs`.
   */
  request(subject: string, payload: Uint8Array, options: { deadlineMs: number }): Promise<readonly Uint8Array[]>;
  /**
   * Answers requests; of several servers of a subject one gets each. The parts may be many (65,536; 256 MiB in all), each at most
   * `payloadBytesMax`. A thrown TailraceError reaches the asker with its code and message, anything else as `internal`. Beyond 1,024
   * requests at a time further askers get `rate_limited`. Lasts over reconnects.
   */
  serve(
    subject: string,
    onRequest: (payload: Uint8Array, subject: string) => readonly Uint8Array[] | Promise<readonly Uint8Array[]>,
  ): Promise<BusSubscription>;
  stats(): BusStats;
}

export interface BusSubscription {
  /** No call comes after it is called. Idempotent. */
  stop(): Promise<void>;
}

export interface BusStats {
  /** Bytes accepted by `publish` and not yet known to have left this process (known within 0.1 s and a round trip), and the bound. */
  readonly pendingBytes: number;
  readonly pendingBytesMax: number;
  /** Of one message. With NATS the server's `max_payload` less 512 bytes, from `start` on. */
  readonly payloadBytesMax: number;
  /** Messages that `publish` dropped since the start. */
  readonly dropped: number;
  /** Connections made since the start: one, and one more for each that was lost. */
  readonly connections: number;
  readonly connected: boolean;
}
