import { shown, TailraceError } from '@tailrace/protocol/error';

/** What every adapter holds, unless told otherwise. Counts are messages, sizes bytes, times ms. */
export const busLimits = {
  /** Of one payload; the NATS server's default of 1 MiB less the room that headers take (`headerBytesMax`). */
  payloadBytesMax: 1024 * 1024 - 512,
  /** Kept free of the server's `max_payload` for our headers. */
  headerBytesMax: 512,
  /** Accepted by `publish` and not yet out. At 10 MB/s of relay, some 6 s of a stalled network. */
  pendingBytesMax: 64 * 1024 * 1024,
  /** Of one answer: what an asker will collect and a server may send. */
  answerPartsMax: 65_536,
  answerBytesMax: 256 * 1024 * 1024,
  /** Requests of this node that wait for an answer, and requests of others that this node works on. */
  requestsMax: 10_000,
  servingMax: 1_024,
  subscriptionsMax: 10_000,
} as const;

/** Throws `too_large` for a payload over the bound. */
export function assertPayload(payload: Uint8Array, payloadBytesMax: number, subject: string): void {
  if (payload.length > payloadBytesMax) {
    throw new TailraceError(
      'too_large',
      `${payload.length} bytes to ${shown(subject)} are too many: at most ${payloadBytesMax} a message`,
    );
  }
}
