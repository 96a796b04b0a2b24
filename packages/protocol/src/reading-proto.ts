import {
  assertReadingSourceTime,
  assertReadingTime,
  assertTag,
  assertUnit,
  assertValue,
  invalidReport,
  type Quality,
  type Reading,
} from './reading.ts';
import { readingTags } from './report-tags.ts';
import type { WireReader } from './wire-reader.ts';
import type { WireWriter } from './wire-writer.ts';

/** Writes the fields of a reading, without the length before them. */
export function writeReading(writer: WireWriter, reading: Reading): void {
  const { value, unit, quality, time } = reading;
  writer.textField(readingTags.tag, reading.tag);
  if (typeof value === 'number') writer.doubleField(readingTags.number, value);
  else if (typeof value === 'string') writer.textField(readingTags.text, value);
  else {
    writer.byte(readingTags.boolean);
    writer.byte(value ? 1 : 0);
  }
  if (unit !== undefined && unit !== '') writer.textField(readingTags.unit, unit);
  if (quality !== undefined && quality !== 'good') {
    writer.byte(readingTags.quality);
    writer.byte(quality === 'bad' ? 3 : 2);
  }
  if (time !== undefined) writer.doubleField(readingTags.time, time);
}

/**
 * Source of Protobuf bytes: the log, which ingest wrote; a server; or a sender of reports, whose times must be
 * plausible.
 */
export type WireSource = 'log' | 'server' | 'sender';

/**
 * Reads a length-delimited reading. `index` is its index in the report, for error messages. Throws `invalid_report` for
 * malformed bytes and for a reading without a value. Unless the source is the log, also for content that is invalid in
 * JSON. For a sender, also for an unknown quality; a delivery of a later version may have one.
 */
export function readReading(reader: WireReader, index: number, source: WireSource): Reading {
  const outerEnd = reader.enter();
  let tag = '';
  let value: number | boolean | string | undefined;
  let unit = '';
  let quality = 0;
  let time: number | undefined;
  while (reader.at < reader.end) {
    const fieldTag = reader.tag();
    switch (fieldTag) {
      case readingTags.tag:
        tag = reader.repeatedText();
        break;
      case readingTags.number:
        value = reader.double();
        break;
      case readingTags.boolean:
        value = reader.varint() !== 0;
        break;
      case readingTags.text:
        value = reader.text();
        break;
      case readingTags.unit:
        unit = reader.repeatedText();
        break;
      case readingTags.quality:
        quality = reader.varint();
        break;
      case readingTags.time:
        time = reader.double();
        break;
      default:
        if (source === 'sender' && isValueNumber(fieldTag >>> 3))
          throw invalidReport(
            `readings[${index}]: expected a double in field 2 and a boolean in field 3, got wire type ${fieldTag & 7} in field ${fieldTag >>> 3}; ${iotDataHint}`,
          );
        reader.skip(fieldTag & 7);
    }
  }
  reader.leave(outerEnd);
  if (source !== 'log') {
    assertTag(tag, index);
    assertValue(value, index);
    if (unit !== '') assertUnit(unit, index);
    if (source === 'sender' && time === 0) time = undefined;
    if (time !== undefined) {
      if (source === 'sender') assertReadingSourceTime(time, index);
      else assertReadingTime(time, index);
    }
    if (source === 'sender' && quality > 3)
      throw invalidReport(`readings[${index}].quality: expected 0 to 3, got ${quality}`);
  }
  if (value === undefined)
    throw invalidReport(`readings[${index}].value: expected a number, boolean or text, got none`);
  return readingOf(tag, value, unit, quality, time);
}

/** For a sender whose batch of `IoTData` is read as a `ReportBatch`: the fields of both have the same numbers. */
export const iotDataHint = 'a batch of IoTData has proto=tailrace.v1.IoTDataBatch in its content type';

/** Whether `IoTData` has another field of this number in its readings, a value or a unit that would be lost. */
function isValueNumber(number: number): boolean {
  return number === readingTags.number >>> 3 || number === readingTags.boolean >>> 3;
}

/** Qualities by number. Absent and good are the same, and are left out. */
const qualities: readonly (Quality | undefined)[] = [undefined, undefined, 'uncertain', 'bad'];

function readingOf(
  tag: string,
  value: Reading['value'],
  unit: string,
  number: number,
  time: number | undefined,
): Reading {
  // A quality of a later version counts as uncertain.
  const quality = number > 3 ? 'uncertain' : qualities[number];
  if (quality === undefined && time === undefined) return unit === '' ? { tag, value } : { tag, value, unit };
  const reading: { tag: string; value: Reading['value']; unit?: string; quality?: Quality; time?: number } = {
    tag,
    value,
  };
  if (unit !== '') reading.unit = unit;
  if (quality !== undefined) reading.quality = quality;
  if (time !== undefined) reading.time = time;
  return reading;
}
