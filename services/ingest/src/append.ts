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

/** The way into the log, as ingest uses it: one append a request. */
export class Telemetry {
  readonly #options: TelemetryOptions;
  /** Since when every append has failed, and when that was said last; undefined: it works. Monotonic ms. */
  #failing: { readonly sinceMs: number; saidMs: number; count: number } | undefined;

  constructor(options: TelemetryOptions) {
    this.#options = options;
  }

  /**
   * Resolves when all records are durable. Rejects with what the sender is to be told: `unavailable` (also at the deadline),
   * `storage_full`, or `too_large` for a record that the log does not take. What lies behind it, addresses of brokers and such, goes to
   * our own log. `onSettled` is called when the log has let go of the records, which may be long after the deadline. Where the `request` is
   * traced, the records carry that into the log, to whoever reads them.
   */
  append(records: readonly NewRecord[], onSettled: () => void, request: Span = noSpan): Promise<void> {
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
    eventLog.append(topic, tracedRecords(records, span)).then(
      () => {
        settle();
        if (this.#failing !== undefined) this.#recovered();
        resolve();
      },
      (thrown: unknown) => {
        span.fail(thrown);
        settle();
        if (!isLate) reject(span.run(() => this.#failed(tailraceErrorFrom(thrown))));
      },
    );
    return promise;
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

/** The same records, with the trace in their headers where there is one: nothing is made for the others. */
function tracedRecords(records: readonly NewRecord[], { traceparent }: Span): readonly NewRecord[] {
  if (traceparent === '') return records;
  const headers = { traceparent };
  return records.map((record) => ({ ...record, headers }));
}
