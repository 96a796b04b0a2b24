import { type BackoffOptions, backoffMs } from '@tailrace/protocol/backoff';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { messageIdWindowMs } from '@tailrace/protocol/message-id';
import type { Report } from '@tailrace/protocol/report';
import { type ClientClock, systemClock } from './clock.ts';
import type { TokenSource } from './connection.ts';
import { endpointUrl } from './endpoint.ts';
import { type IngestAnswer, ingestAnswerFrom } from './ingest-answer.ts';
import { assertJsonData } from './json-data.ts';
import { notify } from './notify.ts';
import { batchBody, batchLength, type Outgoing, outgoingFrom, Publication, type PublishResult } from './outgoing.ts';

export interface PublisherOptions {
  /** The URL of ingest, as `https://plant.example` or with the path `/v1/ingest`. */
  readonly url: string;
  /** Sent as `Authorization: Bearer`. A function is called before every request. */
  readonly token?: TokenSource;
  readonly fetch?: typeof globalThis.fetch;
  readonly clock?: ClientClock;
  /** In [0, 1). Default: Math.random. */
  readonly random?: () => number;
  readonly backoff?: BackoffOptions;
  /** How long a report waits for others to share its request, ms. Default 20. */
  readonly lingerMs?: number;
  /** Most reports in one request. Default 500. */
  readonly batchReportsMax?: number;
  /** Most bytes of one request, unless one report alone is larger. Default 262,144. */
  readonly batchBytesMax?: number;
  /** Most queued reports, those in flight included. Default 10,000. */
  readonly queueReportsMax?: number;
  /** Most queued bytes, as JSON. Default 16 MiB. */
  readonly queueBytesMax?: number;
  /** Timeout of a request, the token function included, ms: 1 to 120,000. Default 15,000. */
  readonly requestTimeoutMs?: number;
  /**
   * Time after which an undelivered report is rejected, ms. Default 90,000. Together with `requestTimeoutMs` at most
   * 120,000, the duplicate window of servers: a later retry could be delivered twice.
   */
  readonly giveUpMs?: number;
  /**
   * Called after each failed attempt before a retry, with the wait, ms; for logging. An attempt without a response has
   * the code `timeout`.
   */
  onRetry?(error: TailraceError, waitMs: number): void;
}

export interface PublisherStats {
  readonly queuedReports: number;
  readonly queuedReportsMax: number;
  readonly queuedBytes: number;
  readonly queuedBytesMax: number;
  readonly accepted: number;
  readonly refused: number;
  readonly retries: number;
}

/** Sends reports to ingest over HTTP, in order and in batches, with retries. */
export interface Publisher {
  /**
   * Resolves when each of these reports is in the log, or refused with a reason. A report without an `id` gets one, so
   * that a retry is not delivered twice.
   *
   * Rejects with `invalid_report` (a value that JSON cannot represent, such as NaN or a bigint; no report of the call
   * is sent), `limit_reached` (the queue is full; likewise), `unauthorized`, `forbidden`, `too_large`, `unavailable`
   * (no success within `giveUpMs`; the message has the last error), `closed`. Never throws.
   */
  publish(reports: Report | readonly Report[]): Promise<PublishResult>;
  /** Resolves when the queue is empty, whether its reports were accepted or not. */
  drain(): Promise<void>;
  /** Rejects queued reports with `closed`. Idempotent. */
  close(): void;
  stats(): PublisherStats;
}

/**
 * Throws `invalid_config` for an invalid URL, and for `requestTimeoutMs` or `giveUpMs` out of bounds.
 */
export function createPublisher(options: PublisherOptions): Publisher {
  return new HttpPublisher(options);
}

