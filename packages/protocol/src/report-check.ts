import type { ReportHeader } from './report-header.ts';
import { reportLimits } from './report-limits.ts';
import { readingTags, reportTags } from './report-tags.ts';
import { isPlainText } from './text.ts';
import { asciiText } from './wire-reader.ts';

/**
 * Why bytes are not a valid report of a device.
 * - `empty`: no bytes, as of a tombstone or an empty line of a console producer.
 * - `too_large`: more than `reportLimits.encodedBytesMax` bytes.
 * - `malformed`: invalid Protobuf or UTF-8, or a field that a `Report` never has.
 * - `device`: the report names another device than the key of its record.
 * - `time`: a time that is not finite, negative or beyond `reportLimits.timeMsMax`.
 * - `id`: a message ID that is too long or has control characters.
 * - `readings`: none, too many, or one without tag or value, or with a value or text over a limit of
 *   docs/PROTOCOL.md.
 */
export type InvalidReportReason = 'empty' | 'too_large' | 'malformed' | 'device' | 'time' | 'id' | 'readings';

/** All reasons, for labels of a metric. */
export const invalidReportReasons: readonly InvalidReportReason[] = [
  'empty',
  'too_large',
  'malformed',
  'device',
  'time',
  'id',
  'readings',
];

/**
 * Validates the bytes of a `Report`, which any program may have written, against all limits of docs/PROTOCOL.md.
 * Returns its header for routing, or why it is invalid. A valid report can be encoded for clients in every form.
 *
 * Runs for every record of the log, in one pass over the bytes. It allocates no object for a reading and no text but
 * the message ID, and never throws. So invalid records cost no more than as many reports.
 */
export function checkReport(bytes: Uint8Array, device: string): ReportHeader | InvalidReportReason {
  const end = bytes.length;
  if (end === 0) return 'empty';
  if (end > reportLimits.encodedBytesMax) return 'too_large';
  let at = 0;
  let hasDevice = false;
  let id = '';
  let time = 0;
  let received = 0;
  let clock = 0;
  let isHistorical = false;
  let readings = 0;
  while (at < end) {
    const tag = bytes[at]!;
    if (tag === reportTags.readings || tag === reportTags.device || tag === reportTags.id) {
      at = enter(bytes, at + 1, end);
      if (at < 0) return 'malformed';
      if (tag === reportTags.readings) {
        const reason = invalidReadingReason(bytes, at, fieldEnd);
        if (reason !== undefined) return reason;
        at = readingEnd;
        if (++readings > reportLimits.readingsMax) return 'readings';
      } else {
        // Each occurrence of a repeated field: readers decode all of them before the last one wins.
        const textEnd = fieldEnd;
        if (tag === reportTags.device) {
          if (!isAscii(bytes, at, textEnd, device)) return 'device';
          hasDevice = true;
        } else {
          const text = at + reportLimits.idBytesMax < textEnd ? undefined : textOf(bytes, at, textEnd);
          if (text === undefined || !isPlainText(text)) return 'id';
          id = text;
        }
        at = textEnd;
      }
    } else if (tag === reportTags.time || tag === reportTags.received) {
      if (at + 9 > end) return 'malformed';
      const timeMs = doubleAt(bytes, at + 1);
      // Also false for NaN.
      if (!(timeMs >= 0 && timeMs <= reportLimits.timeMsMax)) return 'time';
      if (tag === reportTags.received) received = timeMs;
      else time = timeMs;
      at += 9;
    } else if (tag === reportTags.clock || tag === reportTags.historical) {
      const value = varint(bytes, at + 1, end);
      if (value < 0) return 'malformed';
      if (tag === reportTags.clock) clock = value;
      else isHistorical = value !== 0;
      at = varintEnd;
    } else {
      at = skipUnknown(bytes, at, end);
      if (at < 0 || isDeliveryField(fieldNumber)) return 'malformed';
    }
  }
  if (!hasDevice) return 'device';
  if (readings === 0) return 'readings';
  return { device, id, received, time, clock, isHistorical };
}

// Second results of the functions below: an object for each would cost more than the functions.
let fieldEnd = 0;
let readingEnd = 0;
let fieldNumber = 0;

/** Reads the length of a field. Returns the field's first byte, and its end in `fieldEnd`. -1: malformed. */
function enter(bytes: Uint8Array, at: number, end: number): number {
  let length = at < end ? bytes[at]! : 0x80;
  let start = at + 1;
  if (length >= 0x80) {
    length = varint(bytes, at, end);
    if (length < 0) return -1;
    start = varintEnd;
  }
  fieldEnd = start + length;
  return fieldEnd <= end ? start : -1;
}

let varintEnd = 0;

/** Returns an unsigned integer below 2^53, and its end in `varintEnd`. -1: malformed, or larger. */
function varint(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  let scale = 1;
  for (let at = start; at < end && at < start + 10; at++, scale *= 128) {
    const byte = bytes[at]!;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      varintEnd = at + 1;
      return value <= Number.MAX_SAFE_INTEGER ? value : -1;
    }
  }
  return -1;
}

/**
 * Returns the end of an unknown field, and its number in `fieldNumber`. -1: malformed. So is a tag in more bytes than
 * it needs: readers accept it as the field of that number, which is validated only under its one-byte tag.
 */
