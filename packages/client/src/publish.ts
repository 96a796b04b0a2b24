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
  /** Of ingest, as `https://plant.example` or with the whole path `/v1/ingest`. */
  readonly url: string;
  /** Sent as `Authorization: Bearer`. A function is asked before every request. */
  readonly token?: TokenSource;
  readonly fetch?: typeof globalThis.fetch;
  readonly clock?: ClientClock;
  /** In [0, 1). Default: Math.random. */
  readonly random?: () => number;
  readonly backoff?: BackoffOptions;
  /** How long a report may wait for others to share its request, ms. Default 20. */
  readonly lingerMs?: number;
  /** Reports in one request. Default 500. */
  readonly batchReportsMax?: number;
  /** Bytes of one request, unless one report alone is larger. Default 262,144. */
  readonly batchBytesMax?: number;
  /** Reports that wait, those under way included. Default 10,000. */
  readonly queueReportsMax?: number;
  /** Bytes that wait, as JSON. Default 16 MiB. */
  readonly queueBytesMax?: number;
  /** The token and the answer of a request may take this long, ms: 1 to 120,000. Default 15,000. */
  readonly requestTimeoutMs?: number;
  /**
   * A report that could not be delivered for this long is given up, ms. Default 90,000. With `requestTimeoutMs` at most
   * 120,000, for which servers know message IDs: a report sent again later than that could be delivered twice.
   */
  readonly giveUpMs?: number;
  /**
   * Called after each failed attempt that is followed by another one, with the wait before that, ms; for a log. An
   * attempt without an answer has the code `timeout`.
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

/** Sends reports to ingest over HTTP, in order, several at a time, as often as it takes. */
export interface Publisher {
  /**
   * Resolves when ingest has answered for each of these reports: they are in the log, or refused one by one, with the
   * reason. A report without an `id` gets one, so that one which had to be sent twice is delivered once.
   *
   * Rejects with `invalid_report` (a value that JSON cannot carry, such as NaN or a bigint; nothing of this call is
   * sent), `limit_reached` (the queue is full; likewise), `unauthorized`, `forbidden`, `too_large`, `unavailable`
   * (given up after `giveUpMs`; the message has the last answer), `closed`. Never throws.
   */
  publish(reports: Report | readonly Report[]): Promise<PublishResult>;
  /** Resolves when nothing is queued any more, however that came about. */
  drain(): Promise<void>;
  /** What is queued is rejected with `closed`. Idempotent. */
  close(): void;
  stats(): PublisherStats;
}

