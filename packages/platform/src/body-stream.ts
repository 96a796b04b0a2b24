import { TailraceError } from '@tailrace/protocol/error';
import type { Clock, Timer } from './clock.ts';

/** Receives a body as it arrives. */
export interface StreamSink {
  /** Bytes of the body, in order; a few may follow a `pause`. Their memory stays valid. */
  streamData(bytes: Buffer): void;
  /**
   * Called once, when the body is complete, or with an error: `timeout` (the client is too slow), `invalid_message`
   * (invalid framing), or `closed` (the client closed the connection).
   */
  streamEnd(error: TailraceError | undefined): void;
}

/** What delivers the bytes: a request of Node.js. */
export interface StreamSource {
  pause(): unknown;
  resume(): unknown;
}

export interface BodyStreamOptions {
  readonly source: StreamSource;
  readonly sink: StreamSink;
  readonly clock: Pick<Clock, 'every' | 'monotonic'>;
  /** Count the bytes that wait to be processed: those of all bodies (`BodyReader`), and of one sender (`BodyOwner`). */
  readonly counts: readonly { unfinishedBytes: number }[];
}

const checkMs = 1_000;
/** The rate of a client is measured over this time, without pauses. */
const rateWindowMs = 10_000;
/** A line of 32 kbit/s carries it. */
const bytesPerSecondMin = 4_096;

/**
 * A body that is processed while it is received, however long that takes. It has no deadline, but a client that sends
 * less than 4 KiB a second, measured over 10 s, gets `timeout`. Time in which the server has paused the client does not
 * count.
 */
export class BodyStream {
  readonly #options: BodyStreamOptions;
  readonly #timer: Timer;
  #isSettled = false;
  #waitingBytes = 0;
  /** Monotonic; undefined: not paused. */
  #pausedSinceMs: number | undefined;
  /** Without the current pause. */
  #earlierPausesMs = 0;
  /** Start of the window in which the rate is measured, the pauses before it, and the bytes in it. */
  #windowMs: number;
  #windowPausesMs = 0;
  #windowBytes = 0;

  constructor(options: BodyStreamOptions) {
    this.#options = options;
    this.#windowMs = options.clock.monotonic();
    this.#timer = options.clock.every(checkMs, () => this.#check());
  }

  /** How long the client was paused. */
  get pausedMs(): number {
    const since = this.#pausedSinceMs;
    return this.#earlierPausesMs + (since === undefined ? 0 : this.#options.clock.monotonic() - since);
  }

  /** Receives no further bytes, until `resume`. Idempotent. */
  pause(): void {
    if (this.#isSettled || this.#pausedSinceMs !== undefined) return;
    this.#pausedSinceMs = this.#options.clock.monotonic();
    this.#options.source.pause();
  }

  resume(): void {
    if (this.#isSettled || this.#pausedSinceMs === undefined) return;
    this.#earlierPausesMs = this.pausedMs;
    this.#pausedSinceMs = undefined;
    this.#options.source.resume();
  }

  /** Counts bytes that were received and are not processed yet. */
  setWaiting(bytes: number): void {
    for (const count of this.#options.counts) count.unfinishedBytes += bytes - this.#waitingBytes;
    this.#waitingBytes = bytes;
  }

  /** Discards what else is received. `streamEnd` is not called. */
  stop(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#timer.cancel();
    // The client may be reading its response only when it has sent more.
    this.#options.source.resume();
  }

  take(chunk: Buffer): void {
    if (this.#isSettled) return;
    this.#windowBytes += chunk.byteLength;
    this.#options.sink.streamData(chunk);
  }

  /** The body is complete. */
  end(): void {
    this.#settle(undefined);
  }

  /** The client closed the connection. */
  abort(): void {
    const message = 'the client closed the connection before its request was complete';
    this.#settle(new TailraceError('closed', message));
  }

  /** The received bytes are no valid body. */
  fail(error: TailraceError): void {
    this.#settle(error);
  }

  #check(): void {
    const nowMs = this.#options.clock.monotonic();
    const { pausedMs } = this;
    const readMs = nowMs - this.#windowMs - (pausedMs - this.#windowPausesMs);
    if (readMs < rateWindowMs) return;
    const bytesMin = (bytesPerSecondMin * readMs) / 1_000;
    if (this.#windowBytes < bytesMin) this.#settle(tooSlow(this.#windowBytes, Math.round(readMs / 1_000)));
    this.#windowMs = nowMs;
    this.#windowPausesMs = pausedMs;
    this.#windowBytes = 0;
  }

  #settle(error: TailraceError | undefined): void {
    if (this.#isSettled) return;
    this.stop();
    this.#options.sink.streamEnd(error);
  }
}

function tooSlow(bytes: number, seconds: number): TailraceError {
  return new TailraceError(
    'timeout',
    `the body: expected at least ${bytesPerSecondMin} bytes a second, got ${bytes} in ${seconds} s: send it faster, or in requests with a length`,
  );
}
