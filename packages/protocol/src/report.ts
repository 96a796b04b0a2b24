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

/** What a device said at one moment. */
export interface Report {
  /** Device path. */
  readonly device: string;
  /** The device's clock, epoch ms, fractions allowed. 0 in what a sender wrote: it gave none. */
  readonly time: number;
  readonly readings: readonly Reading[];
  /** The sender's message ID, for de-duplication. Never empty. */
  readonly id?: string;
  /** Ingest's clock, epoch ms. Set by ingest, never by a sender. */
  readonly received?: number;
  /**
   * What ingest knows of the clock behind the times. Set by ingest, never by a sender. Absent: they are the device's.
   */
  readonly clock?: ReportClock;
}

/** A report with its position in the log. */
export interface Delivery extends Report {
  readonly partition: number;
  readonly seq: number;
  /** Readings left out are as they were in the device's delivery before. Absent: false. */
  readonly delta?: boolean;
}

const currentNames: ReportNames = {
  time: 'time',
  readings: 'readings',
  unknownKey: 'a report has device, readings and, if it likes, time and id',
};

/**
 * A report from what JSON.parse made of a sender's text: the present form, or the envelope of older gateways (see older-report.ts).
 * Takes `value` over: the result may share its objects. A key that is null counts as left out, as in proto3's JSON mapping.
 * Throws `invalid_path` for the device, `invalid_report` for all else; unknown keys are faults. Hot: once for each report.
 */
export function reportFromJson(value: unknown): Report {
  if (!isObject(value))
    throw invalidReport(`the report is ${shown(value)}; right is an object with device and readings`);
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
}

function checkedReport(value: object, names: ReportNames): Report {
  let asItIs = true;
  for (const key in value) {
    switch (key) {
      case 'device':
      case 'time':
      case 'readings':
        break;
      case 'id':
        // Both mean "none", and a Report has no such form of none.
        if ((value as UncheckedReport).id === null || (value as UncheckedReport).id === '') asItIs = false;
        break;
      default:
        if (!isLeftOut(value, key)) throw unexpectedKey(key, names);
        asItIs = false;
    }
  }
  const { device, time, id } = value as UncheckedReport;
  assertDevicePath(device);
  // A sender without a clock leaves the time out, or has no other word for that than 0.
  const timeMs = time === undefined || time === null ? 0 : time;
  if (timeMs !== 0) assertSourceTime(timeMs, names.time);
  const readings = checkedReadings((value as UncheckedReport).readings, names);
  const hasId = id !== undefined && id !== null && id !== '';
  if (hasId) assertReportId(id);
  if (asItIs && timeMs === time) return value as Report;
  return !hasId ? { device, time: timeMs, readings } : { device, time: timeMs, readings, id };
}

function unexpectedKey(key: string, names: ReportNames): TailraceError {
  if (key === 'clock') return invalidReport('clock: expected a report without it, since ingest sets it');
  if (key === 'received') return invalidReport('received is set by ingest; right is a report without it');
  return invalidReport(`the report has the unknown key ${shown(key)}; ${names.unknownKey}`);
}

function checkedReadings(value: unknown, names: ReportNames): readonly Reading[] {
  if (!Array.isArray(value)) {
    throw invalidReport(
      `${names.readings} is ${shown(value)}; right is an array of 1 to ${reportLimits.readingsMax} readings`,
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

/** `list` is what the sender calls the readings. */
export function assertReadingCount(count: number, list = 'readings'): void {
  if (count >= 1 && count <= reportLimits.readingsMax) return;
  throw invalidReport(`${list} has ${count} readings; right is 1 to ${reportLimits.readingsMax}`);
}

export function assertReportId(value: unknown): asserts value is string {
  const max = reportLimits.idBytesMax;
  if (typeof value === 'string' && value.length <= max && utf8Bytes(value) <= max && isPlainText(value)) return;
  throw invalidReport(`id is ${shown(value)}; right is a text of at most ${max} bytes without control characters`);
}
