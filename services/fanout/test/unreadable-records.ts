import { type EventLog, type LogBatch, type LogRecord, unreadableRecord } from '@tailrace/eventlog/event-log';

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

/** Lets the log read what was appended as unreadable as a batch of Kafka that is damaged. */
export function spoil(eventLog: EventLog): void {
  const { read, subscribe } = eventLog;
  eventLog.read = async function* (...asked) {
    for await (const records of read.call(eventLog, ...asked)) yield asRead(records);
  };
  eventLog.subscribe = (options) => {
    const onBatches = (batches: readonly LogBatch[]) =>
      options.onBatches(batches.map((batch) => ({ ...batch, records: asRead(batch.records) })));
    return subscribe.call(eventLog, { ...options, onBatches });
  };
}

function isUnreadable({ headers }: LogRecord): boolean {
  return headers?.['unreadable'] !== undefined;
}
