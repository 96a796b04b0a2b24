import { readingTags, reportTags } from './report-tags.ts';
import { WireReader } from './wire-reader.ts';

/** What is needed of a report to know where it goes. */
export interface ReportHeader {
  readonly device: string;
  /** Empty: none. */
  readonly id: string;
  /** Ingest's clock, epoch ms; 0: not known. */
  readonly received: number;
  /** Epoch ms. */
  readonly time: number;
  /**
   * By number, as in the Protobuf; 0: the device's, 2: ingest's; any other says that the times are not to be relied on.
   */
  readonly clock: number;
}

/**
 * Reads a report that was checked before it went into the log only as far as routing needs; its readings are passed over. Throws
 * `invalid_report` for bytes that are damaged so far.
 */
export function parseReportHeader(bytes: Uint8Array): ReportHeader {
  const reader = new WireReader(bytes, 'invalid_report');
  let device = '';
  let id = '';
  let received = 0;
  let time = 0;
  let clock = 0;
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag === reportTags.time) time = reader.double();
    else if (tag === reportTags.device) device = reader.repeatedText();
    else if (tag === reportTags.id) id = reader.text();
    else if (tag === reportTags.received) received = reader.double();
    else if (tag === reportTags.clock) clock = reader.varint();
    else reader.skip(tag & 7);
  }
  return { device, id, received, time, clock };
}

/**
 * Whether the report's readings have these tags, in this order, and no times of their own: the usual case of a device
 * that sends all it has each time. By the bytes, so that no reading is decoded; of tags beyond ASCII it says false.
 * Throws `invalid_report` for damage.
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

/** Of a field that comes twice the last one counts, but no writer repeats one: the first is enough to go by. */
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
