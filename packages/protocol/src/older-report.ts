import { shown, TailraceError } from './error.ts';

/** What the sender calls things, for the messages. */
export interface ReportNames {
  readonly time: string;
  readonly readings: string;
  readonly unknownKey: string;
}

/**
 * The envelope of older gateways, which sent before there was Tailrace:
 *
 *     {"deviceId":"plant1.line3.press7","timestamp":1634567890123,"quality":"good","values":[{"tag":"temperature","value":42.5,"unit":"Cel"}]}
 *
 * Its quality is that of all its values. `id` is allowed too, for gateways that were taught to send one.
 */
const olderNames: ReportNames = {
  time: 'timestamp',
  readings: 'values',
  unknownKey: 'an older report has deviceId, values and, if it likes, timestamp, quality and id',
};

interface OlderReport {
  readonly deviceId?: unknown;
  readonly timestamp?: unknown;
  readonly values?: unknown;
  readonly quality?: unknown;
  readonly id?: unknown;
}

/** Whether it is meant as the older envelope: it names its device, or its readings, the old way. */
export function isOlderReport(value: object): boolean {
  const { deviceId, values } = value as OlderReport;
  return (deviceId !== undefined && deviceId !== null) || (values !== undefined && values !== null);
}

/** Keys of the one form that are null in the other count as left out, as they do in their own. */
const knownKeys: readonly string[] = [
  ...['device', 'time', 'readings', 'id', 'clock', 'received'],
  ...['deviceId', 'timestamp', 'values', 'quality'],
];

export function isLeftOut(value: object, key: string): boolean {
  return (value as Readonly<Record<string, unknown>>)[key] === null && knownKeys.includes(key);
}

/**
 * The present form of an older report, unchecked but for its keys: what is wrong in it stays wrong. Throws `invalid_report` for
 * unknown keys, of which those of the present form mixed in are some.
 */
export function currentFromOlder(value: object): { report: object; names: ReportNames } {
  const { deviceId, timestamp, values, quality, id, ...others } = value as OlderReport;
  // `rest` takes an own key `__proto__` along as such, so that it is found here too.
  const unknownKey = Object.keys(others).find((key) => !isLeftOut(others, key));
  if (unknownKey !== undefined) {
    throw new TailraceError(
      'invalid_report',
      `the report has the unknown key ${shown(unknownKey)}; ${olderNames.unknownKey}`,
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
  throw new TailraceError('invalid_report', `quality is ${shown(quality)}; right is "good", "uncertain" or "bad"`);
}

function withQuality(reading: unknown, quality: unknown): unknown {
  return typeof reading === 'object' && reading !== null && !Array.isArray(reading) ? { quality, ...reading } : reading;
}
