import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';

export interface LogFailuresOptions {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly logger: Logger;
}

/** Shortest time between two errors logged while the log fails: one for each request would hide everything else. */
const warningEveryMs = 60_000;

/**
 * Failed appends of the process: the errors for senders, and log lines at the start and the end of an outage.
 *
 * While one partition has no leader, appends fail and succeed by turns, and each failure is an outage of its own. So an
 * error is logged at most once in `warningEveryMs`, over all outages, and the end of an outage only if its error was.
 */
export class LogFailures {
  /** Whether every append has failed since the first failure. A field, because each confirmed append reads it. */
  isFailing = false;
  readonly #options: LogFailuresOptions;
  readonly #warning: LimitedWarning;
  /** Whether this outage is in the log of the process. */
  #isLogged = false;
  /** Monotonic ms. */
  #sinceMs = 0;
  #failedAppends = 0;

  constructor(options: LogFailuresOptions) {
    this.#options = options;
    const { clock, logger } = options;
    const sentence = 'the log accepts no reports; their senders are to send them again';
    this.#warning = new LimitedWarning(logger.error.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
  }

  /**
   * Called with the error of the log. Returns the error that the sender receives: `too_large` as it is, which is no
   * outage, `storage_full`, and `unavailable` for any other. The cause, such as the address of a broker, is logged and
   * not sent.
   */
  failed(error: TailraceError): TailraceError {
    if (error.code === 'too_large') return error;
    this.#log(error);
    const why = error.code === 'storage_full' ? 'is full' : 'cannot be reached';
    return new TailraceError(
      error.code === 'storage_full' ? 'storage_full' : 'unavailable',
      `the log ${why}: the reports may or may not be in it; send them again, which is safe with the same ids`,
      { cause: error },
    );
  }

  /** Called when the log has confirmed an append while `isFailing`; does nothing otherwise. */
  succeeded(): void {
    if (!this.isFailing) return;
    const { clock, logger } = this.#options;
    const [failedAppends, isLogged] = [this.#failedAppends, this.#isLogged];
    const outageMs = Math.round(clock.monotonic() - this.#sinceMs);
    this.isFailing = false;
    this.#isLogged = false;
    this.#failedAppends = 0;
    if (isLogged) logger.info({ failedAppends, outageMs }, 'the log accepts reports again');
  }

  #log(error: TailraceError): void {
    if (!this.isFailing) {
      this.isFailing = true;
      this.#sinceMs = this.#options.clock.monotonic();
    }
    const failedAppends = ++this.#failedAppends;
    this.#warning.write(() => {
      this.#isLogged = true;
      return { error, failedAppends };
    });
  }
}
