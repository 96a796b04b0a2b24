import type { BodyStream, StreamSink } from '@tailrace/platform/body-stream';
import type { Clock, Timer } from '@tailrace/platform/clock';
import type { CredentialVerifier, Presented } from '@tailrace/platform/credentials';
import type { Logger } from '@tailrace/platform/logger';
import type { Headers } from '@tailrace/platform/web-response';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Admission, DeviceNames, Sender, TokenGrant } from './admission.ts';
import type { StreamPlace, StreamResult } from './answers.ts';
import type { Appender } from './append.ts';
import { type Encoding, Unpacker, type UnpackerTarget } from './body-encoding.ts';
import type { BodyScheduler } from './body-scheduler.ts';
import type { IngestSettings } from './config.ts';
import type { ExceededRate, ReportRates } from './intake/report-rates.ts';
import { lineBytesMax, NdjsonLines } from './ndjson-lines.ts';
import type { RequestObservation } from './observer.ts';
import { ParsedBody, parseLine, reasonsMax, stepBytesMax, stepReportsMax } from './reports.ts';
import { Chunk, StreamChunks } from './stream-chunks.ts';
import type { HttpExchange } from './transport.ts';

/** What all streams share. */
export interface NdjsonStreamContext {
  readonly verifier: Pick<CredentialVerifier, 'cached' | 'verify'>;
  readonly admission: Admission;
  readonly devices: DeviceNames;
  readonly appender: Appender;
  readonly bodies: BodyScheduler;
  /** Of the reports of devices; undefined: not limited. */
  readonly rates: Pick<ReportRates, 'take'> | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: Pick<IngestSettings, 'streamBytesMax' | 'clockAheadMs' | 'appendDeadlineMs'>;
}

export interface NdjsonStreamRequest {
  readonly http: HttpExchange;
  readonly observation: RequestObservation;
  readonly sender: Sender;
  readonly grant: TokenGrant;
  readonly presented: Presented;
  readonly encoding: Encoding;
  /** Of an answer with lines of the progress; undefined: the answer is sent at the end. */
  readonly progressHeaders: Headers | undefined;
}

/** Most chunks from the first one that the log has not confirmed. Beyond it the client is paused. */
const chunksMax = 4;
/** Unpacked bytes that wait; beyond it the client is paused. Above the longest line, which waits until it is whole. */
const waitingBytesMax = lineBytesMax + 131_072;
const progressMs = 1_000;
/** How often a chunk asks for capacity of the process again. */
const capacityMs = 100;
/** What a blank line counts in a step. */
const lineBytesMin = 16;

/**
 * - `receiving`: lines are parsed and appended while they arrive.
 * - `settling`: nothing more is appended; the log settles the chunks that were. Entered at the end of the body, and at
 *   the first error.
 * - `settled`: `done` was called.
 */
type State = 'receiving' | 'settling' | 'settled';

/**
 * A body of NDJSON that is processed while it is received, in bounded memory: a few hundred KB of text, and four chunks
 * that the log has not confirmed. When one of the two is full the client is paused, by TCP. It is also paused while a
 * device is beyond its rate: so one that sends for a whole day at once is slowed down to its rate. A stream whose next
 * chunk would wait for longer than the log may take fails with `rate_limited`, so that it does not hold its place.
 *
 * Bytes take this way: `streamData` unpacks them, `#take` adds them to the lines, `#parse` makes reports of the lines
 * in steps that alternate with those of other senders, `#append` appends a chunk of reports, `#settle` counts it.
 *
 * A chunk is appended when it is full. When no further line has arrived, it is appended as soon as no other chunk waits
 * for the log, so that a slow sender does not wait and a fast one has large chunks.
 */