class HttpPublisher implements Publisher {
  readonly #options: Bounded;
  readonly #url: string;
  readonly #idPrefix: string;
  readonly #counts = { accepted: 0, refused: 0, retries: 0 };
  #queue: Outgoing[] = [];
  #queuedBytes = 0;
  #ids = 0;
  /** Whether a request is in flight. Only one at a time, to keep the order of a device's reports. */
  #isSending = false;
  #isClosed = false;
  /** Number of consecutive failed attempts. */
  #attempt = 0;
  /** Most reports of the next request: halved after each 413. */
  #requestReportsMax: number;
  /** Starts the next request, after the linger or the backoff. */
  #timer: { cancel(): void } | undefined;
  #abort: AbortController | undefined;
  readonly #drainWaiters: (() => void)[] = [];

  constructor(options: PublisherOptions) {
    this.#url = endpointUrl(options.url, '/v1/ingest');
    this.#options = bounded(options);
    this.#requestReportsMax = this.#options.batchReportsMax;
    const { random, clock } = this.#options;
    // 41 random bits and the time: IDs of two publishers do not collide.
    this.#idPrefix = `${Math.floor(random() * 36 ** 8).toString(36)}${Math.floor(clock.now()).toString(36)}-`;
  }

  publish(input: Report | readonly Report[]): Promise<PublishResult> {
    if (this.#isClosed)
      return Promise.reject(new TailraceError('closed', 'the publisher is closed; create another one'));
    const reports: readonly Report[] = Array.isArray(input) ? input : [input as Report];
    const publication = new Publication(reports.length);
    const sinceMs = this.#options.clock.monotonic();
    let added: Outgoing[];
    try {
      assertJsonData(input);
      added = reports.map((report) => outgoingFrom(this.#withId(report), publication, sinceMs));
    } catch (thrown) {
      // A getter or toJSON of the program may throw anything.
      return Promise.reject(
        isTailraceError(thrown)
          ? thrown
          : new TailraceError('invalid_report', `expected reports as plain data: ${thrown}`, { cause: thrown }),
      );
    }
    const addedBytes = added.reduce((sum, outgoing) => sum + outgoing.bytes, 0);
    const full = this.#queueFullError(added.length, addedBytes);
    if (full !== undefined) return Promise.reject(full);
    for (const outgoing of added) this.#queue.push(outgoing);
    this.#queuedBytes += addedBytes;
    if (this.#queue.length >= this.#options.batchReportsMax && this.#attempt === 0) {
      this.#timer?.cancel();
      this.#timer = undefined;
      this.#schedule(0);
    } else this.#schedule(this.#options.lingerMs);
    return publication.promise;
  }

  drain(): Promise<void> {
    return this.#queue.length === 0 ? Promise.resolve() : new Promise((resolve) => this.#drainWaiters.push(resolve));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#abort?.abort();
    this.#fail(this.#queue.length, new TailraceError('closed', 'the publisher was closed before this was delivered'));
    this.#notifyDrained();
  }

  stats(): PublisherStats {
    const { queueReportsMax, queueBytesMax } = this.#options;
    return {
      queuedReports: this.#queue.length,
      queuedReportsMax: queueReportsMax,
      queuedBytes: this.#queuedBytes,
      queuedBytesMax: queueBytesMax,
      ...this.#counts,
    };
  }

  #withId(report: Report): Report {
    return report.id ? report : { ...report, id: this.#idPrefix + (++this.#ids).toString(36) };
  }

  #queueFullError(reports: number, bytes: number): TailraceError | undefined {
    const { queueReportsMax, queueBytesMax } = this.#options;
    if (this.#queue.length + reports <= queueReportsMax && this.#queuedBytes + bytes <= queueBytesMax) return undefined;
    return new TailraceError(
      'limit_reached',
      `queue: expected at most ${queueReportsMax} reports and ${queueBytesMax} bytes, got ${this.#queue.length + reports} and ${this.#queuedBytes + bytes}: await earlier calls`,
      { retryable: true },
    );
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== undefined || this.#isSending || this.#isClosed || this.#queue.length === 0) return;
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#timer = undefined;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    this.#giveUpExpired();
    const count = batchLength(this.#queue, this.#requestReportsMax, this.#options.batchBytesMax);
    const batch = this.#queue.slice(0, count);
    if (count === 0) {
      this.#notifyDrained();
      return;
    }
    this.#isSending = true;
    const nowMs = this.#options.clock.monotonic();
    for (const outgoing of batch) outgoing.sentMs ??= nowMs;
    const answer = await this.#ask(batch);
    this.#isSending = false;
    if (this.#isClosed) return;
    const waitMs = this.#settle(batch, answer);
    if (this.#queue.length === 0) this.#notifyDrained();
    else this.#schedule(waitMs);
  }

  /** Rejects reports first sent before the duplicate window: after a suspension of the process, timers fire late. */
  #giveUpExpired(): void {
    const expiredMs = this.#options.clock.monotonic() - messageIdWindowMs;
    const kept = this.#queue.findIndex(({ sentMs = Number.POSITIVE_INFINITY }) => sentMs > expiredMs);
    const count = kept < 0 ? this.#queue.length : kept;
    if (count === 0) return;
    const message = `given up: expected to send it again within ${messageIdWindowMs / 1000} s, for which servers know its ID`;
    this.#fail(count, new TailraceError('unavailable', message));
  }

  /** Never rejects. */
  async #ask(batch: readonly Outgoing[]): Promise<IngestAnswer> {
    const { clock, requestTimeoutMs } = this.#options;
    const abort = new AbortController();
    this.#abort = abort;
    const { signal } = abort;
    const expiresMs = batch[0]!.sentMs! + messageIdWindowMs - clock.monotonic();
    const timeout = clock.after(Math.min(requestTimeoutMs, expiresMs), () =>
      abort.abort(new TailraceError('timeout', `expected an answer within ${requestTimeoutMs / 1000} s, got none`)),
    );
    // The signal aborts fetch, but not a token function.
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.onabort = () => reject(signal.reason);
    });
    try {
      return await Promise.race([aborted, this.#request(batch, signal)]);
    } catch (cause) {
      const message = `request to ${this.#url} failed: ${reasonOf(cause)}`;
      const code = signal.aborted ? 'timeout' : 'unavailable';
      return { kind: 'retry', afterMs: undefined, error: new TailraceError(code, message, { cause }) };
    } finally {
      timeout.cancel();
    }
  }

  async #request(batch: readonly Outgoing[], signal: AbortSignal): Promise<IngestAnswer> {
    const { clock, fetch, token: source } = this.#options;
    // A token from a file may end with a newline.
    const token = (typeof source === 'function' ? await source() : source)?.trim();
    signal.throwIfAborted();
    // The error of fetch for such a header would have the whole token.
    if (token && !/^[!-~]+$/.test(token))
      return { kind: 'failed', error: new TailraceError('unauthorized', 'token: expected visible ASCII characters') };
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
      body: batchBody(batch),
      // After a redirect, fetch may send a GET without the reports, or the reports to another host without the token.
      redirect: 'manual',
      signal,
    });
    return ingestAnswerFrom(response, batch.length, clock.now());
  }

  /** Handles a response. Returns the wait before the next request, ms. */
  #settle(batch: readonly Outgoing[], answer: IngestAnswer): number {
    if (answer.kind === 'retry') return this.#retry(answer.error, answer.afterMs);
    this.#attempt = 0;
    if (answer.kind === 'failed' || (answer.kind === 'split' && batch.length === 1))
      this.#fail(batch.length, answer.error);
    else if (answer.kind === 'split') this.#requestReportsMax = Math.ceil(batch.length / 2);
    else {
      this.#requestReportsMax = Math.min(this.#options.batchReportsMax, this.#requestReportsMax * 2);
      for (const [index, outgoing] of this.#shift(batch.length).entries()) {
        const refusal = answer.refusals.get(index);
        this.#counts[refusal === undefined ? 'accepted' : 'refused']++;
        outgoing.publication.settle(refusal && { report: outgoing.report, ...refusal });
      }
    }
    // Reports queued during the request have lingered enough.
    return 0;
  }

