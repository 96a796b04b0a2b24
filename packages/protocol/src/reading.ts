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
 * Validates a sender's reading. Returns it unchanged where it is in normal form; else a copy. `list` is the sender's
 * name of the readings. Throws `invalid_report`.
 */
export function checkedReading(value: unknown, index: number, list: string): Reading {
  if (!isObject(value)) {
    throw invalidReport(`${list}[${index}]: expected an object with tag and value, got ${shown(value)}`);
  }
  let isNormal = true;
  for (const key in value) {
    switch (key) {
      case 'tag':
      case 'value':
        break;
      case 'unit':
        if ((value as UncheckedReading).unit === '') isNormal = false;
        if ((value as UncheckedReading).unit === null) isNormal = false;
        break;
      case 'quality':
        if ((value as UncheckedReading).quality === null) isNormal = false;
        break;
      case 'time':
        // 0 means absent, as in proto3.
        if ((value as UncheckedReading).time === null || (value as UncheckedReading).time === 0) isNormal = false;
        break;
      default:
        throw invalidReport(
          `${list}[${index}]: expected tag, value and optionally unit, quality and time, got the unknown key ${shown(key)}`,
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
  return isNormal ? (value as Reading) : withoutEmpty(value as Reading);
}

function nullValue(index: number, list: string): TailraceError {
  return invalidReport(
    `${list}[${index}].value: expected a finite number, boolean or text, got null; NaN and Infinity are written as null by JSON.stringify`,
  );
}

/** Returns a copy without null or empty fields. */
function withoutEmpty(reading: Reading): Reading {
  const { tag, value, unit, quality, time } = reading;
  return { tag, value, ...(unit ? { unit } : {}), ...(quality ? { quality } : {}), ...(time ? { time } : {}) };
}

export function assertTag(value: unknown, index: number, list = 'readings', name = 'tag'): asserts value is string {
  const max = reportLimits.tagCharactersMax;
  if (typeof value === 'string' && value.length > 0 && value.length <= max && isPlainText(value)) return;
  throw invalidReport(
    `${list}[${index}].${name}: expected a text of 1 to ${max} characters without control characters, got ${shown(value)}`,
  );
}

export function assertValue(value: unknown, index: number, list = 'readings'): asserts value is Reading['value'] {
  if (typeof value === 'number' ? Number.isFinite(value) : typeof value === 'boolean' || isTextValue(value)) return;
  const max = reportLimits.textCharactersMax;
  throw invalidReport(
    `${list}[${index}].value: expected a finite number, boolean or text of at most ${max} characters without NUL, got ${shown(value)}`,
  );
}

/** A text may have line breaks, but no NUL, which PostgreSQL's `text` cannot store. */
function isTextValue(value: unknown): boolean {
  if (typeof value !== 'string' || value.length > reportLimits.textCharactersMax) return false;
  return value.isWellFormed() && !value.includes('\0');
}

export function assertUnit(value: unknown, index: number, list = 'readings'): asserts value is string {
  const max = reportLimits.unitCharactersMax;
  if (typeof value === 'string' && value.length <= max && isPlainText(value)) return;
  throw invalidReport(
    `${list}[${index}].unit: expected a UCUM unit of at most ${max} characters, as in "Cel" or "mm/s", got ${shown(value)}`,
  );
}

function assertQuality(value: unknown, index: number, list: string): asserts value is Quality {
  if (value === 'good' || value === 'uncertain' || value === 'bad') return;
  throw invalidReport(`${list}[${index}].quality: expected "good", "uncertain" or "bad", got ${shown(value)}`);
}

export function assertReadingTime(value: unknown, index: number, list = 'readings'): asserts value is number {
  // The name is built only for an error.
  if (typeof value !== 'number' || !(value >= 0 && value <= reportLimits.timeMsMax))
    assertTime(value, `${list}[${index}].time`);
}

/** Asserts the time of a sender's reading. */
export function assertReadingSourceTime(value: unknown, index: number, list = 'readings'): asserts value is number {
  if (!isSourceTime(value)) assertSourceTime(value, `${list}[${index}].time`);
}

export function assertTime(value: unknown, name: string): asserts value is number {
  if (typeof value === 'number' && value >= 0 && value <= reportLimits.timeMsMax) return;
  throw invalidReport(
    `${name}: expected milliseconds since 1970 from 0 to ${reportLimits.timeMsMax}, as in 1634567890123.25, got ${shown(value)}`,
  );
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
