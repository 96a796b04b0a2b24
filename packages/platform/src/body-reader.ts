import { TailraceError } from '@tailrace/protocol/error';
import { type Clock, systemClock, type Timer } from './clock.ts';

/**
 * Receives the outcome of reading a body, once: the whole body, or an error and an empty body. The errors are
 * `too_large`, `timeout`, `limit_reached` (retryable: the server has too many unfinished bodies), `rate_limited`
 * (retryable: the sender has), `invalid_message` (invalid framing), and `closed` (the client closed the connection, so
 * that no response reaches it). `isComplete`: the whole request was received; else its connection cannot be used again.
 */
export interface BodySink {
  settleBody(error: TailraceError | undefined, body: Buffer, isComplete: boolean): void;
}

/** The sender of bodies; all bodies of one sender share the object. */
export interface BodyOwner {
  unfinishedBytes: number;
}

export interface BodyReaderOptions {
  readonly clock?: Clock;
  /**
   * From the head of a request to the last byte of its body. Default: 10,000 ms. A slower client gets `timeout`.
   */
  readonly bodyMs?: number;
  /** Bytes of unfinished bodies held at once, over all connections. Default: 64 MB. One owner gets half of it. */
  readonly unfinishedBytesMax?: number;
  /** Whether the server is near another of its limits. Default: never. */
  readonly isNearLimit?: () => boolean;
}

const defaultBodyMs = 10_000;
const defaultUnfinishedBytesMax = 64 * 1024 * 1024;
/** Resolution of a body's deadline. */
const tickMs = 250;
/** Over how many ticks the rate of a body is measured: 1 s. */
const rateTicks = 4;
/**
 * While the server is near a limit, a body that gains less than this in `rateTicks` is terminated. A line of 32 kbit/s
 * carries it.
 */
const slowBytes = 4_096;
const firstCapacityBytes = 4_096;
const nothing = Buffer.alloc(0);

/**
 * Reads bodies of requests, bounded in bytes, time and number. The server calls `take` and `end` of the body.
 *
 * A body that is too large is read and discarded, up to twice the limit, before the error is reported. Else a client
 * that is still sending would see a broken connection instead of the response. Beyond that the response is sent at
 * once, and the connection is closed.
 *
 * **Near a limit**: when half of `unfinishedBytesMax` is used, or `isNearLimit` returns true, slow bodies are
 * terminated with `timeout` long before `bodyMs`, the slowest first. A body is slow that gained less than 4,096 bytes
 * in the last second. The body of a normal client takes less than that second.
 */
export class BodyReader {
  readonly #unfinished = new Set<IncomingBody>();
  readonly #clock: Clock;
  readonly #ticksMax: number;
  readonly #isNearLimit: () => boolean;
  readonly unfinishedBytesMax: number;
  /** For a metric; bounded by `unfinishedBytesMax`. */
  unfinishedBytes = 0;
  /** Terminated early because the server was near a limit. For a metric. */
  terminated = 0;
  /** Time in ticks: no clock is read for a body. */
  #tick = 0;
  #timer: Timer | undefined;

  constructor(options: BodyReaderOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#ticksMax = Math.ceil((options.bodyMs ?? defaultBodyMs) / tickMs);
    this.unfinishedBytesMax = options.unfinishedBytesMax ?? defaultUnfinishedBytesMax;
    this.#isNearLimit = options.isNearLimit ?? (() => false);
  }

  get unfinishedCount(): number {
    return this.#unfinished.size;
  }

