import { TailraceError } from './error.ts';
import { assertDevicePath } from './path.ts';
import { assertTag, assertUnit, assertValue, invalidReport, type Quality, type Reading } from './reading.ts';
import { assertReadingCount, assertReportId, type Report } from './report.ts';
import { reportLimits } from './report-limits.ts';
import { assertSourceTime } from './source-time.ts';
import { WireReader } from './wire-reader.ts';

/*
 * A hand-written Protobuf decoder of `IoTData`, which other IoT programs send. Other versions of this message have the
 * same names and other types, so that `timestamp` and `value` are read by their wire types.
 */

/** Field tags of `IoTData`: (number << 3) | wire type. */
const dataTags = {
  device: 0x0a,
  timeInteger: 0x10,
  timeDouble: 0x11,
  timeMessage: 0x12,
  readings: 0x1a,
  id: 0x22,
  quality: 0x28,
} as const;

/** Field tags of `IoTData.Reading`. */
const readingTags = {
  sensor: 0x0a,
  boolean: 0x10,
  double: 0x11,
  text: 0x12,
  float: 0x15,
  unit: 0x1a,
} as const;

/** Field tags of `google.protobuf.Timestamp`. */
const timestampTags = { seconds: 0x08, nanos: 0x10 } as const;

/** The numbers of the fields that only `IoTData` has at its top level, and the first of a reading's value. */
const timestampNumber = 2;
const readingsNumber = 3;
const valueNumber = 2;

/**
 * Returns whether a body is an `IoTData` and no `ReportBatch`: a field 2 or 3 is at its top level. An `IoTDataBatch`
 * has neither. Throws `invalid_report` for malformed bytes before such a field.
 */
export function isIotData(bytes: Uint8Array): boolean {
  const reader = new WireReader(bytes, 'invalid_report');
  while (reader.at < reader.end) {
    const tag = reader.tag();
    const number = tag >>> 3;
    if (number === timestampNumber || number === readingsNumber) return true;
    reader.skip(tag & 7);
  }
  return false;
}

/**
 * Decodes a sender's `IoTData` to a report, and validates it as `decodeSentReport` does. Returns the report, or the
 * error of an invalid one.
 */
export function decodeIotData(bytes: Uint8Array): Report | TailraceError {
  try {
    return reportFrom(new WireReader(bytes, 'invalid_report'), bytes.length);
  } catch (error) {
    if (error instanceof TailraceError) return error;
    throw error;
  }
}

/** The last of a repeated field wins; an unknown field is ignored (proto3). */
function reportFrom(reader: WireReader, size: number): Report {
  const { encodedBytesMax } = reportLimits;
  if (size > encodedBytesMax)
    throw invalidReport(`IoTData: expected at most ${encodedBytesMax} bytes, got ${size}`, 'too_large');
  let device = '';
  let time = 0;
  let id = '';
  let quality = 0;
  const readings: Reading[] = [];
  while (reader.at < reader.end) {
    const tag = reader.tag();
    switch (tag) {
      case dataTags.device:
        device = reader.repeatedText();
        break;
      case dataTags.timeInteger:
        time = reader.signedVarint();
        break;
      case dataTags.timeDouble:
        time = reader.double();
        break;
      case dataTags.timeMessage:
        time = readTimestamp(reader);
        break;
      case dataTags.readings:
        assertReadingCount(readings.length + 1);
        readings.push(readReading(reader, readings.length));
        break;
      case dataTags.id:
        id = reader.text();
        break;
      case dataTags.quality:
        quality = reader.varint();
        break;
      default:
        // Else the report would have the time of ingest.
        if (tag >>> 3 === timestampNumber) throw invalidReport(timestampExpected);
        reader.skip(tag & 7);
    }
  }
  assertDevicePath(device);
  if (time !== 0) assertSourceTime(time, 'timestamp');
  assertReadingCount(readings.length);
  if (id !== '') assertReportId(id);
  const rated = withQuality(readings, quality);
  return id === '' ? { device, time, readings: rated } : { device, time, readings: rated, id };
}

const timestampExpected =
  'timestamp: expected milliseconds since 1970 as an integer or double, or a google.protobuf.Timestamp, got another type';

/** Reads a `google.protobuf.Timestamp`. Returns epoch ms. */
function readTimestamp(reader: WireReader): number {
  const outerEnd = reader.enter();
  let seconds = 0;
  let nanos = 0;
  while (reader.at < reader.end) {
    switch (reader.tag()) {
      case timestampTags.seconds:
        seconds = reader.signedVarint();
        break;
      case timestampTags.nanos:
        nanos = reader.signedVarint();
        break;
      default:
        // A text, or another message.
        throw invalidReport(timestampExpected);
    }
  }
  reader.leave(outerEnd);
  if (!(nanos >= 0 && nanos < 1e9)) throw invalidReport(`timestamp.nanos: expected 0 to 999999999, got ${nanos}`);
  return seconds * 1_000 + nanos / 1e6;
}

/** Reads a reading. `index`: in the report, for messages. */
function readReading(reader: WireReader, index: number): Reading {
  const outerEnd = reader.enter();
  let tag = '';
  // proto3 does not send 0.
  let value: Reading['value'] = 0;
  let unit = '';
  while (reader.at < reader.end) {
    const fieldTag = reader.tag();
    switch (fieldTag) {
      case readingTags.sensor:
        tag = reader.repeatedText();
        break;
      case readingTags.double:
        value = reader.double();
        break;
      case readingTags.float:
        value = reader.float();
        break;
      case readingTags.text:
        value = reader.text();
        break;
      case readingTags.boolean:
        value = booleanFrom(reader.signedVarint(), index);
        break;
      case readingTags.unit:
        unit = reader.repeatedText();
        break;
      default:
        if (fieldTag >>> 3 === valueNumber) throw invalidReport(valueExpected(index, `wire type ${fieldTag & 7}`));
        reader.skip(fieldTag & 7);
    }
  }
  reader.leave(outerEnd);
  assertTag(tag, index, 'readings', 'sensor_id');
  assertValue(value, index);
  if (unit === '') return { tag, value };
  assertUnit(unit, index);
  return { tag, value, unit };
}

/** An integer has the wire type of a boolean; as one, most of its values would be lost. */
function booleanFrom(integer: number, index: number): boolean {
  if (integer === 0 || integer === 1) return integer === 1;
  throw invalidReport(valueExpected(index, `the integer ${integer}`));
}

function valueExpected(index: number, found: string): string {
  return `readings[${index}].value: expected a double, float, text or boolean, got ${found}`;
}

/** Qualities by number. Absent and good are the same, and are left out. */
const qualities: readonly (Quality | undefined)[] = [undefined, undefined, 'uncertain', 'bad'];

function withQuality(readings: readonly Reading[], number: number): readonly Reading[] {
  if (number > 3) throw invalidReport(`quality: expected 0 to 3, got ${number}`);
  const quality = qualities[number];
  return quality === undefined ? readings : readings.map((reading) => ({ ...reading, quality }));
}
