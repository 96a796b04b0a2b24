import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Quality } from '@tailrace/protocol/reading';
import { reportLimits } from '@tailrace/protocol/report-limits';
import { isPlainText } from '@tailrace/protocol/text';
import type { Sample, Value } from '../sample.ts';
import type { OpcuaDataValue, OpcuaVariant } from './opcua-port.ts';

/*
 * Values of OPC UA as readings, and readings as values. A reading is a number, a boolean or a text; what is none of
 * them becomes a text or a reason. Numbers of types: Part 6, 5.1.2.
 */

export const dataTypes = {
  boolean: 1,
  sByte: 2,
  byte: 3,
  int16: 4,
  uint16: 5,
  int32: 6,
  uint32: 7,
  int64: 8,
  uint64: 9,
  float: 10,
  double: 11,
  string: 12,
  dateTime: 13,
  guid: 14,
  byteString: 15,
  xmlElement: 16,
  nodeId: 17,
  expandedNodeId: 18,
  statusCode: 19,
  qualifiedName: 20,
  localizedText: 21,
} as const;

/** How the values of a tag are read. */
export interface ValueFormat {
  /** Of 64-bit integers: the number that is next to it, or its digits. Default: `number`. */
  readonly as?: 'number' | 'text' | undefined;
  /** Position in an array, where the server returns this element alone. */
  readonly index?: number | undefined;
}

export interface ValueCounts {
  /** 64-bit integers that were converted to the nearest number. */
  inexact: number;
  /** Values that the queue of their item at the server had no place for. */
  overflows: number;
}

/** 1973 to 5138: others are clocks that were never set. */
const timeMsMin = 100_000_000_000;
const timeMsMax = 100_000_000_000_000;
const picosecondsPerMs = 1e9;
/** Info type "data value" with the bit "overflow" (Part 4, 7.39.1). */
const overflowBits = 0x480;

/** Returns the source time, epoch ms with fractions, or the time of the server; undefined where there is none. */
export function timeOf(value: OpcuaDataValue): number | undefined {
  return (
    timeFrom(value.sourceTimestamp, value.sourcePicoseconds) ?? timeFrom(value.serverTimestamp, value.serverPicoseconds)
  );
}

export function timeFrom(timestamp: Date | null | undefined, picoseconds: number | undefined): number | undefined {
  const ms = timestamp?.getTime();
  if (ms === undefined || !(ms >= timeMsMin && ms <= timeMsMax)) return undefined;
  return ms + (picoseconds ?? 0) / picosecondsPerMs;
}

/** Returns the quality by the severity of a status code, its two highest bits (Part 4, 7.39.1). */
export function qualityOf(statusCode: number): Quality {
  const severity = statusCode >>> 30;
  return severity === 0 ? 'good' : severity === 1 ? 'uncertain' : 'bad';
}

/**
 * Returns the sample of a value. `nowMs` is its time where it has none; then its quality is uncertain. A value that
 * cannot be a reading has quality bad, and a reason.
 */
export function sampleFrom(
  tag: number,
  format: ValueFormat,
  data: OpcuaDataValue,
  nowMs: number,
  counts: ValueCounts,
): Sample {
  const { value: status, name } = data.statusCode;
  const sourceMs = timeOf(data);
  const time = sourceMs ?? nowMs;
  let quality = qualityOf(status);
  if (quality === 'bad') return { tag, time, value: undefined, quality, reason: name };
  let reason = quality === 'uncertain' ? name : undefined;
  const { value, reason: problem } = valueFrom(data.value, format, counts);
  if (value === undefined) return { tag, time, value, quality: 'bad', reason: problem ?? 'no_value' };
  if ((status & overflowBits) === overflowBits) {
    counts.overflows++;
    quality = 'uncertain';
    reason = 'queue_overflow';
  } else if (problem !== undefined) {
    quality = 'uncertain';
    reason = problem;
  } else if (sourceMs === undefined) {
    quality = 'uncertain';
    reason = 'no_source_time';
  }
  return reason === undefined ? { tag, time, value, quality } : { tag, time, value, quality, reason };
}

interface Converted {
  readonly value: Value | undefined;
  /** Why there is no value, or why it is not the whole. */
  readonly reason?: string;
}

