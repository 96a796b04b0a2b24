/**
 * The port to the nodes' own network: small binary messages between the processes of one installation.
 *
 * Adapters: `memory` (one process), `nats` (core NATS; JetStream for the work queue). Subjects are NATS subjects: tokens joined by dots,
 * `*` one token, a last `>` the rest. `publish` is at most once: whoever needs more chains or acknowledges on top (the relay does).
 *
 * Failures are TailraceErrors: `unavailable` (not connected, nobody serves), `timeout`, `too_large`, `closed`.
 */
export interface Bus {
  /** Connects. `unavailable` names the address and says what to check. */
  start(): Promise<void>;
  /** Sends what is queued, then disconnects. Idempotent. */
  close(): Promise<void>;
  /**
   * At most once, in order per publisher and subject, never blocks. While disconnected, or beyond `pendingBytesMax`, the
   * message is dropped and counted in `stats().dropped`. A payload over `payloadBytesMax` throws `too_large`.
   */
  publish(subject: string, payload: Uint8Array): void;
  /** Every message on a matching subject from now on; the server knows of it when the promise resolves. With `queue`, each message goes to one member of the queue. */
  subscribe(subject: string, onMessage: (payload: Uint8Array, subject: string) => void, options?: { queue?: string }): Promise<BusSubscription>;
  /** Asks whoever serves the subject. Resolves with the parts of its answer, all of them, in order. */
  request(subject: string, payload: Uint8Array, options: { deadlineMs: number }): Promise<readonly Uint8Array[]>;
  /** Answers requests. The parts may be many, each at most `payloadBytesMax`. A thrown TailraceError reaches the asker with its code. */
  serve(subject: string, onRequest: (payload: Uint8Array, subject: string) => readonly Uint8Array[] | Promise<readonly Uint8Array[]>): Promise<BusSubscription>;
  /** Puts work where it survives restarts. Resolves when stored. The same `id` within two minutes is stored once. */
  enqueue(queue: string, subject: string, payload: Uint8Array, options: { id: string }): Promise<void>;
  /**
   * Takes work off the queue whose subject matches, one worker an item. Resolved: done and gone. Rejected, or the worker
   * lost: handed out again after `retryMs`.
   */
  work(queue: string, subject: string, onWork: (payload: Uint8Array, subject: string) => Promise<void>, options: { retryMs: number }): Promise<BusSubscription>;
  /** Told at once of the present state, then at each change. */
  onState(listener: (state: BusState) => void): void;
  stats(): BusStats;
}

export type BusState = 'connected' | 'disconnected';

export interface BusSubscription {
  /** No call comes after it resolves. Idempotent. */
  stop(): Promise<void>;
}

export interface BusStats {
  /** Bytes accepted by `publish` and not yet written, and the bound. */
  readonly pendingBytes: number;
  readonly pendingBytesMax: number;
  readonly payloadBytesMax: number;
  /** Messages that `publish` dropped since the start. */
  readonly dropped: number;
}
