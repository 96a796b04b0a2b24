import { shown, TailraceError } from '@tailrace/protocol/error';

/** Limits of every adapter, where its options do not set others. Counts are messages, sizes bytes, times ms. */
export const busLimits = {
  /** Of one payload: the NATS server's default `max_payload` of 1 MiB less `headerBytesMax`. */
  payloadBytesMax: 1024 * 1024 - 512,
  /** Reserved in the server's `max_payload` for headers. */
  headerBytesMax: 512,
  /** Published and not yet sent. At 10 MB/s of relay, some 6 s of a stalled network. */
  pendingBytesMax: 64 * 1024 * 1024,
  /** Of one reply: what a requester collects and a responder may send. */
  partsPerReplyMax: 65_536,
  bytesPerReplyMax: 256 * 1024 * 1024,
  /** Pending requests of this node, and requests of others in progress on this node. */
  requestsMax: 10_000,
  servingMax: 1_024,
  subscriptionsMax: 10_000,
} as const;

/** Throws `too_large` for a payload over the limit. */
export function assertPayload(payload: Uint8Array, payloadBytesMax: number, subject: string): void {
  if (payload.length > payloadBytesMax) {
    throw new TailraceError(
      'too_large',
      `message to ${shown(subject)}: expected at most ${payloadBytesMax} bytes, got ${payload.length} bytes`,
    );
  }
}
