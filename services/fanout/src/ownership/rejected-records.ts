import type { LogRecord } from '@tailrace/eventlog/event-log';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { Counter } from '@tailrace/platform/measures';
import { partitionOf } from '@tailrace/protocol/partition';
import { isDevicePath } from '@tailrace/protocol/path';
import { type InvalidReportReason, invalidReportReasons } from '@tailrace/protocol/report-check';

/**
 * Why a record of the telemetry topic is not a report of a device, beside errors in its bytes. `key`: its key is not a
 * device path. `partition`: the key belongs to another partition.
 */
export type RejectReason = InvalidReportReason | 'key' | 'partition';

export const rejectReasons: readonly RejectReason[] = ['key', 'partition', ...invalidReportReasons];

/**
 * Returns why the key of a record in this partition is invalid; undefined if it is valid. `partitions`: their number.
 */
export function keyRejectReason(key: string, partition: number, partitions: number): RejectReason | undefined {
  if (!isDevicePath(key)) return 'key';
  return partitionOf(key, partitions) === partition ? undefined : 'partition';
}

const warningEveryMs = 60_000;
/** Characters of a key in a log line: a key may be as large as a record. */
const keyCharactersMax = 80;

/** Counts the records of the log that are not reports or cannot be read, and logs them at a limited rate. */
export class RejectedRecords {
  /** Records that are not reports of a device. The metrics replace these counters by their own. */
  byReason: Readonly<Record<RejectReason, Counter>> = countersOf(rejectReasons);
  /** Ranges of positions that the log cannot read. */
  unreadableRanges = 0;
  /** Records that this node could not process because of an internal error. */
  failedRecords = 0;
  readonly #onRejected: LimitedWarning;
  readonly #onUnreadable: LimitedWarning;
  readonly #onFailed: LimitedWarning;

  /** `now`: monotonic ms. */
  constructor(warn: Logger['warn'], now: () => number) {
    const limited = (sentence: string) => new LimitedWarning(warn, sentence, warningEveryMs, now);
    this.#onRejected = limited('a record is not a report of a device; skipped');
    this.#onUnreadable = limited('the log has positions that it cannot read; clients get them as missing');
    this.#onFailed = limited('a record could not be processed; clients get it as missing');
  }

  reject(reason: RejectReason, partition: number, record: LogRecord): void {
    this.byReason[reason].add();
    this.#onRejected.write(() => ({ reason, partition, seq: record.seq, key: shownKey(record) }));
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

function shownKey({ key }: Pick<LogRecord, 'key'>): string {
  return key.length <= keyCharactersMax ? key : `${key.slice(0, keyCharactersMax)}…`;
}
