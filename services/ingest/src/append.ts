import type { EventLog, NewRecord } from '@tailrace/eventlog/eventlog';
import type { Clock } from '@tailrace/platform/clock';
import type { Log } from '@tailrace/platform/log';
import type { Counter, Histogram } from '@tailrace/platform/measures';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';

export interface TelemetryOptions {
  readonly eventLog: EventLog;
  readonly topic: string;
  readonly deadlineMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly appendMs: Histogram;
  readonly failures: Counter;
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
   * our own log. `onSettled` is called when the log has let go of the records, which may be long after the deadline.
   */
  append(records: readonly NewRecord[], onSettled: () => void): Promise<void> {
    const { eventLog, topic, clock, deadlineMs, appendMs } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const startMs = clock.monotonic();
    let isLate = false;
    const timer = clock.after(deadlineMs, () => {
      isLate = true;
      reject(this.#failed(new TailraceError('timeout', `the log has not confirmed within ${deadlineMs} ms`)));
    });
    const settle = () => {
      timer.cancel();
      appendMs.observe(clock.monotonic() - startMs);
      onSettled();
    };
    eventLog.append(topic, records).then(
      () => {
        settle();
        if (this.#failing !== undefined) this.#recovered();
        resolve();
      },
      (thrown: unknown) => {
        settle();
        if (!isLate) reject(this.#failed(tailraceErrorFrom(thrown)));
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
