import { readingTags, reportTags } from './report-tags.ts';
import { WireReader } from './wire-reader.ts';

/** The fields of a report that routing needs. */
export interface ReportHeader {
  readonly device: string;
  /** Empty: none. */
  readonly id: string;
  /** Epoch ms by ingest's clock; 0: unknown. */
  readonly received: number;
  /** Epoch ms. */
  readonly time: number;
  /**
   * The number of the Protobuf enum. 0: the device's clock, 2: ingest's; any other means that the times are unreliable.
   */
  readonly clock: number;
  /** Whether its readings never become last values. */
  readonly isHistorical: boolean;
}

/**
 * Reads the header of a report that ingest has validated. Skips its readings. Throws `invalid_report` for malformed
 * bytes outside of readings.
 */
export function parseReportHeader(bytes: Uint8Array): ReportHeader {
  const reader = new WireReader(bytes, 'invalid_report');
  let device = '';
  let id = '';
  let received = 0;
  let time = 0;
  let clock = 0;
  let isHistorical = false;
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag === reportTags.time) time = reader.double();
    else if (tag === reportTags.device) device = reader.repeatedText();
    else if (tag === reportTags.id) id = reader.text();
    else if (tag === reportTags.received) received = reader.double();
    else if (tag === reportTags.clock) clock = reader.varint();
    else if (tag === reportTags.historical) isHistorical = reader.varint() !== 0;
    else reader.skip(tag & 7);
  }
  return { device, id, received, time, clock, isHistorical };
}

/**
 * Returns whether the report's readings have these tags, in this order, and no times of their own: the usual case of a
 * device that sends all its tags each time. It compares bytes, so no reading is decoded; false for tags beyond ASCII.
 * Throws `invalid_report` for malformed bytes.
 */
export function hasReadingTags(bytes: Uint8Array, tags: readonly string[]): boolean {
  const reader = new WireReader(bytes, 'invalid_report');
  let count = 0;
  while (reader.at < reader.end) {
    const field = reader.tag();
    if (field !== reportTags.readings) {
      reader.skip(field & 7);
      continue;
    }
    const tag = tags[count++];
    const outerEnd = reader.enter();
    if (tag === undefined || !hasTag(bytes, reader, tag)) return false;
    reader.leave(outerEnd);
  }
  return count === tags.length;
}

/** Compares the first tag field. The last of a repeated field would win, but no writer repeats one. */
function hasTag(bytes: Uint8Array, reader: WireReader, tag: string): boolean {
  let isFound = tag === '';
  while (reader.at < reader.end) {
    const field = reader.tag();
    if (field === readingTags.time) return false;
    if (field !== readingTags.tag) {
      reader.skip(field & 7);
      continue;
    }
    const readingEnd = reader.enter();
    const { at, end } = reader;
    if (end - at !== tag.length) return false;
    for (let i = 0; i < tag.length; i++) {
      const byte = bytes[at + i]!;
      if (byte !== tag.charCodeAt(i) || byte >= 128) return false;
    }
    isFound = true;
    reader.leave(readingEnd);
  }
  return isFound;
}