export class NdjsonStream implements StreamSink, UnpackerTarget {
  /** Whether the answer was started. */
  hasHead = false;
  /** The rate that the stream has failed by; undefined: it has not. */
  exceeded: ExceededRate | undefined;
  readonly #context: NdjsonStreamContext;
  readonly #request: NdjsonStreamRequest;
  readonly #done: (error: TailraceError | undefined) => void;
  readonly #startMs: number;
  readonly #lines = new NdjsonLines();
  readonly #unpacker: Unpacker | undefined;
  #state: State = 'receiving';
  #error: TailraceError | undefined;
  #body: BodyStream | undefined;
  #receivedBytes = 0;
  #unpackedBytes = 0;
  #isReceived = false;
  #isUnpacked = false;
  readonly #chunks = new StreamChunks();
  /** The chunk that is not complete; undefined: no line after the last complete one is parsed. */
  #chunk: Chunk | undefined;
  /** The first of the last lines that were all rejected. */
  #rejectedFrom: StreamPlace | undefined;
  /** Chunks that the log has not settled. */
  #appended = 0;
  #isScheduled = false;
  /** The verification of the credential in progress, and whether it has succeeded since the last chunk. */
  #isVerifying = false;
  #isVerified = false;
  /** Since when a chunk waits for capacity, monotonic. */
  #noCapacitySinceMs: number | undefined;
  #capacityTimer: Timer | undefined;
  #progressTimer: Timer | undefined;

  /** `done` is called once, when the log has settled all that was appended. */
  constructor(
    context: NdjsonStreamContext,
    request: NdjsonStreamRequest,
    done: (error: TailraceError | undefined) => void,
  ) {
    this.#context = context;
    this.#request = request;
    this.#done = done;
    this.#startMs = context.clock.monotonic();
    if (request.encoding === 'identity') this.#isUnpacked = true;
    else this.#unpacker = new Unpacker(request.encoding, this);
  }

  get result(): StreamResult {
    return this.#chunks;
  }

  get unpackedBytes(): number {
    return this.#unpackedBytes;
  }

  /** Starts to receive the body. */
  start(): void {
    const { http, sender, progressHeaders } = this.#request;
    this.#body = http.streamBody(this, sender);
    if (this.#body === undefined) {
      this.#fail(new TailraceError('closed', 'the client closed the connection'));
      return;
    }
    // After `streamBody`, which may send `100 Continue`.
    if (progressHeaders === undefined || !http.answerHead(200, progressHeaders)) return;
    this.hasHead = true;
    this.#progressTimer = this.#context.clock.every(progressMs, () => this.#sendProgress());
  }

  /** Accepts no further lines: the server is shutting down. */
  drain(): void {
    const message = 'this server is shutting down; reconnect and send the rest';
    this.#fail(new TailraceError('closed', message, { retryable: true }));
  }

