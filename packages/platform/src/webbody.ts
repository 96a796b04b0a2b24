import { TailraceError } from '@tailrace/protocol/error';
import { type Clock, systemClock, type Timer } from './clock.ts';
import type { Log } from './log.ts';
import { respond, type WebResponse, watchAbort } from './webresponse.ts';

/** What reading a body needs of a uWebSockets.js response and request; a test passes literals. */
export interface BodyResponse extends WebResponse {
  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): unknown;
}

export interface BodyRequest {
  getHeader(lowerCaseName: string): string;
}

/**
 * Called once: with the body, the caller's own copy, or with why there is none (and an empty body): `too_large`, `timeout`,
 * `limit_reached` (retryable: the server holds too many unfinished bodies), or `closed` (the client has gone; an answer goes nowhere).
 */
export type BodyCall = (error: TailraceError | undefined, body: Buffer) => void;

export interface BodyReaderOptions {
  readonly log: Log;
  readonly clock?: Clock;
  /** From the head of a request to the last byte of its body. Default: 10,000 ms. A slow client is told `timeout` and cut off. */
  readonly bodyMs?: number;
  /** Bytes of unfinished bodies held at once, over all connections. Default: 64 MB. */
  readonly unfinishedBytesMax?: number;
}

const defaultBodyMs = 10_000;
const defaultUnfinishedBytesMax = 64 * 1024 * 1024;
/** How exactly a body's time is kept. */
const tickMs = 250;
const nothing = Buffer.alloc(0);

/**
 * Reads bodies of requests, bounded in bytes, time and number. A body that comes with its head, the usual one, costs one copy.
 *
 * A body that is too large is read on and thrown away, up to as much again, before the fault is handed over: a client that is still
 * sending would otherwise see a broken connection instead of the answer. Beyond that the answer goes at once and the connection closes.
 */
export class BodyReader {
  /** In the order of their start, so that the oldest is first. */
  readonly #unfinished = new Set<BodyReading>();
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #ticksMax: number;
  readonly unfinishedBytesMax: number;
  /** For a metric; bounded by `unfinishedBytesMax`. */
  unfinishedBytes = 0;
  /** Time in ticks: no clock is read for a body. */
  #tick = 0;
  #timer: Timer | undefined;

  constructor(options: BodyReaderOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log;
    this.#ticksMax = Math.ceil((options.bodyMs ?? defaultBodyMs) / tickMs);
    this.unfinishedBytesMax = options.unfinishedBytesMax ?? defaultUnfinishedBytesMax;
  }

  get unfinishedCount(): number {
    return this.#unfinished.size;
  }

  /** To be called in the handler itself, before it returns: the request is gone afterwards, and the body begins to come. */
  read(res: BodyResponse, req: BodyRequest, bytesMax: number, done: BodyCall): void {
    const reading = new BodyReading(bytesMax, this.#tick, res, done);
    watchAbort(res, () =>
      this.#settle(reading, new TailraceError('closed', 'the client went away before its request was complete')),
    );
    // Absent or chunked: 0, and the bytes are counted as they come.
    const declared = Number(req.getHeader('content-length'));
    if (declared > bytesMax) {
      reading.fault = tooLarge(`${declared} bytes`, bytesMax);
      if (declared > 2 * bytesMax) {
        this.#settle(reading, reading.fault);
        return;
      }
    }
    this.#unfinished.add(reading);
    this.#timer ??= this.#clock.every(tickMs, () => this.#passTick());
    res.onData((chunk, isLast) => this.#take(reading, chunk, isLast));
  }

  #take(reading: BodyReading, chunk: ArrayBuffer, isLast: boolean): void {
    if (reading.settled) return;
    reading.bytes += chunk.byteLength;
    if (!reading.fault && reading.bytes > reading.bytesMax) this.#refuse(reading, tooLarge('more', reading.bytesMax));
    if (reading.fault) {
      if (isLast || reading.bytes > 2 * reading.bytesMax) this.#settle(reading, reading.fault, isLast);
    } else if (isLast) {
      this.#settle(reading, undefined, true, reading.body(chunk));
    } else if (this.unfinishedBytes + chunk.byteLength > this.unfinishedBytesMax) {
      this.#refuse(reading, tooManyUnfinished(this.unfinishedBytesMax));
    } else {
      this.unfinishedBytes += chunk.byteLength;
      reading.keep(chunk);
    }
  }

  /** From here on its bytes are counted and thrown away. */
  #refuse(reading: BodyReading, fault: TailraceError): void {
    reading.fault = fault;
    this.unfinishedBytes -= reading.drop();
  }

  #settle(reading: BodyReading, error: TailraceError | undefined, complete = false, body: Buffer = nothing): void {
    if (reading.settled) return;
    reading.settled = true;
    this.#unfinished.delete(reading);
    this.unfinishedBytes -= reading.drop();
    reading.res.bodyUnread = !complete;
    try {
      reading.done(error, body);
    } catch (thrown) {
      // One request has hit a fault of ours; the others must not suffer for it.
      this.#log.error({ error: thrown }, 'a request could not be handled');
      respond(reading.res, 500, [], 'internal error; see the server log\n');
    }
  }

  #passTick(): void {
    this.#tick++;
    for (const reading of this.#unfinished) {
      if (this.#tick - reading.startTick <= this.#ticksMax) break;
      this.#settle(reading, reading.fault ?? tooSlow(reading, this.#ticksMax * tickMs));
    }
    if (this.#unfinished.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Ends the timer. Bodies still unfinished end with their connections. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

class BodyReading {
  readonly bytesMax: number;
  readonly startTick: number;
  readonly res: BodyResponse;
  readonly done: BodyCall;
  bytes = 0;
  fault: TailraceError | undefined;
  settled = false;
  #chunks: Buffer[] = [];
  #keptBytes = 0;

  constructor(bytesMax: number, startTick: number, res: BodyResponse, done: BodyCall) {
    this.bytesMax = bytesMax;
    this.startTick = startTick;
    this.res = res;
    this.done = done;
  }

  /** Copies: uWebSockets.js takes the memory back when the handler returns. */
  keep(chunk: ArrayBuffer): void {
    this.#chunks.push(Buffer.from(new Uint8Array(chunk)));
    this.#keptBytes += chunk.byteLength;
  }

  /** The whole body, copied out of the last chunk. */
  body(last: ArrayBuffer): Buffer {
    const lastBytes = new Uint8Array(last);
    return this.#chunks.length === 0 ? Buffer.from(lastBytes) : Buffer.concat([...this.#chunks, lastBytes], this.bytes);
  }

  /** Lets go of what was kept; how many bytes that were. */
  drop(): number {
    const dropped = this.#keptBytes;
    this.#chunks = [];
    this.#keptBytes = 0;
    return dropped;
  }
}

function tooLarge(size: string, bytesMax: number): TailraceError {
  return new TailraceError('too_large', `the body has ${size}; at most ${bytesMax} bytes are taken: send less at once`);
}

function tooManyUnfinished(bytesMax: number): TailraceError {
  return new TailraceError(
    'limit_reached',
    `the server holds ${bytesMax} bytes of unfinished bodies, its limit: try again later`,
    { retryable: true },
  );
}

function tooSlow(reading: BodyReading, limitMs: number): TailraceError {
  return new TailraceError(
    'timeout',
    `only ${reading.bytes} bytes of the body came within ${limitMs} ms: send it faster or in smaller parts`,
  );
}
