import { shown } from '@tailrace/protocol/error';
import { type Reading, reportLimits } from '@tailrace/protocol/report';
import { arrayText } from './array-value.ts';
import { dataTypeName, dataTypes, integerBits, isSigned } from './data-type.ts';
import type { Metric } from './payload.ts';
import { shortestFloat } from './shortest-float.ts';

/** Why a metric makes no reading, by the reasons of dead letters. */
export type MetricProblem = 'invalid_report' | 'unsupported_type' | 'inexact' | 'unknown_alias' | 'too_large';

/** A metric that makes no reading. Returned and not thrown, because the other metrics of the payload count. */
export class UnreadableMetric {
  readonly reason: MetricProblem;
  readonly message: string;

  constructor(reason: MetricProblem, message: string) {
    this.reason = reason;
    this.message = message;
  }
}

/** The value of a metric; undefined: it has none, because it is null or no finite number. */
export type MetricValue = Reading['value'] | undefined;

/**
 * Returns the value of a metric of a data type. Integers are read from both integer fields, and signed ones with or
 * without their sign extended, because senders differ.
 */
export function metricValue(metric: Metric, dataType: number): MetricValue | UnreadableMetric {
  if (!isReadable(dataType)) return unsupported(dataType);
  if (metric.isNull === true) return undefined;
  if (integerBits(dataType) > 0) return integerOf(metric, dataType);
  switch (dataType) {
    case dataTypes.float:
    case dataTypes.double:
      return floatOf(metric, dataType);
    case dataTypes.boolean:
      if (typeof metric.booleanValue === 'boolean') return metric.booleanValue;
      return withoutField(metric, dataType, 'boolean_value');
    case dataTypes.string:
    case dataTypes.text:
    case dataTypes.uuid:
      if (typeof metric.stringValue === 'string') return textOf(metric.stringValue, dataType);
      return withoutField(metric, dataType, 'string_value');
    case dataTypes.dateTime:
      return dateTimeOf(metric);
    default:
  }
  if (!(metric.bytesValue instanceof Uint8Array)) return withoutField(metric, dataType, 'bytes_value');
  const text = arrayText(metric.bytesValue, dataType);
  if (text !== undefined) return textOf(text, dataType);
  return new UnreadableMetric(
    'invalid_report',
    `expected whole elements for ${dataTypeName(dataType)}, got ${metric.bytesValue.length} bytes`,
  );
}

/** Returns whether metrics of this data type become readings. */
export function isReadable(dataType: number): boolean {
  if (dataType >= dataTypes.int8Array) return dataType <= dataTypes.dateTimeArray;
  return dataType >= dataTypes.int8 && dataType <= dataTypes.uuid;
}

/**
 * Returns the data type that the value field of a metric suggests, for a metric without one; `unknown` without a value.
 */
export function dataTypeOfField(metric: Metric): number {
  if (typeof metric.intValue === 'number') return dataTypes.uint32;
  if (typeof metric.longValue === 'number' || typeof metric.longValue === 'bigint') return dataTypes.uint64;
  if (typeof metric.floatValue === 'number') return dataTypes.float;
  if (typeof metric.doubleValue === 'number') return dataTypes.double;
  if (typeof metric.booleanValue === 'boolean') return dataTypes.boolean;
  if (typeof metric.stringValue === 'string') return dataTypes.string;
  if (metric.bytesValue instanceof Uint8Array) return dataTypes.bytes;
  if (metric.datasetValue instanceof Uint8Array) return dataTypes.dataSet;
  if (metric.templateValue instanceof Uint8Array) return dataTypes.template;
  return dataTypes.unknown;
}

/** Returns the zero of a data type, for the reading of a metric that never had a value. */
export function zeroOf(dataType: number): Reading['value'] {
  if (dataType === dataTypes.boolean) return false;
  if (dataType <= dataTypes.double || dataType === dataTypes.dateTime) return 0;
  return '';
}

function integerOf(metric: Metric, dataType: number): MetricValue | UnreadableMetric {
  const raw = metric.intValue ?? metric.longValue;
  if (raw === null || raw === undefined) return withoutField(metric, dataType, 'int_value or long_value');
  const bits = integerBits(dataType);
  if (isSigned(dataType)) return signed(raw, bits, dataType);
  if (typeof raw === 'number' && (bits === 64 || raw < 2 ** bits)) return raw;
  return outOfRange(raw, dataType);
}

/**
 * Reads two's complement of `bits` bits. The sign may be extended to 32 bits, as by senders with int as the smallest
 * type, or to 64.
 */
function signed(raw: number | bigint, bits: number, dataType: number): number | UnreadableMetric {
  const half = 2 ** (bits - 1);
  if (typeof raw === 'number') {
    if (raw < half) return raw;
    if (bits < 64 && raw < 2 * half) return raw - 2 * half;
    if (bits < 32 && raw >= 2 ** 32 - half && raw < 2 ** 32) return raw - 2 ** 32;
    return outOfRange(raw, dataType);
  }
  const value = BigInt.asIntN(64, raw);
  if (value < 0n && value >= -half && value >= Number.MIN_SAFE_INTEGER) return Number(value);
  return outOfRange(value, dataType);
}

function floatOf(metric: Metric, dataType: number): MetricValue | UnreadableMetric {
  const value = metric.floatValue ?? metric.doubleValue;
  if (value === null || value === undefined) return withoutField(metric, dataType, 'float_value or double_value');
  if (!Number.isFinite(value)) return undefined;
  return typeof metric.floatValue === 'number' ? shortestFloat(value) : value;
}

function dateTimeOf(metric: Metric): MetricValue | UnreadableMetric {
  const value = metric.longValue ?? metric.intValue;
  if (value === null || value === undefined) return withoutField(metric, dataTypes.dateTime, 'long_value');
  return typeof value === 'number' ? value : outOfRange(value, dataTypes.dateTime);
}

function textOf(text: string, dataType: number): string | UnreadableMetric {
  const { textCharactersMax } = reportLimits;
  if (text.length > textCharactersMax)
    return new UnreadableMetric(
      'too_large',
      `expected at most ${textCharactersMax} characters for ${dataTypeName(dataType)}, got ${text.length}`,
    );
  if (!text.includes('\0')) return text;
  return new UnreadableMetric('invalid_report', `expected a text without NUL, got ${shown(text)}`);
}

/** A metric without any value field is null; one with another field has the wrong data type. */
function withoutField(metric: Metric, dataType: number, field: string): undefined | UnreadableMetric {
  const other = dataTypeOfField(metric);
  if (other === dataTypes.unknown) return undefined;
  return new UnreadableMetric(
    'invalid_report',
    `expected ${field} for ${dataTypeName(dataType)}, got a value of ${dataTypeName(other)}`,
  );
}

function outOfRange(value: number | bigint, dataType: number): UnreadableMetric {
  const bits = integerBits(dataType);
  const expected = bits > 0 && bits < 64 ? `${bits} bits` : 'an integer below 2^53';
  return new UnreadableMetric('inexact', `expected ${expected} for ${dataTypeName(dataType)}, got ${value}`);
}

function unsupported(dataType: number): UnreadableMetric {
  return new UnreadableMetric(
    'unsupported_type',
    `expected a number, boolean, text, time or array, got ${dataTypeName(dataType)}`,
  );
}
