import { shown } from './error.ts';
import { currentFromOlder, isOlderReport, type ReportNames } from './olderreport.ts';
import { assertDevicePath } from './path.ts';
import { assertTime, checkedReading, invalidReport, isObject, type Reading } from './reading.ts';
import { reportLimits } from './reportlimits.ts';
import { isPlainText, utf8Bytes } from './text.ts';

export type { Quality, Reading } from './reading.ts';
export { reportLimits } from './reportlimits.ts';

/** What a device said at one moment. */
export interface Report {
  /** Device path. */
  readonly device: string;
  /** The device's clock, epoch ms, fractions allowed. */
  readonly time: number;
  readonly readings: readonly Reading[];
  /** The sender's message ID, for de-duplication. Never empty. */
  readonly id?: string;
  /** Ingest's clock, epoch ms. Set by ingest, never by a sender. */
  readonly received?: number;
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
  unknownKey: 'a report has device, time, readings and, if it likes, id',
};

/**
 * A report from what JSON.parse made of a sender's text: the present form, or the envelope of older gateways (see olderreport.ts).
 * Takes `value` over: the result may share its objects. A key that is null counts as left out, as in proto3's JSON mapping.
 * Throws `invalid_path` for the device, `invalid_report` for all else; unknown keys are faults. Hot: once for each report.
 */
export function reportFromJson(value: unknown): Report {
  if (!isObject(value))
    throw invalidReport(`the report is ${shown(value)}; right is an object with device, time and readings`);
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
      case 'received':
        throw invalidReport('received is set by ingest; right is a report without it');
      default:
        throw invalidReport(`the report has the unknown key ${shown(key)}; ${names.unknownKey}`);
    }
  }
  const { device, time, id } = value as UncheckedReport;
  assertDevicePath(device);
  assertTime(time, names.time);
  const readings = checkedReadings((value as UncheckedReport).readings, names);
  if (!asItIs) return { device, time, readings };
  if (id !== undefined) assertReportId(id);
  return value as Report;
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