function skipUnknown(bytes: Uint8Array, start: number, end: number): number {
  const tag = varint(bytes, start, end);
  const at = varintEnd;
  if (tag < 8 || tag > 0xffff_ffff || (tag < 0x80 && at > start + 1)) return -1;
  fieldNumber = Math.floor(tag / 8);
  switch (tag % 8) {
    case 0:
      return skipVarint(bytes, at, end);
    case 1:
      return at + 8 <= end ? at + 8 : -1;
    case 2:
      return enter(bytes, at, end) < 0 ? -1 : fieldEnd;
    case 5:
      return at + 4 <= end ? at + 4 : -1;
    default:
      return -1;
  }
}

/** Skips an integer of up to 64 bits. */
function skipVarint(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end && at < start + 10; at++) if (bytes[at]! < 0x80) return at + 1;
  return -1;
}

/** Returns whether the field is one of `Delivery` alone: only a server appends it to a report. */
function isDeliveryField(number: number): boolean {
  return number >= reportTags.partition >> 3 && number <= reportTags.delta >> 3;
}

const scratch = new Uint8Array(8);
const scratchView = new DataView(scratch.buffer);

/** Reads a double. Copying eight bytes costs less than a DataView of the record. */
function doubleAt(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < 8; i++) scratch[i] = bytes[at + i]!;
  return scratchView.getFloat64(0, true);
}

/** Returns whether the double is finite: its exponent is not all ones (IEEE 754, 3.4). */
function isFiniteAt(bytes: Uint8Array, at: number): boolean {
  return (bytes[at + 7]! & 0x7f) !== 0x7f || (bytes[at + 6]! & 0xf0) !== 0xf0;
}

/** Returns why the reading in [start, end) is invalid; undefined where it is valid. Sets `readingEnd`. */
function invalidReadingReason(bytes: Uint8Array, start: number, end: number): InvalidReportReason | undefined {
  readingEnd = end;
  let at = start;
  let hasTag = false;
  let hasValue = false;
  while (at < end) {
    const field = bytes[at]!;
    if (field === readingTags.tag || field === readingTags.unit || field === readingTags.text) {
      at = enter(bytes, at + 1, end);
      if (at < 0) return 'malformed';
      const textEnd = fieldEnd;
      if (field === readingTags.text) {
        hasValue = true;
        const reason = invalidValueReason(bytes, at, textEnd);
        if (reason !== undefined) return reason;
      } else {
        if (field === readingTags.tag) hasTag = textEnd > at;
        const max = field === readingTags.tag ? reportLimits.tagCharactersMax : reportLimits.unitCharactersMax;
        const reason = invalidTextReason(bytes, at, textEnd, max);
        if (reason !== undefined) return reason;
      }
      at = textEnd;
    } else if (field === readingTags.number) {
      if (at + 9 > end) return 'malformed';
      if (!isFiniteAt(bytes, at + 1)) return 'readings';
      hasValue = true;
      at += 9;
    } else if (field === readingTags.boolean || field === readingTags.quality) {
      if (varint(bytes, at + 1, end) < 0) return 'malformed';
      if (field === readingTags.boolean) hasValue = true;
      at = varintEnd;
    } else if (field === readingTags.time) {
      if (at + 9 > end) return 'malformed';
      const time = doubleAt(bytes, at + 1);
      if (!(time >= 0 && time <= reportLimits.timeMsMax)) return 'time';
      at += 9;
    } else {
      at = skipUnknown(bytes, at, end);
      if (at < 0) return 'malformed';
    }
  }
  return hasTag && hasValue ? undefined : 'readings';
}

/** Validates a tag or a unit, which have no control characters. */
function invalidTextReason(
  bytes: Uint8Array,
  start: number,
  end: number,
  charactersMax: number,
): InvalidReportReason | undefined {
  let isAscii = true;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte < 0x20 || byte === 0x7f) return 'readings';
    if (byte >= 0x80) isAscii = false;
  }
  if (isAscii) return end - start <= charactersMax ? undefined : 'readings';
  const text = textWithin(bytes, start, end, charactersMax);
  if (typeof text !== 'string') return text.reason;
  return isPlainText(text) ? undefined : 'readings';
}

/** Validates a value that is a text: no NUL. */
function invalidValueReason(bytes: Uint8Array, start: number, end: number): InvalidReportReason | undefined {
  let isAscii = true;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === 0) return 'readings';
    if (byte >= 0x80) isAscii = false;
  }
  if (isAscii) return end - start <= reportLimits.textCharactersMax ? undefined : 'readings';
  const text = textWithin(bytes, start, end, reportLimits.textCharactersMax);
  return typeof text === 'string' ? undefined : text.reason;
}

function textWithin(
  bytes: Uint8Array,
  start: number,
  end: number,
  charactersMax: number,
): string | { readonly reason: InvalidReportReason } {
  // A UTF-16 code unit takes at most three bytes of UTF-8.
  const text = end - start > charactersMax * 3 ? '' : textOf(bytes, start, end);
  if (text === undefined) return { reason: 'malformed' };
  return text.length === 0 || text.length > charactersMax ? { reason: 'readings' } : text;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Decodes UTF-8; undefined where it is invalid. */
function textOf(bytes: Uint8Array, start: number, end: number): string | undefined {
  const text = asciiText(bytes, start, end);
  if (text !== undefined) return text;
  try {
    return utf8.decode(bytes.subarray(start, end));
  } catch {
    return undefined;
  }
}

/** Returns whether the bytes are this text. The text must be ASCII, as device paths are. */
function isAscii(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80 || bytes[start + i] !== code) return false;
  }
  return true;
}