/**
 * Throws `invalid_config` for an address that is none, and for a `requestTimeoutMs` or `giveUpMs` beyond its bounds.
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
  /** Only one request at a time: two could overtake each other, and a device's reports keep their order. */
  #sending = false;
  #closed = false;
  /** Attempts in a row that came to nothing. */
  #attempt = 0;
  /** What one request may hold now: halved by every 413. */
  #requestReportsMax: number;
  /** Starts the next request: the end of the linger, or of a wait after a failure. */
  #timer: { cancel(): void } | undefined;
  #abort: AbortController | undefined;
  readonly #idle: (() => void)[] = [];

  constructor(options: PublisherOptions) {
    this.#url = endpointUrl(options.url, '/v1/ingest');
    this.#options = bounded(options);
    this.#requestReportsMax = this.#options.batchReportsMax;
    const { random, clock } = this.#options;
    // 41 random bits and the time: two publishers of one device do not meet.
    this.#idPrefix = `${Math.floor(random() * 36 ** 8).toString(36)}${Math.floor(clock.now()).toString(36)}-`;
  }

  publish(given: Report | readonly Report[]): Promise<PublishResult> {
    if (this.#closed) return Promise.reject(new TailraceError('closed', 'the publisher is closed; create another one'));
    const reports: readonly Report[] = Array.isArray(given) ? given : [given as Report];
    const publication = new Publication(reports.length);
    const sinceMs = this.#options.clock.monotonic();
    let added: Outgoing[];
    try {
      assertJsonData(given);
      added = reports.map((report) => outgoingFrom(this.#withId(report), publication, sinceMs));
    } catch (thrown) {
      // A getter or toJSON of the program's own may throw anything.
      return Promise.reject(
        isTailraceError(thrown)
          ? thrown
          : new TailraceError('invalid_report', `expected reports as plain data: ${thrown}`, { cause: thrown }),
      );
    }
    const addedBytes = added.reduce((sum, outgoing) => sum + outgoing.bytes, 0);
    const full = this.#fullError(added.length, addedBytes);
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
    return this.#queue.length === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    this.#abort?.abort();
    this.#fail(this.#queue.length, new TailraceError('closed', 'the publisher was closed before this was delivered'));
    this.#tellIdle();
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

  #fullError(reports: number, bytes: number): TailraceError | undefined {
    const { queueReportsMax, queueBytesMax } = this.#options;
    if (this.#queue.length + reports <= queueReportsMax && this.#queuedBytes + bytes <= queueBytesMax) return undefined;
    return new TailraceError(
      'limit_reached',
      `queue: expected at most ${queueReportsMax} reports and ${queueBytesMax} bytes, got ${this.#queue.length + reports} and ${this.#queuedBytes + bytes}: await what is under way`,
      { retryable: true },
    );
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== undefined || this.#sending || this.#closed || this.#queue.length === 0) return;
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
      this.#tellIdle();
      return;
    }
    this.#sending = true;
    const nowMs = this.#options.clock.monotonic();
    for (const outgoing of batch) outgoing.sentMs ??= nowMs;
    const answer = await this.#ask(batch);
    this.#sending = false;
    if (this.#closed) return;
    const waitMs = this.#settle(batch, answer);
    if (this.#queue.length === 0) this.#tellIdle();
    else this.#schedule(waitMs);
  }

  /** A timer fires late where the process was suspended. Servers may have forgotten the IDs of what was sent before. */
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
    // fetch stops by itself, a token function does not.
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
    // A file ends with a line end.
    const token = (typeof source === 'function' ? await source() : source)?.trim();
    signal.throwIfAborted();
    // fetch would refuse such a header with an error that has the whole token in it.
    if (token && !/^[!-~]+$/.test(token))
      return { kind: 'failed', error: new TailraceError('unauthorized', 'token: expected visible ASCII characters') };
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
      body: batchBody(batch),
      // To follow one, fetch may send a GET without the reports, or the reports to another host without the token.
      redirect: 'manual',
      signal,
    });
    return ingestAnswerFrom(response, batch.length, clock.now());
  }

  /** Deals with an answer; tells how long to wait before the next request, ms. */
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
    // What has gathered meanwhile has lingered enough.
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
    // The jitter comes on top of what the server asked for, so that its clients do not all come at that moment. The
    // last attempt is made when the first report that waits is to be given up, however long the server asks to wait.
    const leftMs = first.sinceMs + giveUpMs - nowMs;
    const waitMs = Math.min((afterMs ?? 0) + backoffMs(attempt, random, backoff), leftMs);
    this.#counts.retries++;
    notify(() => onRetry?.(error, waitMs));
    return waitMs;
  }

  /** Takes the first reports off the queue. */
  #shift(count: number): Outgoing[] {
    const taken = this.#queue.splice(0, count);
    for (const outgoing of taken) this.#queuedBytes -= outgoing.bytes;
    return taken;
  }

  #fail(count: number, error: TailraceError): void {
    const failed = new Set(this.#shift(count).map((outgoing) => outgoing.publication));
    for (const publication of failed) publication.fail(error);
    // The rest of a failed call is not sent: nobody would hear what became of it.
    this.#queue = this.#queue.filter((outgoing) => {
      if (!failed.has(outgoing.publication)) return true;
      this.#queuedBytes -= outgoing.bytes;
      return false;
    });
  }

  #tellIdle(): void {
    for (const call of this.#idle.splice(0)) call();
  }
}

/** The options with their defaults. Throws `invalid_config` if a report might be sent again after its ID expired. */
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
    // Called without a receiver: browsers insist on that.
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

/** fetch says "fetch failed" and hides why in the cause. */
function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (!(cause instanceof Error)) return String(cause);
  return cause.message || ('code' in cause ? String(cause.code) : cause.name);
}