  /**
   * Starts to read. `declaredBytes`: of Content-Length; 0 where it is absent. Returns undefined if the body is refused
   * before a byte of it was read; the sink has the error.
   */
  open(sink: BodySink, bytesMax: number, declaredBytes: number, owner?: BodyOwner): IncomingBody | undefined {
    if (declaredBytes > 2 * bytesMax) {
      sink.settleBody(tooLarge(`${declaredBytes} bytes`, bytesMax), nothing, false);
      return undefined;
    }
    const body = new IncomingBody(this, sink, { bytesMax, declaredBytes, owner, startTick: this.#tick });
    if (declaredBytes > bytesMax) body.error = tooLarge(`${declaredBytes} bytes`, bytesMax);
    this.#unfinished.add(body);
    this.#timer ??= this.#clock.every(tickMs, () => this.#passTick());
    return body;
  }

  /** Returns why the body may not keep that many bytes more; undefined: it may. */
  refusalOf(body: IncomingBody, bytes: number): TailraceError | undefined {
    const { owner } = body;
    if (this.unfinishedBytes + bytes > this.unfinishedBytesMax) return tooManyUnfinished(this.unfinishedBytesMax);
    if (owner !== undefined && owner.unfinishedBytes + bytes > this.unfinishedBytesMax / 2)
      return tooManyOfOwner(owner.unfinishedBytes);
    return undefined;
  }

  /** Called when the body is settled and has released its bytes. */
  remove(body: IncomingBody): void {
    this.#unfinished.delete(body);
  }

  #passTick(): void {
    this.#tick++;
    const slow: IncomingBody[] = [];
    for (const body of this.#unfinished) {
      if (this.#tick - body.startTick > this.#ticksMax) body.expire(this.#ticksMax * tickMs);
      else if (this.#tick - body.measuredTick >= rateTicks && body.measure(this.#tick) < slowBytes) slow.push(body);
    }
    if (slow.length > 0) this.#terminateSlow(slow);
    if (this.#unfinished.size === 0) this.stop();
  }

  #terminateSlow(slow: IncomingBody[]): void {
    const isNearLimit = this.#isNearLimit();
    if (!isNearLimit && this.unfinishedBytes < this.unfinishedBytesMax / 2) return;
    slow.sort((a, b) => a.gainedBytes - b.gainedBytes);
    for (const body of slow) {
      if (!isNearLimit && this.unfinishedBytes < this.unfinishedBytesMax / 2) return;
      this.terminated++;
      body.terminate();
    }
  }

  /** Stops the timer. Bodies still unfinished settle with their connections. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

/** A body that is being received. */
export class IncomingBody {
  readonly owner: BodyOwner | undefined;
  readonly startTick: number;
  /** When its rate was measured last, and the bytes that it had gained then. */
  measuredTick: number;
  gainedBytes = 0;
  /** Why it is refused; its bytes are only counted from then on. */
  error: TailraceError | undefined;
  readonly #reader: BodyReader;
  readonly #sink: BodySink;
  readonly #bytesMax: number;
  readonly #declaredBytes: number;
  #measuredBytes = 0;
  #bytes = 0;
  #isSettled = false;
  /**
   * What is kept: the first `#bytes` of it. Grows by doubling, so that a body in tiny chunks costs no more than one in
   * large ones.
   */
  #kept: Buffer = nothing;
  /** Counted in the reader and the owner. */
  #heldBytes = 0;

  constructor(
    reader: BodyReader,
    sink: BodySink,
    options: { bytesMax: number; declaredBytes: number; owner: BodyOwner | undefined; startTick: number },
  ) {
    this.#reader = reader;
    this.#sink = sink;
    this.#bytesMax = options.bytesMax;
    this.#declaredBytes = options.declaredBytes;
    this.owner = options.owner;
    this.startTick = options.startTick;
    this.measuredTick = options.startTick;
  }

  /** `isOwned`: the memory of the chunk stays valid, so that the chunk need not be copied. */
  take(chunk: Uint8Array, isOwned: boolean): void {
    if (this.#isSettled) return;
    const before = this.#bytes;
    this.#bytes += chunk.byteLength;
    if (this.error === undefined) {
      const refusal =
        this.#bytes > this.#bytesMax
          ? tooLarge('more', this.#bytesMax)
          : this.#reader.refusalOf(this, chunk.byteLength);
      if (refusal === undefined) this.#keep(chunk, before, isOwned);
      else this.#refuse(refusal);
    }
    if (this.error !== undefined && this.#bytes > 2 * this.#bytesMax) this.#settle(this.error, nothing, false);
  }

  /** Takes the last chunk and calls `end`: the usual body is one chunk, which is not buffered. */
  finish(chunk: Uint8Array): void {
    if (this.#isSettled) return;
    if (this.#bytes === 0 && this.error === undefined && chunk.byteLength <= this.#bytesMax) {
      this.#settle(undefined, Buffer.from(chunk), true);
      return;
    }
    this.take(chunk, false);
    this.end();
  }

  end(): void {
    if (this.#isSettled) return;
    if (this.error !== undefined) this.#settle(this.error, nothing, true);
    else this.#settle(undefined, this.#kept.subarray(0, this.#bytes), true);
  }

  /** The client closed the connection. */
  abort(): void {
    this.#settle(
      new TailraceError('closed', 'the client closed the connection before its request was complete'),
      nothing,
      false,
    );
  }

  /** The received bytes are no valid body. */
  fail(error: TailraceError): void {
    this.#settle(error, nothing, false);
  }

  expire(limitMs: number): void {
    this.#settle(this.error ?? tooSlow(this.#bytes, limitMs), nothing, false);
  }

  terminate(): void {
    this.#settle(this.error ?? tooSlowNow(this.gainedBytes), nothing, false);
  }

  /** Measures the rate. Returns the bytes gained since the last measurement. */
  measure(tick: number): number {
    this.gainedBytes = this.#bytes - this.#measuredBytes;
    this.#measuredBytes = this.#bytes;
    this.measuredTick = tick;
    return this.gainedBytes;
  }

  #keep(chunk: Uint8Array, at: number, isOwned: boolean): void {
    this.#hold(chunk.byteLength);
    if (isOwned && at === 0) {
      this.#kept = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      return;
    }
    if (this.#bytes > this.#kept.length) {
      // The declared length, unless it is far above what was received.
      const doubled = Math.max(firstCapacityBytes, 2 * this.#bytes);
      const isNear = this.#declaredBytes >= this.#bytes && this.#declaredBytes <= 2 * doubled;
      const capacity = Math.min(this.#bytesMax, isNear ? this.#declaredBytes : doubled);
      const larger = Buffer.allocUnsafeSlow(capacity);
      this.#kept.copy(larger, 0, 0, at);
      this.#kept = larger;
    }
    this.#kept.set(chunk, at);
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#reader.unfinishedBytes += bytes;
    if (this.owner !== undefined) this.owner.unfinishedBytes += bytes;
  }

  #refuse(error: TailraceError): void {
    this.error = error;
    this.#hold(-this.#heldBytes);
    this.#kept = nothing;
  }

  #settle(error: TailraceError | undefined, body: Buffer, isComplete: boolean): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#hold(-this.#heldBytes);
    this.#kept = nothing;
    this.#reader.remove(this);
    this.#sink.settleBody(error, body, isComplete);
  }
}

function tooLarge(size: string, bytesMax: number): TailraceError {
  return new TailraceError('too_large', `the body: expected at most ${bytesMax} bytes, got ${size}: send less at once`);
}

function tooManyUnfinished(bytesMax: number): TailraceError {
  return new TailraceError(
    'limit_reached',
    `unfinished bodies: expected at most ${bytesMax} bytes on this server, got more: try again later`,
    { retryable: true },
  );
}

function tooManyOfOwner(bytes: number): TailraceError {
  return new TailraceError(
    'rate_limited',
    `unfinished bodies of this sender: expected at most half of what the server holds, got ${bytes} bytes: send fewer at once`,
  );
}

function tooSlow(bytes: number, limitMs: number): TailraceError {
  return new TailraceError(
    'timeout',
    `the body: expected all of it within ${limitMs} ms, got ${bytes} bytes: send it faster or in smaller parts`,
  );
}

function tooSlowNow(bytes: number): TailraceError {
  return new TailraceError(
    'timeout',
    `the body: expected at least ${slowBytes} bytes a second while the server is near its limits, got ${bytes}: send it faster or in smaller parts`,
  );
}