  #retry(error: TailraceError, afterMs: number | undefined): number {
    const { clock, giveUpMs, random, backoff, onRetry } = this.#options;
    const nowMs = clock.monotonic();
    const kept = this.#queue.findIndex(({ sinceMs }) => nowMs - sinceMs < giveUpMs);
    const message = `given up after ${giveUpMs / 1000} s: ${error.message}`;
    this.#fail(kept < 0 ? this.#queue.length : kept, new TailraceError('unavailable', message, { cause: error }));
    const attempt = this.#attempt++;
    const first = this.#queue[0];
    if (first === undefined) return 0;
    // Jitter is added to `Retry-After`, so that not all clients retry at that time. The last attempt is made when the
    // first queued report reaches `giveUpMs`, whatever `Retry-After` is.
    const leftMs = first.sinceMs + giveUpMs - nowMs;
    const waitMs = Math.min((afterMs ?? 0) + backoffMs(attempt, random, backoff), leftMs);
    this.#counts.retries++;
    notify(() => onRetry?.(error, waitMs));
    return waitMs;
  }

  /** Removes the first reports from the queue. */
  #shift(count: number): Outgoing[] {
    const removed = this.#queue.splice(0, count);
    for (const outgoing of removed) this.#queuedBytes -= outgoing.bytes;
    return removed;
  }

  #fail(count: number, error: TailraceError): void {
    const failed = new Set(this.#shift(count).map((outgoing) => outgoing.publication));
    for (const publication of failed) publication.fail(error);
    // The rest of a rejected call is not sent: its results could not be reported.
    this.#queue = this.#queue.filter((outgoing) => {
      if (!failed.has(outgoing.publication)) return true;
      this.#queuedBytes -= outgoing.bytes;
      return false;
    });
  }

  #notifyDrained(): void {
    for (const call of this.#drainWaiters.splice(0)) call();
  }
}

