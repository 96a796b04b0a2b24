import { type LogRecord, unreadableRecord } from '@tailrace/eventlog/eventlog';

/** Headers under which a record is appended that no reader can read then, as a batch of Kafka that is damaged. */
export const unreadableHeaders: Readonly<Record<string, string>> = { unreadable: '1' };

/** The records of a log as they are read. */
export function asRead(records: readonly LogRecord[]): readonly LogRecord[] {
  if (!records.some(isUnreadable)) return records;
  return records.map((record) => {
    const { seq } = record;
    if (!isUnreadable(record)) return record;
    return unreadableRecord(seq, { until: seq + 1, reason: 'checksum', message: 'damaged' });
  });
}

function isUnreadable({ headers }: LogRecord): boolean {
  return headers?.['unreadable'] !== undefined;
}
