import { TailraceError } from '@tailrace/protocol/error';
import { WireReader } from '@tailrace/protocol/wire-reader';
import { tailrace } from './generated/sparkplug.js';
import { sparkplugLimits } from './limits.ts';

/** A decoded payload. An absent field is null. A 64-bit integer is a bigint from 2^53 on. */
export type Payload = tailrace.sparkplug.v1.Payload;
export type Metric = tailrace.sparkplug.v1.Metric.$Properties;
export type PropertySet = tailrace.sparkplug.v1.PropertySet.$Properties;
export type PropertyValue = tailrace.sparkplug.v1.PropertyValue.$Properties;
/** A payload to encode. */
export type PayloadFields = tailrace.sparkplug.v1.Payload.$Properties;

const { Payload: codec } = tailrace.sparkplug.v1;

/**
 * Decodes a payload. First walks over its fields and counts them, so that a small message cannot become many objects.
 * Throws `too_large` above `sparkplugLimits`, `invalid_message` for malformed bytes.
 */
export function decodePayload(bytes: Uint8Array): Payload {
  assertSize(bytes);
  try {
    return codec.decode(bytes);
  } catch (error) {
    // The walk has checked all lengths. What remains is a text that is not UTF-8.
    throw new TailraceError(
      'invalid_message',
      `Sparkplug payload: expected Protobuf, got ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}

export function encodePayload(payload: PayloadFields): Uint8Array {
  return codec.encode(payload).finish();
}

/** Sequence numbers are 0 to 255; 0 follows 255 (tck-id-payloads-sequence-num-incrementing). */
export const sequenceNumbers = 256;

/** Returns the sequence number; undefined without one, or for one that Sparkplug does not have. */
export function sequenceNumberOf({ seq }: Payload): number | undefined {
  return typeof seq === 'number' && seq < sequenceNumbers ? seq : undefined;
}

/** Returns the timestamp by the clock of the node, as it is; undefined without one. */
export function timestampOf({ timestamp }: Payload): number | undefined {
  return typeof timestamp === 'number' && timestamp > 0 ? timestamp : undefined;
}

/** Wire types of the fields of a message, by field number; undefined: no such field. */
type FieldTypes = readonly (number | undefined)[];
const varint = 0;
const fixed64 = 1;
const delimited = 2;
const fixed32 = 5;
const payloadFields: FieldTypes = [undefined, varint, delimited, varint, delimited, delimited];
const metricFields: FieldTypes = [
  ...[undefined, delimited, varint, varint, varint, varint, varint, varint, delimited, delimited],
  ...[varint, varint, fixed32, fixed64, varint, delimited, delimited, delimited, delimited, delimited],
];
const setFields: FieldTypes = [undefined, delimited, delimited];
const valueFields: FieldTypes = [
  ...[undefined, varint, varint, varint, varint, fixed32, fixed64, varint],
  ...[delimited, delimited, delimited, delimited],
];
const fieldOf = { payloadMetrics: 2, metricProperties: 9, setKeys: 1, setValues: 2 } as const;

function assertSize(bytes: Uint8Array): void {
  const { payloadBytesMax, metricsMax } = sparkplugLimits;
  if (bytes.length > payloadBytesMax) throw tooLarge(`at most ${payloadBytesMax} bytes`, String(bytes.length));
  const reader = new WireReader(bytes, 'invalid_message');
  let metrics = 0;
  let elements = 0;
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag === fieldOf.payloadMetrics * 8 + delimited) {
      if (++metrics > metricsMax) throw tooLarge(`at most ${metricsMax} metrics`, 'more');
      elements = walkMetric(reader, elements + 1);
    } else elements = skipField(reader, tag, payloadFields, elements);
  }
}

/** The walks return the number of elements up to their end. */
function walkMetric(reader: WireReader, before: number): number {
  let elements = before;
  const outerEnd = reader.enter();
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag === fieldOf.metricProperties * 8 + delimited) elements = walkProperties(reader, elements);
    else elements = skipField(reader, tag, metricFields, elements);
  }
  reader.leave(outerEnd);
  return elements;
}

function walkProperties(reader: WireReader, before: number): number {
  let elements = before;
  const outerEnd = reader.enter();
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag === fieldOf.setValues * 8 + delimited) elements = walkProperty(reader, counted(elements));
    else {
      if (tag === fieldOf.setKeys * 8 + delimited) elements = counted(elements);
      elements = skipField(reader, tag, setFields, elements);
    }
  }
  reader.leave(outerEnd);
  return elements;
}

function walkProperty(reader: WireReader, before: number): number {
  let elements = before;
  const outerEnd = reader.enter();
  while (reader.at < reader.end) elements = skipField(reader, reader.tag(), valueFields, elements);
  reader.leave(outerEnd);
  return elements;
}

/** Skips a field. An unknown one is an element, because the generated code keeps it. */
function skipField(reader: WireReader, tag: number, fields: FieldTypes, elements: number): number {
  const wireType = tag & 7;
  const isKnown = tag < 8 * fields.length && fields[tag >>> 3] === wireType;
  reader.skip(wireType);
  return isKnown ? elements : counted(elements);
}

function counted(elements: number): number {
  const { elementsMax } = sparkplugLimits;
  if (elements >= elementsMax) throw tooLarge(`at most ${elementsMax} metrics and properties`, 'more');
  return elements + 1;
}

function tooLarge(expected: string, got: string): TailraceError {
  return new TailraceError('too_large', `Sparkplug payload: expected ${expected}, got ${got}`);
}
