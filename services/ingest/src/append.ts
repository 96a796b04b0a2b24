import type { EventLog, NewRecord } from '@tailrace/eventlog/eventlog';
import type { Clock } from '@tailrace/platform/clock';
import type { Log } from '@tailrace/platform/log';
import type { Counter, Histogram } from '@tailrace/platform/measures';
import { noSpan, type Span, type Tracing } from '@tailrace/platform/tracing';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { appendSpan } from './spans.ts';

export interface TelemetryOptions {
  readonly eventLog: EventLog;
  readonly topic: string;
  readonly deadlineMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly appendSeconds: Histogram;
  readonly failures: Counter;
  readonly tracing: Tracing;
}

/** Again after this long while the log stays away: one line for each request would bury everything else. */
const saidAgainMs = 60_000;

/**
 * Most records and bytes of one append. A request with more has several, so that the reports of other senders wait for
 * one of them and not for all: 500 take the log some 5 ms.
 */
const partRecordsMax = 500;
const partBytesMax = 524_288;
/**
 * The next part goes when the log has confirmed one, or after this long: a log that confirms late, for the sake of its
 * replicas, has written the part before by then.
 */
const partIntervalMs = 10;
/** Most parts of one request that the log has not confirmed. */
const partsUnderWayMax = 8;

/** The records of a request on their way into the log, by one append or several. */
interface PendingAppend {
  readonly records: readonly NewRecord[];
  /** Its sender has been refused at the deadline: what is not appended yet is dropped. */
  isLate(): boolean;
  /** Called once: the log has everything. */
  done(): void;
  /** Called once instead: the log has at most some of it. */
  failed(thrown: unknown): void;
}

/** The way into the log, as ingest uses it: one append a request, or one for each part of a large request. */
export class Telemetry {
  readonly #options: TelemetryOptions;
  /** Since when every append has failed, and when that was said last; undefined: it works. Monotonic ms. */
  #failing: { readonly sinceMs: number; saidMs: number; count: number } | undefined;
  /**
   * By sender, while it has a large request under way: what has to be appended behind it. A sender's requests are
   * appended in the order in which they came, so that reports of a device keep theirs.
   */
  readonly #queues = new Map<object, PendingAppend[]>();

  constructor(options: TelemetryOptions) {
    this.#options = options;
  }

