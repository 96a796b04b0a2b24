import { shown, TailraceError } from '@tailrace/protocol/error';

/** What every adapter holds, unless told otherwise. Counts are messages, sizes bytes, times ms. */
export const busLimits = {
  /** Of one payload; the NATS server's default of 1 MiB less the room that headers take (`headerBytesMax`). */
  payloadBytesMax: 1024 * 1024 - 512,
  /** Kept free of the server's `max_payload` for our headers and a message ID. */
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
  /** Of one work queue. When it is full, `enqueue` says `storage_full`: work is refused, never thrown away. */
  queueBytesMax: 64 * 1024 * 1024,
  /** Work older than this is thrown away. */
  queueAgeMs: 24 * 60 * 60 * 1000,
  /** How long the same ID is stored once. */
  queueDuplicateMs: 2 * 60 * 1000,
  /** Items one worker holds at a time, unless `work` is told otherwise. */
  workConcurrency: 16,
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

const idShape = /^[!-~]{1,128}$/;

/** Throws `invalid_message` for an ID of work that is not 1 to 128 printable characters. */
export function assertWorkId(id: string): void {
  if (!idShape.test(id)) {
    throw new TailraceError(
      'invalid_message',
      `${shown(id)} is no ID of work: it needs 1 to 128 printable ASCII characters without spaces`,
    );
  }
}

/** Throws `invalid_message` unless both numbers make sense: a pause of 1 ms to 1 h, 1 to 1,000 items at a time. */
export function assertWorkOptions(options: { retryMs: number; concurrency?: number }): void {
  const { retryMs, concurrency = 1 } = options;
  if (!(retryMs >= 1 && retryMs <= 3_600_000)) {
    throw new TailraceError('invalid_message', `retryMs is ${shown(retryMs)}: it needs 1 to 3600000 ms`);
  }
  if (!(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= 1000)) {
    throw new TailraceError(
      'invalid_message',
      `concurrency is ${shown(concurrency)}: it needs a whole number, 1 to 1000`,
    );
  }
}
