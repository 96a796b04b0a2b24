import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { decodeIotData, isIotData } from '@tailrace/protocol/iot-data-proto';
import { isObject } from '@tailrace/protocol/reading';
import { assertReportId, type Report, reportFromJson } from '@tailrace/protocol/report';
import { batchedReports, decodeSentReport } from '@tailrace/protocol/report-proto';
import type { DeadLetterReason } from '../dead-letters/dead-letter-reason.ts';
import { isExactInteger } from '../json-text.ts';
import { PayloadError } from '../payload-error.ts';
import { hasLargeNumber, type JsonText, parseJson, textFrom } from '../reports.ts';

/*
 * Payloads of MQTT messages, of devices and of brokers: each form is read in one place, so that both get the same
 * reports and errors. Errors are PayloadError where their reason is no code of TailraceError.
 */

/** Content types of Protobuf. */
export const protobufTypes: readonly string[] = ['application/x-protobuf', 'application/protobuf'];

/** Returns the text of a payload. Throws PayloadError with `reason` for one that is not UTF-8. */
export function payloadText(payload: Buffer, reason: DeadLetterReason): string {
  try {
    return textFrom(payload);
  } catch (thrown) {
    throw new PayloadError(reason, tailraceErrorFrom(thrown).message);
  }
}

/** Returns the value of a JSON payload. Throws PayloadError `malformed_json` with the place. */
export function payloadJson(text: string): unknown {
  try {
    return parseJson(text, 1);
  } catch (thrown) {
    throw new PayloadError('malformed_json', tailraceErrorFrom(thrown).message, thrown);
  }
}

const jsonNumber = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;
const integer = /^-?[0-9]+$/;

/**
 * Returns the number or boolean of a payload of one value, as JSON has it; with `allowsText` the text of any other.
 * Throws PayloadError `malformed_number`, and `inexact` for an integer that a double does not hold.
 */
export function payloadScalar(text: string, allowsText: boolean): number | boolean | string {
  const trimmed = text.trim();
  if (trimmed === 'true') return true;
  if (trimmed === 'false') return false;
  if (jsonNumber.test(trimmed)) {
    const number = Number(trimmed);
    if (integer.test(trimmed) && Number.isFinite(number) && !Number.isSafeInteger(number) && !isExactInteger(trimmed))
      throw new PayloadError(
        'inexact',
        `the payload: expected a number that a double holds exactly, got ${trimmed.slice(0, 80)}`,
      );
    if (Number.isFinite(number)) return number;
  } else if (allowsText) return text;
  throw new PayloadError(
    'malformed_number',
    `the payload: expected a number as JSON writes it, true or false, got ${shown(text)}`,
  );
}

/** What a report gets that has no device or ID of its own; '' for none. */
export interface ReportDefaults {
  readonly device: string;
  readonly id: string;
}

/**
 * Returns the report of a JSON value. `numbers`: the text of the payload; `index`: of the report, if the text is an
 * array. Throws as `reportFromJson` does, and PayloadError `inexact`.
 */
export function jsonReport(
  value: unknown,
  { device, id }: ReportDefaults,
  numbers: JsonText,
  index: number | undefined,
): Report {
  const report = reportFromJson(isObject(value) && device !== '' ? withDevice(value, device) : value);
  if (hasLargeNumber(report.readings)) {
    try {
      numbers.assertExact(index);
    } catch (thrown) {
      throw new PayloadError('inexact', tailraceErrorFrom(thrown).message);
    }
  }
  return withId(report, id);
}

/** The topic names the device; the payload may name another one, that the sender covers. */
function withDevice(value: object, device: string): object {
  const { device: own, deviceId } = value as { device?: unknown; deviceId?: unknown };
  if ((own !== undefined && own !== null) || (deviceId !== undefined && deviceId !== null)) return value;
  // `values` without `deviceId` is the older form, too.
  const { values } = value as { values?: unknown };
  return values === undefined || values === null ? { ...value, device } : { ...value, deviceId: device };
}

/**
 * Returns the reports of a `ReportBatch` or an `IoTData`, each to be decoded by a call, which throws the error of an
 * invalid one. They are views of the payload. Throws PayloadError `malformed_protobuf`, and `too_large` for more than
 * `reportsMax`.
 */
export function protobufReports(payload: Buffer, reportsMax: number): readonly (() => Report)[] {
  try {
    if (isIotData(payload)) return [() => reportOf(decodeIotData(payload))];
    return batchedReports(payload, reportsMax).map((bytes) => () => reportOf(decodeSentReport(bytes)));
  } catch (thrown) {
    const { code, message } = tailraceErrorFrom(thrown);
    throw new PayloadError(code === 'too_large' ? code : 'malformed_protobuf', message, thrown);
  }
}

function reportOf(decoded: Report | TailraceError): Report {
  if (decoded instanceof TailraceError) throw decoded;
  return decoded;
}

/** Returns the report with an ID, if it has none; '' for none. Throws `invalid_report` for one that is no ID. */
export function withId(report: Report, id: string): Report {
  if (id === '' || report.id !== undefined) return report;
  assertReportId(id);
  return { ...report, id };
}