  /**
   * Resolves when all records are durable. Rejects with what the sender is to be told: `unavailable` (also at the deadline),
   * `storage_full`, or `too_large` for a record that the log does not take. What lies behind it, addresses of brokers and such, goes to
   * our own log. `onSettled` is called when the log has let go of the records, which may be long after the deadline. Where the `request` is
   * traced, the records carry that into the log, to whoever reads them. `sender`: one object for all requests of a
   * sender that overlap.
   */
  append(sender: object, records: readonly NewRecord[], onSettled: () => void, request: Span = noSpan): Promise<void> {
    const { eventLog, topic, clock, deadlineMs, appendSeconds, tracing } = this.#options;
    const span = appendSpan(tracing, request, { system: eventLog.system, topic, records: records.length });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const startMs = clock.monotonic();
    let isLate = false;
    const timer = clock.after(deadlineMs, () => {
      isLate = true;
      const error = new TailraceError('timeout', `the log has not confirmed within ${deadlineMs} ms`);
      reject(span.run(() => this.#failed(error)));
    });
    const settle = () => {
      timer.cancel();
      appendSeconds.observe((clock.monotonic() - startMs) / 1_000, span.traceparent);
      span.end();
      onSettled();
    };
    const done = () => {
      settle();
      if (this.#failing !== undefined) this.#recovered();
      resolve();
    };
    const failed = (thrown: unknown) => {
      span.fail(thrown);
      settle();
      if (!isLate) reject(span.run(() => this.#failed(tailraceErrorFrom(thrown))));
    };
    const traced = tracedRecords(records, span);
    const queue = this.#queues.get(sender);
    if (queue === undefined && partEnd(traced, 0) === traced.length) eventLog.append(topic, traced).then(done, failed);
    else this.#enqueue(sender, queue, { records: traced, isLate: () => isLate, done, failed });
    return promise;
  }

  #enqueue(sender: object, queue: PendingAppend[] | undefined, append: PendingAppend): void {
    if (queue !== undefined) queue.push(append);
    else {
      const begun = [append];
      this.#queues.set(sender, begun);
      void this.#run(sender, begun);
    }
  }

  /** Never rejects. */
  async #run(sender: object, queue: PendingAppend[]): Promise<void> {
    for (let append = queue[0]; append !== undefined; append = queue[0]) {
      await this.#appendParts(append);
      queue.shift();
    }
    this.#queues.delete(sender);
  }

  /**
   * Resolves when the log has been given the last part, or does not get it; `done` or `failed` follows when it has
   * settled all parts. Never rejects.
   */
  async #appendParts({ records, isLate, done, failed }: PendingAppend): Promise<void> {
    const { eventLog, topic, deadlineMs, clock } = this.#options;
    const failures: unknown[] = [];
    let underWay = 0;
    let isGiven = false;
    let wake: (() => void) | undefined;
    const finish = () => {
      if (!isGiven || underWay > 0) return;
      if (failures.length === 0) done();
      else failed(failures[0]);
    };
    const settled = () => {
      underWay--;
      wake?.();
      finish();
    };
    for (let from = 0; from < records.length && failures.length === 0; ) {
      if (isLate()) {
        const message = `the log was given ${from} of ${records.length} reports within ${deadlineMs} ms`;
        failures.push(new TailraceError('timeout', message));
        break;
      }
      const until = partEnd(records, from);
      const isWhole = from === 0 && until === records.length;
      underWay++;
      eventLog.append(topic, isWhole ? records : records.slice(from, until)).then(settled, (thrown: unknown) => {
        failures.push(thrown);
        settled();
      });
      from = until;
      if (from === records.length) break;
      const next = Promise.withResolvers<void>();
      wake = next.resolve;
      const timer = underWay < partsUnderWayMax ? clock.after(partIntervalMs, next.resolve) : undefined;
      await next.promise;
      timer?.cancel();
    }
    wake = undefined;
    isGiven = true;
    finish();
  }

  #failed(error: TailraceError): TailraceError {
    const { failures } = this.#options;
    failures.add();
    if (error.code === 'too_large') return error;
    this.#say(error);
    const why = error.code === 'storage_full' ? 'has no room' : 'cannot be reached';
    return new TailraceError(
      error.code === 'storage_full' ? 'storage_full' : 'unavailable',
      `the log ${why}; some of the reports may be in it, none is certain: send them again, which is safe with the same ids`,
      { cause: error },
    );
  }

  #say(error: TailraceError): void {
    const { clock, log } = this.#options;
    const nowMs = clock.monotonic();
    this.#failing ??= { sinceMs: nowMs, saidMs: Number.NEGATIVE_INFINITY, count: 0 };
    this.#failing.count++;
    if (nowMs - this.#failing.saidMs < saidAgainMs) return;
    this.#failing.saidMs = nowMs;
    log.error(
      { error, failedAppends: this.#failing.count },
      'the log takes no reports; senders are asked to try again',
    );
  }

  #recovered(): void {
    const { clock, log } = this.#options;
    const { sinceMs, count } = this.#failing!;
    this.#failing = undefined;
    log.info({ failedAppends: count, awayMs: Math.round(clock.monotonic() - sinceMs) }, 'the log takes reports again');
  }
}

/** Returns the index behind the part that starts at `from`. */
function partEnd(records: readonly NewRecord[], from: number): number {
  const most = Math.min(records.length, from + partRecordsMax);
  let bytes = 0;
  for (let index = from; index < most; index++) {
    bytes += records[index]!.value.length;
    if (bytes > partBytesMax && index > from) return index;
  }
  return most;
}

/** The same records, with the trace in their headers where there is one: nothing is made for the others. */
function tracedRecords(records: readonly NewRecord[], { traceparent }: Span): readonly NewRecord[] {
  if (traceparent === '') return records;
  const headers = { traceparent };
  return records.map((record) => ({ ...record, headers }));
}
