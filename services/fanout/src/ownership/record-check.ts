import type { LogRecord } from '@tailrace/eventlog/event-log';
import { partitionOf } from '@tailrace/protocol/partition';
import { isDevicePath } from '@tailrace/protocol/path';
import { type InvalidReportReason, invalidReportReasons } from '@tailrace/protocol/report-check';

/**
 * Why a record of the telemetry topic is no report of a device, beside what is wrong with its bytes: `key`: its key is
 * no device path. `partition`: the key belongs to another partition, in which the device is looked for.
 */
export type RejectReason = InvalidReportReason | 'key' | 'partition';

export const rejectReasons: readonly RejectReason[] = ['key', 'partition', ...invalidReportReasons];

/** What is wrong with the key of a record in this partition of so many. */
export function keyRejectReason(key: string, partition: number, partitions: number): RejectReason | undefined {
  if (!isDevicePath(key)) return 'key';
  return partitionOf(key, partitions) === partition ? undefined : 'partition';
}

/** For messages: a key may be as large as a record. */
export function shownKey({ key }: Pick<LogRecord, 'key'>): string {
  return key.length <= 80 ? key : `${key.slice(0, 80)}…`;
}
