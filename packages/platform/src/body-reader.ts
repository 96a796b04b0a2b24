import { TailraceError } from '@tailrace/protocol/error';
import { type Clock, systemClock, type Timer } from './clock.ts';

/**
 * Receives the outcome of reading a body, once: the whole body, or the error and an empty body: `too_large`, `timeout`,
 * `limit_reached` (retryable: the server holds too many unfinished bodies), `rate_limited` (retryable: their sender
 * does), `invalid_message` (broken framing), or `closed` (the client closed the connection, so that no answer reaches
 * it). `isComplete`: everything that the client sends of the request was received; else its connection cannot be used
 * again.
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
   * From the head of a request to the last byte of its body. Default: 10,000 ms. A slower client receives `timeout`.
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
 * Reads bodies of requests, bounded in bytes, time and number. Whatever server the bytes come from calls `take` and
 * `end` of the body.
 *
 * A body that is too large is read on and thrown away, up to as much again, before the error is handed over: a client
 * that is still sending would otherwise see a broken connection instead of the answer. Beyond that the answer goes at
 * once and the connection closes.
 *
 * **Near a limit**: when half of `unfinishedBytesMax` is held, or `isNearLimit` says so, the slowest bodies are
 * terminated first, with `timeout`, and long before `bodyMs`: those that gained less than 4,096 bytes in the last
 * second. An honest body arrives in less.
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
   * Begins to read. `declaredBytes`: of Content-Length; 0 where it is absent. Undefined: the body is refused before a
   * byte of it was read, and the sink has the error.
   */
  open(sink: BodySink, bytesMax: number, declaredBytes: number, owner?: BodyOwner): IncomingBody | undefined {
    if (declaredBytes > 2 * bytesMax) {
      sink.settleBody(tooLarge(`${declaredBytes} bytes`, bytesMax), nothing, false);
      return undefined;
    }
    const body = new IncomingBody(this, sink, { bytesMax, declaredBytes, owner, startTick: this.#tick });
    if (declaredBytes > bytesMax) body.fault = tooLarge(`${declaredBytes} bytes`, bytesMax);
    this.#unfinished.add(body);
    this.#timer ??= this.#clock.every(tickMs, () => this.#passTick());
    return body;
  }

  /** Whether the body may keep so many bytes more; why not. */
  refusalOf(body: IncomingBody, bytes: number): TailraceError | undefined {
    const { owner } = body;
    if (this.unfinishedBytes + bytes > this.unfinishedBytesMax) return tooManyUnfinished(this.unfinishedBytesMax);
    if (owner !== undefined && owner.unfinishedBytes + bytes > this.unfinishedBytesMax / 2)
      return tooManyOfOwner(owner.unfinishedBytes);
    return undefined;
  }

  /** The body is settled, and holds nothing any more. */
  remove(body: IncomingBody): void {
    this.#unfinished.delete(body);
  }

  #passTick(): void {
    this.#tick++;
    const slow: IncomingBody[] = [];
    for (const body of this.#unfinished) {
      if (this.#tick - body.startTick > this.#ticksMax) body.expire(this.#ticksMax * tickMs);
      else if (this.#tick - body.markTick >= rateTicks && body.mark(this.#tick) < slowBytes) slow.push(body);
    }
    if (slow.length > 0) this.#terminateSlow(slow);
    if (this.#unfinished.size === 0) this.stop();
  }

  #terminateSlow(slow: IncomingBody[]): void {
    const isCrowded = this.#isNearLimit();
    if (!isCrowded && this.unfinishedBytes < this.unfinishedBytesMax / 2) return;
    slow.sort((a, b) => a.gainedBytes - b.gainedBytes);
    for (const body of slow) {
      if (!isCrowded && this.unfinishedBytes < this.unfinishedBytesMax / 2) return;
      this.terminated++;
      body.terminate();
    }
  }

  /** Ends the timer. Bodies still unfinished end with their connections. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

/** A body that is still coming. */
export class IncomingBody {
  readonly owner: BodyOwner | undefined;
  readonly startTick: number;
  /** When its rate was measured last, and what it had gained since the time before. */
  markTick: number;
  gainedBytes = 0;
  /** Why it is refused; its bytes are counted and thrown away from then on. */
  fault: TailraceError | undefined;
  readonly #reader: BodyReader;
  readonly #sink: BodySink;
  readonly #bytesMax: number;
  readonly #declaredBytes: number;
  #markBytes = 0;
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
    this.markTick = options.startTick;
  }

  /** `isOurs`: the memory of the chunk stays as it is, so that the chunk need not be copied. */
  take(chunk: Uint8Array, isOurs: boolean): void {
    if (this.#isSettled) return;
    const before = this.#bytes;
    this.#bytes += chunk.byteLength;
    if (this.fault === undefined) {
      const refusal =
        this.#bytes > this.#bytesMax
          ? tooLarge('more', this.#bytesMax)
          : this.#reader.refusalOf(this, chunk.byteLength);
      if (refusal === undefined) this.#keep(chunk, before, isOurs);
      else this.#refuse(refusal);
    }
    if (this.fault !== undefined && this.#bytes > 2 * this.#bytesMax) this.#settle(this.fault, nothing, false);
  }

  /** The last chunk and the end together: the usual body is one chunk, and is held nowhere. */
  finish(chunk: Uint8Array): void {
    if (this.#isSettled) return;
    if (this.#bytes === 0 && this.fault === undefined && chunk.byteLength <= this.#bytesMax) {
      this.#settle(undefined, Buffer.from(chunk), true);
      return;
    }
    this.take(chunk, false);
    this.end();
  }

  end(): void {
    if (this.#isSettled) return;
    if (this.fault !== undefined) this.#settle(this.fault, nothing, true);
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

  /** What comes cannot be read as a body. */
  fail(error: TailraceError): void {
    this.#settle(error, nothing, false);
  }

  expire(limitMs: number): void {
    this.#settle(this.fault ?? tooSlow(this.#bytes, limitMs), nothing, false);
  }

  terminate(): void {
    this.#settle(this.fault ?? tooSlowNow(this.gainedBytes), nothing, false);
  }

  /** Measures the rate. Returns the bytes gained since the last time. */
  mark(tick: number): number {
    this.gainedBytes = this.#bytes - this.#markBytes;
    this.#markBytes = this.#bytes;
    this.markTick = tick;
    return this.gainedBytes;
  }

  #keep(chunk: Uint8Array, at: number, isOurs: boolean): void {
    this.#hold(chunk.byteLength);
    if (isOurs && at === 0) {
      this.#kept = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      return;
    }
    if (this.#bytes > this.#kept.length) {
      // As long as declared, where that is not far more than came.
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

  #refuse(fault: TailraceError): void {
    this.fault = fault;
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
