import { shown, type TailraceError } from './error.ts';
import { currentFromOlder, isLeftOut, isOlderReport, type ReportNames } from './older-report.ts';
import { assertDevicePath } from './path.ts';
import { checkedReading, invalidReport, isObject, type Reading } from './reading.ts';
import { reportLimits } from './report-limits.ts';
import { assertSourceTime, type ReportClock } from './source-time.ts';
import { isPlainText, utf8Bytes } from './text.ts';

export type { Quality, Reading } from './reading.ts';
export { reportLimits } from './report-limits.ts';
export type { ReportClock } from './source-time.ts';

/** Readings of a device at one time. */
export interface Report {
  /** Device path. */
  readonly device: string;
  /** Epoch ms by the device's clock, fractions allowed. 0 from a sender: it has no clock. */
  readonly time: number;
  readonly readings: readonly Reading[];
  /** The sender's message ID, for de-duplication. Never empty. */
  readonly id?: string;
  /** Epoch ms by ingest's clock. Set by ingest, never by a sender. */
  readonly received?: number;
  /**
   * Ingest's assessment of the times. Set by ingest, never by a sender. Absent: they are the device's.
   */
  readonly clock?: ReportClock;
  /**
   * Whether the readings were taken some time ago, such as in an outage of the sender's connection. They are delivered
   * and replayed as others, and never become last values. Absent: false.
   */
  readonly historical?: boolean;
}

/** A report with its position in the log. */
export interface Delivery extends Report {
  readonly partition: number;
  readonly seq: number;
  /** Whether absent readings are unchanged since the device's previous delivery. Absent: false. */
  readonly delta?: boolean;
}

const currentNames: ReportNames = {
  time: 'time',
  readings: 'readings',
  keys: 'device, readings and optionally time, id and historical',
};

/**
 * Validates a sender's report, parsed by JSON.parse: the current form, or the envelope of older gateways (see
 * older-report.ts). The result may share objects with `value`. A null key counts as absent, as in proto3's JSON
 * mapping. Throws `invalid_path` for the device, `invalid_report` for everything else, unknown keys included. Hot: runs
 * for each report.
 */
export function reportFromJson(value: unknown): Report {
  if (!isObject(value)) throw invalidReport(`report: expected an object with device and readings, got ${shown(value)}`);
  if (isOlderReport(value)) {
    const { report, names } = currentFromOlder(value);
    return checkedReport(report, names);
  }
  return checkedReport(value, currentNames);
}

interface UncheckedReport {
  readonly device?: unknown;
  readonly time?: unknown;
  readonly readings?: unknown;
  readonly id?: unknown;
  readonly historical?: unknown;
}

function checkedReport(value: object, names: ReportNames): Report {
  let isNormal = true;
  for (const key in value) {
    switch (key) {
      case 'device':
      case 'time':
      case 'readings':
        break;
      case 'id':
        // Both mean absent; a Report leaves the key out.
        if ((value as UncheckedReport).id === null || (value as UncheckedReport).id === '') isNormal = false;
        break;
      case 'historical':
        if ((value as UncheckedReport).historical !== true) isNormal = false;
        break;
      default:
        if (!isLeftOut(value, key)) throw unexpectedKey(key, names);
        isNormal = false;
    }
  }
  const { device, time, id } = value as UncheckedReport;
  assertDevicePath(device);
  // A sender without a clock leaves the time out, or sends 0.
  const timeMs = time === undefined || time === null ? 0 : time;
  if (timeMs !== 0) assertSourceTime(timeMs, names.time);
  const readings = checkedReadings((value as UncheckedReport).readings, names);
  const hasId = id !== undefined && id !== null && id !== '';
  if (hasId) assertReportId(id);
  const isHistorical = historicalFrom((value as UncheckedReport).historical);
  if (isNormal && timeMs === time) return value as Report;
  const report: Report = !hasId ? { device, time: timeMs, readings } : { device, time: timeMs, readings, id };
  return isHistorical ? { ...report, historical: true } : report;
}

function historicalFrom(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value === 'boolean') return value;
  throw invalidReport(`historical: expected true or false, got ${shown(value)}`);
}

function unexpectedKey(key: string, names: ReportNames): TailraceError {
  if (key === 'clock') return invalidReport('clock: expected a report without it, since ingest sets it');
  if (key === 'received') return invalidReport('received: expected a report without it, since ingest sets it');
  return invalidReport(`report: expected ${names.keys}, got the unknown key ${shown(key)}`);
}

function checkedReadings(value: unknown, names: ReportNames): readonly Reading[] {
  if (!Array.isArray(value)) {
    throw invalidReport(
      `${names.readings}: expected an array of 1 to ${reportLimits.readingsMax} items, got ${shown(value)}`,
    );
  }
  const readings: unknown[] = value;
  assertReadingCount(readings.length, names.readings);
  for (let index = 0; index < readings.length; index++) {
    const reading = readings[index];
    const checked = checkedReading(reading, index, names.readings);
    if (checked !== reading) readings[index] = checked;
  }
  return readings as Reading[];
}

/** `list` is the sender's name of the readings. Throws `invalid_report`. */
export function assertReadingCount(count: number, list = 'readings'): void {
  if (count >= 1 && count <= reportLimits.readingsMax) return;
  throw invalidReport(`${list}: expected 1 to ${reportLimits.readingsMax} items, got ${count}`);
}

export function assertReportId(value: unknown): asserts value is string {
  const max = reportLimits.idBytesMax;
  if (typeof value === 'string' && value.length <= max && utf8Bytes(value) <= max && isPlainText(value)) return;
  throw invalidReport(`id: expected a text of at most ${max} bytes without control characters, got ${shown(value)}`);
}
