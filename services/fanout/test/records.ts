import { type LogRecord, unreadableRecord } from '@tailrace/eventlog/event-log';
import type { Reading, Report } from '@tailrace/protocol/report';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { LogReport } from '../src/channels/log-report.ts';

const timeMs = 1_700_000_000_000;

/** Values by tag, or one value of the tag `n`. */
export type Values = number | Readonly<Record<string, number | string>>;

export function reportBytes(device: string, values: Values, id?: string): Uint8Array {
  const tags = typeof values === 'number' ? { n: values } : values;
  const readings: Reading[] = Object.entries(tags).map(([tag, value]) => ({ tag, value }));
  return encodeReport({ device, time: timeMs, readings, ...(id === undefined ? {} : { id }) }, timeMs);
}

export function logReport(device: string, seq: number, values: Values = seq, partition = 0): LogReport {
  return new LogReport(partition, seq, reportBytes(device, values));
}

/** Divides records into batches, as a log delivers them. */
export function* inBatches(records: readonly LogRecord[], size = 1_000): Iterable<readonly LogRecord[]> {
  for (let from = 0; from < records.length; from += size) yield records.slice(from, from + size);
}

export function record(device: string, seq: number, values: Values = seq, id?: string): LogRecord {
  return { seq, timeMs, key: device, value: reportBytes(device, values, id) };
}

/** Returns a report at a position. */
export function logReportOf(report: Partial<Report>, seq: number, partition = 0): LogReport {
  const whole = { device: 'p.d', time: timeMs, received: timeMs, readings: [], ...report };
  return new LogReport(partition, seq, encodeReport(whole));
}

/** Returns the records from a position up to another, exclusive, as a log reads them. Unreadable ranges are clipped. */
export function recordsIn(records: readonly LogRecord[], from: number, until: number): LogRecord[] {
  return records.flatMap((record) => {
    const { seq, unreadable } = record;
    if (unreadable === undefined) return seq >= from && seq < until ? [record] : [];
    if (unreadable.until <= from || seq >= until) return [];
    return [unreadableRecord(Math.max(seq, from), { ...unreadable, until: Math.min(unreadable.until, until) })];
  });
}
