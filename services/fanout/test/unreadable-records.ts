import { type EventLog, type LogBatch, type LogRecord, unreadableRecord } from '@tailrace/eventlog/event-log';

/** Headers of a record that readers get as unreadable, like a damaged batch of Kafka. */
export const unreadableHeaders: Readonly<Record<string, string>> = { unreadable: '1' };

/** Replaces records with `unreadableHeaders` by unreadable ones, as the log delivers them. */
export function asRead(records: readonly LogRecord[]): readonly LogRecord[] {
  if (!records.some(isUnreadable)) return records;
  return records.map((record) => {
    const { seq } = record;
    if (!isUnreadable(record)) return record;
    return unreadableRecord(seq, { until: seq + 1, reason: 'checksum', message: 'damaged' });
  });
}

/** Makes a log deliver records with `unreadableHeaders` as unreadable. */
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