  streamData(bytes: Buffer): void {
    if (this.#state !== 'receiving') return;
    this.#receivedBytes += bytes.length;
    if (this.#unpacker === undefined) this.#take(bytes);
    else if (this.#receivedBytes > this.#context.limits.streamBytesMax) this.#fail(this.#tooLarge());
    else {
      this.#unpacker.write(bytes);
      this.#control();
    }
  }

  streamEnd(error: TailraceError | undefined): void {
    if (error !== undefined) {
      this.#fail(error);
      return;
    }
    this.#isReceived = true;
    if (this.#isUnpacked) this.#complete();
    else this.#unpacker?.end();
  }

  unpacked(bytes: Buffer): void {
    this.#guard(() => this.#take(bytes));
  }

  unpackedAll(): void {
    this.#isUnpacked = true;
    if (this.#isReceived) this.#complete();
    else this.#control();
  }

  unpackFailed(error: TailraceError): void {
    // Before an error is found, the unpacker returns text that the client did not send.
    if (this.#rejectedFrom !== undefined) this.#chunks.repeatFrom(this.#rejectedFrom);
    this.#fail(error);
  }

  unpackerDrained(): void {
    this.#control();
  }

  #take(bytes: Buffer): void {
    if (this.#state !== 'receiving') return;
    this.#unpackedBytes += bytes.length;
    if (this.#unpackedBytes > this.#context.limits.streamBytesMax) {
      this.#fail(this.#tooLarge());
      return;
    }
    this.#lines.add(bytes);
    this.#control();
    this.#schedule();
  }

  #complete(): void {
    this.#lines.end();
    this.#schedule();
  }

  /** Pauses and resumes the client, by what waits. */
  #control(): void {
    if (this.#state !== 'receiving') return;
    const { waitingBytes } = this.#lines;
    const isFull = waitingBytes >= waitingBytesMax;
    this.#body?.setWaiting(waitingBytes);
    if (isFull) this.#unpacker?.pause();
    else this.#unpacker?.resume();
    if (isFull || this.#unpacker?.isFull) this.#body?.pause();
    else this.#body?.resume();
  }

  /** Schedules the next step, beside those of other senders. */
  #schedule(): void {
    if (this.#isScheduled || this.#state !== 'receiving') return;
    this.#isScheduled = true;
    this.#context.bodies.add(this.#request.sender, () => {
      let isLast = true;
      this.#guard(() => {
        isLast = this.#request.observation.run(() => this.#parse());
      });
      this.#isScheduled = !isLast;
      // Last: bytes that arrive at once need another step.
      this.#control();
      return isLast;
    });
  }

  /** Parses one step. Returns whether there is nothing to do before the next call of `#schedule`. */
  #parse(): boolean {
    const { stackTraceLimit } = Error;
    try {
      if (this.#chunks.rejectedCount >= reasonsMax) Error.stackTraceLimit = 0;
      return this.#parseLines();
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  }

  #parseLines(): boolean {
    const lines = this.#lines;
    for (let bytes = 0, reports = 0; bytes < stepBytesMax && reports < stepReportsMax; ) {
      if (this.#state !== 'receiving') return true;
      if (this.#chunk?.isFull && !this.#append(this.#chunk)) return true;
      const { offset } = lines;
      const line = lines.next();
      if (line === undefined) {
        this.#parsedAll();
        return true;
      }
      this.#chunk ??= this.#newChunk();
      const chunk = this.#chunk;
      const { parsed } = chunk;
      const earlier = parsed.reports;
      const accepted = parsed.records.length;
      parsed.line = lines.line;
      if (line === 'too_long') parsed.reject(tooLong());
      else parseLine(parsed, line);
      reports += parsed.reports - earlier;
      if (parsed.records.length > accepted) this.#rejectedFrom = undefined;
      else this.#rejectedFrom ??= { line: lines.line, byte: offset };
      const lineBytes = line === 'too_long' ? 0 : lines.offset - offset;
      chunk.bytes += lineBytes;
      bytes += Math.max(lineBytesMin, lineBytes);
    }
    return false;
  }

  /** All lines that have arrived are parsed. */
  #parsedAll(): void {
    const isComplete = this.#isReceived && this.#isUnpacked;
    const chunk = this.#chunk;
    if (chunk !== undefined && (isComplete || this.#appended === 0) && !this.#append(chunk)) return;
    if (isComplete) this.#settleAll(undefined);
  }

  /** Appends the chunk, and starts the next one. Returns false if that is not possible yet. */
  #append(chunk: Chunk): boolean {
    if (this.#chunks.waiting >= chunksMax || !this.#mayAppend()) return false;
    const { admission, appender } = this.#context;
    const { sender, observation } = this.#request;
    const { parsed, bytes } = chunk;
    const { records } = parsed;
    if (records.length > 0 && !(this.#takeRates(chunk) && this.#hold(bytes))) return false;
    this.#chunks.add(chunk, { line: this.#lines.line + 1, byte: this.#lines.offset });
    this.#chunk = undefined;
    observation.parsed(parsed);
    if (parsed.internalError !== undefined)
      this.#context.logger.error({ error: parsed.internalError }, 'a report could not be handled');
    if (records.length === 0) return true;
    this.#appended++;
    appender
      .append(sender, records, observation.append(records.length), () => admission.release(sender, bytes))
      .then(
        () => this.#settle(chunk, undefined),
        (error: unknown) => this.#settle(chunk, tailraceErrorFrom(error)),
      );
    return true;
  }

  #newChunk(): Chunk {
    const { clock, devices, limits } = this.#context;
    const options = {
      grant: this.#request.grant,
      receivedMs: clock.now(),
      clockAheadMs: limits.clockAheadMs,
      reportsMax: Number.POSITIVE_INFINITY,
      devices,
    };
    const { reports, rejectedCount: rejected } = this.#chunks;
    return new Chunk(new ParsedBody(options, { reports, rejected }));
  }

  /** Whether the credential is valid now: it may expire or be revoked in the middle of a body. */
  #mayAppend(): boolean {
    const { verifier } = this.#context;
    if (this.#isVerified || verifier.cached(this.#request.presented) !== undefined) {
      this.#isVerified = false;
      return true;
    }
    if (this.#isVerifying) return false;
    this.#isVerifying = true;
    verifier.verify(this.#request.presented).then(
      () => {
        this.#isVerifying = false;
        this.#isVerified = true;
        this.#schedule();
      },
      (error: unknown) => this.#fail(error),
    );
    return false;
  }

  /** Takes the reports of a chunk from the rates of their devices, once. Waits for them, or throws `rate_limited`. */
  #takeRates(chunk: Chunk): boolean {
    const { rates, clock, limits } = this.#context;
    if (chunk.isRated) return true;
    const exceeded = rates?.take(chunk.parsed.records, clock.monotonic());
    chunk.isRated = exceeded === undefined;
    if (exceeded === undefined) return true;
    const { error, waitMs } = exceeded;
    if (waitMs > limits.appendDeadlineMs) {
      this.exceeded = exceeded;
      throw new TailraceError(
        error.code,
        `${error.message}: wait for Retry-After, and continue from the line of resume`,
      );
    }
    this.#scheduleAfter(Math.ceil(waitMs));
    return false;
  }

  /** Counts the bytes of a chunk. Without capacity, tries again for as long as the log may take. */
  #hold(bytes: number): boolean {
    const { admission, clock, limits } = this.#context;
    try {
      admission.hold(this.#request.sender, bytes);
    } catch (error) {
      const nowMs = clock.monotonic();
      this.#noCapacitySinceMs ??= nowMs;
      if (nowMs - this.#noCapacitySinceMs >= limits.appendDeadlineMs) throw error;
      this.#scheduleAfter(capacityMs);
      return false;
    }
    this.#noCapacitySinceMs = undefined;
    return true;
  }

  #scheduleAfter(waitMs: number): void {
    this.#capacityTimer ??= this.#context.clock.after(waitMs, () => {
      this.#capacityTimer = undefined;
      this.#schedule();
    });
  }

  /** The log has settled a chunk. */
  #settle(chunk: Chunk, error: TailraceError | undefined): void {
    this.#appended--;
    if (error === undefined) {
      this.#chunks.confirm(chunk);
      this.#request.observation.accepted(chunk.parsed);
    } else if (this.#state === 'receiving') this.#fail(error);
    else this.#error ??= error;
    if (this.#state === 'receiving') this.#schedule();
    else this.#settleAll(this.#error);
  }

  #fail(thrown: unknown): void {
    if (this.#state !== 'receiving') return;
    this.#settleAll(tailraceErrorFrom(thrown));
  }

  /** Stops receiving, and calls `done` once the log has settled all chunks. */
  #settleAll(error: TailraceError | undefined): void {
    if (this.#state === 'receiving') {
      this.#state = 'settling';
      this.#error = error;
      this.#body?.setWaiting(0);
      this.#body?.pause();
      this.#unpacker?.close();
      this.#capacityTimer?.cancel();
      this.#progressTimer?.cancel();
    }
    if (this.#state !== 'settling' || this.#appended > 0) return;
    this.#state = 'settled';
    this.#body?.stop();
    this.#done(this.#error);
  }

  #sendProgress(): void {
    const { line: lines, offset: bytes } = this.#lines;
    const { accepted, rejectedCount } = this.#chunks;
    const elapsedMs = Math.round(this.#context.clock.monotonic() - this.#startMs);
    const progress = { lines, accepted, rejectedCount, bytes, elapsedMs };
    this.#request.http.answerPart(`${JSON.stringify({ progress })}\n`);
  }

  #tooLarge(): TailraceError {
    const message = `the body: expected at most ${this.#context.limits.streamBytesMax} bytes, got more: send the rest in another request`;
    return new TailraceError('too_large', message);
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#fail(error);
    }
  }
}

function tooLong(): TailraceError {
  return new TailraceError('too_large', `the line: expected at most ${lineBytesMax} bytes, got more`);
}