/**
 * Returns the options with defaults. Throws `invalid_config` where a retry could be outside of the duplicate window.
 */
function bounded(options: PublisherOptions) {
  const { requestTimeoutMs = 15_000 } = options;
  const giveUpMsMax = messageIdWindowMs - requestTimeoutMs;
  const { giveUpMs = Math.min(90_000, giveUpMsMax) } = options;
  for (const [name, value, min, max] of [
    ['requestTimeoutMs', requestTimeoutMs, 1, messageIdWindowMs],
    ['giveUpMs', giveUpMs, 0, giveUpMsMax],
  ] as const)
    if (!(value >= min && value <= max))
      throw new TailraceError(
        'invalid_config',
        `${name}: expected ${min} to ${max}, got ${value}; servers know message IDs for ${messageIdWindowMs} ms`,
      );
  return {
    token: options.token,
    // Browsers require a call without a receiver.
    fetch: options.fetch ?? ((input: string, init: RequestInit) => globalThis.fetch(input, init)),
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    backoff: options.backoff,
    lingerMs: options.lingerMs ?? 20,
    batchReportsMax: Math.max(1, options.batchReportsMax ?? 500),
    batchBytesMax: options.batchBytesMax ?? 262_144,
    queueReportsMax: options.queueReportsMax ?? 10_000,
    queueBytesMax: options.queueBytesMax ?? 16 * 1024 * 1024,
    requestTimeoutMs,
    giveUpMs,
    onRetry: options.onRetry,
  };
}

type Bounded = ReturnType<typeof bounded>;

/** Returns the reason of a failed fetch, which is in the cause of its error. */
function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (!(cause instanceof Error)) return String(cause);
  return cause.message || ('code' in cause ? String(cause.code) : cause.name);
}
