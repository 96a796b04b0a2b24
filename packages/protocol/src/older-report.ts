import { shown, TailraceError } from './error.ts';

/** The sender's field names, for error messages. */
export interface ReportNames {
  readonly time: string;
  readonly readings: string;
  readonly keys: string;
}

/**
 * The envelope of older gateways, from before Tailrace:
 *
 *     {"deviceId":"plant1.line3.press7","timestamp":1634567890123,"quality":"good",
 *      "values":[{"tag":"temperature","value":42.5,"unit":"Cel"}]}
 *
 * Its quality applies to all its values. `id` is allowed, too, for gateways that send one.
 */
const olderNames: ReportNames = {
  time: 'timestamp',
  readings: 'values',
  keys: 'deviceId, values and optionally timestamp, quality and id',
};

interface OlderReport {
  readonly deviceId?: unknown;
  readonly timestamp?: unknown;
  readonly values?: unknown;
  readonly quality?: unknown;
  readonly id?: unknown;
}

/** Returns whether the value is an older envelope: it has `deviceId` or `values`. */
export function isOlderReport(value: object): boolean {
  const { deviceId, values } = value as OlderReport;
  return (deviceId !== undefined && deviceId !== null) || (values !== undefined && values !== null);
}

/** Keys of both forms. Null counts as absent in either form. */
const knownKeys: readonly string[] = [
  ...['device', 'time', 'readings', 'id', 'clock', 'received'],
  ...['deviceId', 'timestamp', 'values', 'quality'],
];

export function isLeftOut(value: object, key: string): boolean {
  return (value as Readonly<Record<string, unknown>>)[key] === null && knownKeys.includes(key);
}

/**
 * Converts an older report to the current form and validates only its keys. Throws `invalid_report` for unknown keys,
 * which include keys of the current form.
 */
export function currentFromOlder(value: object): { report: object; names: ReportNames } {
  const { deviceId, timestamp, values, quality, id, ...others } = value as OlderReport;
  // A rest pattern copies an own key `__proto__`, so that it is found here, too.
  const unknownKey = Object.keys(others).find((key) => !isLeftOut(others, key));
  if (unknownKey !== undefined) {
    throw new TailraceError(
      'invalid_report',
      `report: expected ${olderNames.keys}, got the unknown key ${shown(unknownKey)}`,
    );
  }
  assertOlderQuality(quality);
  const readings =
    quality == null || quality === 'good' || !Array.isArray(values)
      ? values
      : values.map((reading) => withQuality(reading, quality));
  const report = { device: deviceId, time: timestamp, readings };
  return { report: id === undefined ? report : { ...report, id }, names: olderNames };
}

function assertOlderQuality(quality: unknown): void {
  if (quality == null || quality === 'good' || quality === 'uncertain' || quality === 'bad') return;
  throw new TailraceError('invalid_report', `quality: expected "good", "uncertain" or "bad", got ${shown(quality)}`);
}

function withQuality(reading: unknown, quality: unknown): unknown {
  return typeof reading === 'object' && reading !== null && !Array.isArray(reading) ? { quality, ...reading } : reading;
}