/** Returns the value of a variant. */
export function valueFrom(
  variant: OpcuaVariant | null | undefined,
  format: ValueFormat,
  counts: Pick<ValueCounts, 'inexact'>,
): Converted {
  if (variant === null || variant === undefined || variant.value === null || variant.value === undefined) {
    return { value: undefined, reason: 'no_value' };
  }
  const { dataType, arrayType, value } = variant;
  try {
    if (arrayType === 0) return scalarFrom(dataType, value, format.as, counts);
    const items = value as ArrayLike<unknown>;
    if (format.index === undefined) return arrayFrom(dataType, items, counts);
    if (items.length === 1) return scalarFrom(dataType, items[0], format.as, counts);
    return { value: undefined, reason: 'no_such_element' };
  } catch {
    // The value is not of its type.
    return { value: undefined, reason: 'invalid_value' };
  }
}

function scalarFrom(
  dataType: number,
  raw: unknown,
  as: ValueFormat['as'],
  counts: Pick<ValueCounts, 'inexact'>,
): Converted {
  if (raw === null || raw === undefined) return { value: undefined, reason: 'no_value' };
  switch (dataType) {
    case dataTypes.boolean:
      return typeof raw === 'boolean' ? { value: raw } : { value: undefined, reason: 'invalid_value' };
    case dataTypes.sByte:
    case dataTypes.byte:
    case dataTypes.int16:
    case dataTypes.uint16:
    case dataTypes.int32:
    case dataTypes.uint32:
    case dataTypes.float:
    case dataTypes.double:
      return Number.isFinite(raw) ? { value: raw as number } : { value: undefined, reason: 'not_finite' };
    case dataTypes.int64:
    case dataTypes.uint64:
      return longFrom(raw, dataType === dataTypes.int64, as, counts);
    default:
      return textFrom(dataType, raw);
  }
}

/** 64-bit integers are pairs of 32 bits, the higher first. */
function longFrom(
  raw: unknown,
  isSigned: boolean,
  as: ValueFormat['as'],
  counts: Pick<ValueCounts, 'inexact'>,
): Converted {
  const [high, low] = raw as readonly [number, number];
  if (!Number.isInteger(high) || !Number.isInteger(low)) return { value: undefined, reason: 'invalid_value' };
  const bits = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  const exact = isSigned ? BigInt.asIntN(64, bits) : bits;
  if (as === 'text') return { value: String(exact) };
  const number = Number(exact);
  if (Math.abs(number) > Number.MAX_SAFE_INTEGER) counts.inexact++;
  return { value: number };
}

function textFrom(dataType: number, raw: unknown): Converted {
  switch (dataType) {
    case dataTypes.string:
    case dataTypes.guid:
    case dataTypes.xmlElement:
      return boundedText(String(raw));
    case dataTypes.dateTime: {
      const time = raw as Date;
      return Number.isNaN(time.getTime()) ? { value: undefined, reason: 'no_value' } : { value: time.toISOString() };
    }
    case dataTypes.byteString:
      return boundedText(Buffer.from(raw as Uint8Array).toString('base64'));
    case dataTypes.nodeId:
    case dataTypes.expandedNodeId:
      return boundedText(String(raw));
    case dataTypes.statusCode:
      return boundedText((raw as { name?: string }).name ?? String(raw));
    case dataTypes.qualifiedName:
      return boundedText((raw as { name?: string | null }).name ?? '');
    case dataTypes.localizedText:
      return boundedText((raw as { text?: string | null }).text ?? '');
    default:
      return { value: undefined, reason: 'unsupported_type' };
  }
}

function arrayFrom(dataType: number, items: ArrayLike<unknown>, counts: Pick<ValueCounts, 'inexact'>): Converted {
  // Each element takes at least two characters, so that a long array is not converted first.
  if (2 * items.length > reportLimits.textCharactersMax) return { value: undefined, reason: 'array_too_long' };
  const values: (Value | null)[] = [];
  for (let at = 0; at < items.length; at++) {
    const { value, reason } = scalarFrom(dataType, items[at], undefined, counts);
    if (reason === 'unsupported_type') return { value: undefined, reason };
    values.push(value ?? null);
  }
  const text = plain(JSON.stringify(values));
  return text.length <= reportLimits.textCharactersMax
    ? { value: text }
    : { value: undefined, reason: 'array_too_long' };
}

