import { type ErrorCode, shown, TailraceError } from './error.ts';
import { reportLimits } from './report-limits.ts';
import { assertSourceTime, isSourceTime } from './source-time.ts';
import { isPlainText } from './text.ts';

/** How far a reading may be trusted, after OPC UA Part 8; absent means good. */
export type Quality = 'good' | 'uncertain' | 'bad';

export interface Reading {
  readonly tag: string;
  /** A number is finite. */
  readonly value: number | boolean | string;
  /** UCUM, as in `Cel`, `bar`, `mm/s`. */
  readonly unit?: string;
  readonly quality?: Quality;
  /** Source time, epoch ms, where it differs from the report's. */
  readonly time?: number;
}

export function invalidReport(message: string, code: ErrorCode = 'invalid_report'): TailraceError {
  return new TailraceError(code, message);
}

interface UncheckedReading {
  readonly tag?: unknown;
  readonly value?: unknown;
  readonly unit?: unknown;
  readonly quality?: unknown;
  readonly time?: unknown;
}

/**
 * The reading of a sender, itself where nothing has to change; else a copy. `list` is what the sender calls the
 * readings. Throws `invalid_report`.
 */
export function checkedReading(value: unknown, index: number, list: string): Reading {
  if (!isObject(value)) {
    throw invalidReport(`${list}[${index}] is ${shown(value)}; right is an object with tag and value`);
  }
  let asItIs = true;
  for (const key in value) {
    switch (key) {
      case 'tag':
      case 'value':
        break;
      case 'unit':
        if ((value as UncheckedReading).unit === '') asItIs = false;
        if ((value as UncheckedReading).unit === null) asItIs = false;
        break;
      case 'quality':
        if ((value as UncheckedReading).quality === null) asItIs = false;
        break;
      case 'time':
        // 0 is no moment that a sender means, and Protobuf's way to say nothing.
        if ((value as UncheckedReading).time === null || (value as UncheckedReading).time === 0) asItIs = false;
        break;
      default:
        throw invalidReport(
          `${list}[${index}] has the unknown key ${shown(key)}; a reading has tag, value and, if it likes, unit, quality and time`,
        );
    }
  }
  const { tag, value: measured, unit, quality, time } = value as UncheckedReading;
  assertTag(tag, index, list);
  if (measured === null) throw nullValue(index, list);
  assertValue(measured, index, list);
  if (unit !== undefined && unit !== null) assertUnit(unit, index, list);
  if (quality !== undefined && quality !== null) assertQuality(quality, index, list);
  if (time !== undefined && time !== null && time !== 0) assertReadingSourceTime(time, index, list);
  return asItIs ? (value as Reading) : withoutEmpty(value as Reading);
}

function nullValue(index: number, list: string): TailraceError {
  return invalidReport(
    `${list}[${index}].value: expected a finite number, boolean or text, got null; NaN and Infinity are written as null by JSON.stringify`,
  );
}

/** A copy without what is null or empty. */
function withoutEmpty(reading: Reading): Reading {
  const { tag, value, unit, quality, time } = reading;
  return { tag, value, ...(unit ? { unit } : {}), ...(quality ? { quality } : {}), ...(time ? { time } : {}) };
}

export function assertTag(value: unknown, index: number, list = 'readings'): asserts value is string {
  const max = reportLimits.tagCharactersMax;
  if (typeof value === 'string' && value.length > 0 && value.length <= max && isPlainText(value)) return;
  throw invalidReport(
    `${list}[${index}].tag is ${shown(value)}; right is a text of 1 to ${max} characters without control characters`,
  );
}

export function assertValue(value: unknown, index: number, list = 'readings'): asserts value is Reading['value'] {
  if (typeof value === 'number' ? Number.isFinite(value) : typeof value === 'boolean' || isTextValue(value)) return;
  const max = reportLimits.textCharactersMax;
  throw invalidReport(
    `${list}[${index}].value: expected a finite number, boolean or text of at most ${max} characters without NUL, got ${shownNumber(value)}`,
  );
}

/** Line breaks are welcome in a text, NUL is not: PostgreSQL's `text`, where history lives, cannot hold it. */
function isTextValue(value: unknown): boolean {
  if (typeof value !== 'string' || value.length > reportLimits.textCharactersMax) return false;
  return value.isWellFormed() && !value.includes('\0');
}

export function assertUnit(value: unknown, index: number, list = 'readings'): asserts value is string {
  const max = reportLimits.unitCharactersMax;
  if (typeof value === 'string' && value.length <= max && isPlainText(value)) return;
  throw invalidReport(
    `${list}[${index}].unit is ${shown(value)}; right is a UCUM unit of at most ${max} characters, as in "Cel" or "mm/s"`,
  );
}

function assertQuality(value: unknown, index: number, list: string): asserts value is Quality {
  if (value === 'good' || value === 'uncertain' || value === 'bad') return;
  throw invalidReport(`${list}[${index}].quality is ${shown(value)}; right is "good", "uncertain" or "bad"`);
}

export function assertReadingTime(value: unknown, index: number, list = 'readings'): asserts value is number {
  // The name is made only where it is needed.
  if (typeof value !== 'number' || !(value >= 0 && value <= reportLimits.timeMsMax))
    assertTime(value, `${list}[${index}].time`);
}

/** Of a reading as a sender wrote it. */
export function assertReadingSourceTime(value: unknown, index: number, list = 'readings'): asserts value is number {
  if (!isSourceTime(value)) assertSourceTime(value, `${list}[${index}].time`);
}

export function assertTime(value: unknown, name: string): asserts value is number {
  if (typeof value === 'number' && value >= 0 && value <= reportLimits.timeMsMax) return;
  throw invalidReport(
    `${name} is ${shownNumber(value)}; right is a number of milliseconds since 1970 from 0 to ${reportLimits.timeMsMax}, as in 1634567890123.25`,
  );
}

/** JSON has no word for NaN and the infinities: `shown` would call them null. */
function shownNumber(value: unknown): string {
  return typeof value === 'number' ? String(value) : shown(value);
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
