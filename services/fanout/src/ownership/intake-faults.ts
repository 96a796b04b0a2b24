import type { LogRecord } from '@tailrace/eventlog/event-log';
import type { Logger } from '@tailrace/platform/logger';
import { Counter } from '@tailrace/platform/measures';
import { LimitedWarning } from '../limited-warning.ts';
import { type RejectReason, rejectReasons, shownKey } from './record-check.ts';

const warningEveryMs = 60_000;

/**
 * Counts records of the log that are no reports or cannot be read, and logs them at a limited rate.
 */
export class RejectedRecords {
  /** Records that are no report of a device. A metric may put its own counters in their place. */
  rejected: Readonly<Record<RejectReason, Counter>> = countersOf(rejectReasons);
  /** Ranges of positions that the log has and cannot read. */
  unreadableRanges = 0;
  /** Records that this node could not process because of an internal error. */
  failedRecords = 0;
  readonly #onRejected: LimitedWarning;
  readonly #onUnreadable: LimitedWarning;
  readonly #onFailed: LimitedWarning;

  /** `now`: monotonic ms. */
  constructor(warn: Logger['warn'] = () => {}, now: () => number = () => 0) {
    const limited = (sentence: string) => new LimitedWarning(warn, sentence, warningEveryMs, now);
    this.#onRejected = limited('a record is no report of a device: passed over');
    this.#onUnreadable = limited('the log has positions that it cannot read; clients get them as missing');
    this.#onFailed = limited('a record could not be processed; clients get it as missing');
  }

  reject(fault: RejectReason, partition: number, record: LogRecord): void {
    this.rejected[fault].add();
    this.#onRejected.write(() => ({ fault, partition, seq: record.seq, key: shownKey(record) }));
  }

  unreadable(partition: number, from: number, until: number, why: string | undefined): void {
    this.unreadableRanges++;
    this.#onUnreadable.write(() => ({ partition, from, until, why }));
  }

  failed(partition: number, record: LogRecord, error: unknown): void {
    this.failedRecords++;
    this.#onFailed.write(() => ({ partition, seq: record.seq, key: shownKey(record), error }));
  }
}

function countersOf<L extends string>(names: readonly L[]): Record<L, Counter> {
  return Object.fromEntries(names.map((name) => [name, new Counter()])) as Record<L, Counter>;
}