function boundedText(text: string): Converted {
  const { textCharactersMax } = reportLimits;
  if (text.length > textCharactersMax)
    return { value: plain(text.slice(0, textCharactersMax)), reason: 'text_truncated' };
  return { value: plain(text) };
}

/** A reading has no control characters but line breaks and tabs, and no half of a surrogate pair. */
function plain(text: string): string {
  return isPlainText(text) ? text : text.toWellFormed().replace(/[\p{Cc}]/gu, ' ');
}

const integerBounds: Readonly<Record<number, readonly [bigint, bigint]>> = {
  [dataTypes.sByte]: [-0x80n, 0x7fn],
  [dataTypes.byte]: [0n, 0xffn],
  [dataTypes.int16]: [-0x8000n, 0x7fffn],
  [dataTypes.uint16]: [0n, 0xffffn],
  [dataTypes.int32]: [-0x8000_0000n, 0x7fff_ffffn],
  [dataTypes.uint32]: [0n, 0xffff_ffffn],
  [dataTypes.int64]: [-0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn],
  [dataTypes.uint64]: [0n, 0xffff_ffff_ffff_ffffn],
};

/**
 * Returns the variant that has the value in the type of the node: `dataType` as it was read. Throws `invalid_message`
 * for a value that the type cannot have, and for types that cannot be written.
 */
export function variantFrom(value: Value, dataType: number): OpcuaVariant {
  const variant = (encoded: unknown): OpcuaVariant => ({ dataType, arrayType: 0, value: encoded });
  const bounds = integerBounds[dataType];
  if (bounds !== undefined) return variant(integerFrom(value, dataType, bounds));
  switch (dataType) {
    case dataTypes.boolean:
      if (typeof value !== 'boolean') throw unexpected('true or false', value);
      return variant(value);
    case dataTypes.float:
    case dataTypes.double: {
      const number = typeof value !== 'number' ? Number.NaN : dataType === dataTypes.float ? Math.fround(value) : value;
      if (!Number.isFinite(number)) throw unexpected('a number that the type can have', value);
      return variant(number);
    }
    case dataTypes.string:
      if (typeof value !== 'string') throw unexpected('a text', value);
      return variant(value);
    case dataTypes.localizedText:
      if (typeof value !== 'string') throw unexpected('a text', value);
      return variant({ text: value });
    case dataTypes.dateTime: {
      const time = new Date(typeof value === 'string' ? value : Number.NaN);
      if (Number.isNaN(time.getTime())) throw unexpected('a time as in 2026-01-31T12:00:00Z', value);
      return variant(time);
    }
    default:
      throw new TailraceError('invalid_message', `value: the type of the node (${dataType}) cannot be written`);
  }
}

function integerFrom(value: Value, dataType: number, [low, high]: readonly [bigint, bigint]): unknown {
  const isLong = dataType === dataTypes.int64 || dataType === dataTypes.uint64;
  let integer: bigint | undefined;
  if (typeof value === 'number' && Number.isInteger(value)) integer = BigInt(value);
  else if (isLong && typeof value === 'string' && /^-?\d{1,20}$/.test(value)) integer = BigInt(value);
  if (integer === undefined || integer < low || integer > high) {
    throw unexpected(`an integer of ${low} to ${high}`, value);
  }
  if (!isLong) return Number(integer);
  const bits = BigInt.asUintN(64, integer);
  return [Number(bits >> 32n), Number(bits & 0xffff_ffffn)];
}

/**
 * Returns what a read returns of a node that has the value: of a float of 32 bits the nearest one. `dataType`
 * undefined: unknown. A value that the type cannot have is returned as it is.
 */
export function heldValue(value: Value, dataType: number | undefined, format: ValueFormat): Value {
  if (dataType === undefined) return value;
  try {
    return valueFrom(variantFrom(value, dataType), format, { inexact: 0 }).value ?? value;
  } catch {
    return value;
  }
}

function unexpected(expected: string, value: Value): TailraceError {
  return new TailraceError('invalid_message', `value: expected ${expected}, got ${shown(value)}`);
}
