import { isUtf8 } from 'node:buffer';
import { gunzipSync } from 'node:zlib';
import type { NewRecord } from '@tailrace/eventlog/event-log';
import { type ErrorCode, shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Rejection } from '@tailrace/protocol/ingest-result';
import { type Reading, type Report, reportFromJson } from '@tailrace/protocol/report';
import { batchedReports, decodeSentReport, encodeReport } from '@tailrace/protocol/report-proto';
import {
  assertExact,
  type JsonFault,
  jsonFaultIn,
  jsonFaultSentence,
  jsonRunsOf,
  jsonValueText,
  markedJson,
  runCharactersMax,
  runElementsMax,
} from './json-text.ts';

/** How the reports of a body are written. */
export type Format = 'json' | 'ndjson' | 'protobuf';
export type Encoding = 'identity' | 'gzip';

/** Returns the body, unpacked. Throws `too_large` once more than `bytesMax` are unpacked, and `invalid_report`. */
export function unpackBody(body: Buffer, encoding: Encoding, bytesMax: number): Buffer {
  if (encoding === 'identity') return body;
  try {
    return gunzipSync(body, { maxOutputLength: bytesMax });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      const message = `the unpacked body: expected at most ${bytesMax} bytes, got more: send less at once`;
      throw new TailraceError('too_large', message, { cause });
    }
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TailraceError(
      'invalid_report',
      `the body: expected gzip (RFC 1952), as its content encoding says, got ${shown(why)}`,
      { cause },
    );
  }
}

/** The devices of which a sender may send reports; `TokenGrant` of admission.ts. */
export interface Grant {
  allowsDevice(path: string): boolean;
  /** What it covers, for messages. */
  readonly covers: string;
}

export interface ParseOptions {
  readonly grant: Grant;
  /** Ingest's clock, epoch ms: becomes `received` of every report. */
  readonly receivedMs: number;
  /** How far ahead of that a time may be; beyond it the report is marked. */
  readonly clockAheadMs: number;
  readonly reportsMax: number;
  /** Counts the devices that have reported; `DeviceNames` of admission.ts. */
  readonly devices: { admit(path: string): void };
}

/** Rejections with a reason; further ones have none, so that an answer stays below about 1 MB. */
const reasonsMax = 100;
const noReason = `see the first ${reasonsMax}: only they have a reason`;

/** The outcome of a body: records for the log, in the order of the reports, and a rejection for each other report. */
export class ParsedBody {
  readonly records: NewRecord[] = [];
  /** By index, ascending. Every report is either in here or in `records`. */
  readonly rejected: Rejection[] = [];
  /** In the records. */
  readings = 0;
  /** Rejections because the token does not cover the device. */
  forbidden = 0;
  /** Reports in the records whose device has a clock that is ahead. */
  clockAhead = 0;
  /** For the logger: the first error that no report should be able to cause. */
  internalError: unknown;
  /** Of NDJSON, from 1; 0 for the other formats. */
  line = 0;
  readonly #options: ParseOptions;

  constructor(options: ParseOptions) {
    this.#options = options;
  }

  /** Reports parsed so far. */
  get reports(): number {
    return this.records.length + this.rejected.length;
  }

  /**
   * Adds what JSON.parse returned for one report: for the whole text, or for the element `index` of its array. Hot, as
   * is `add`: nothing is allocated for a report but its record. The text is not kept, because a parsed body lives until
   * the log has confirmed.
   */
  addJson(value: unknown, text: JsonText, index?: number): void {
    try {
      const report = reportFromJson(value);
      if (hasLargeNumber(report.readings)) text.assertExact(index);
      this.#add(report);
    } catch (error) {
      this.reject(error);
    }
  }

  /** Adds a checked report. */
  add(report: Report): void {
    try {
      this.#add(report);
    } catch (error) {
      this.reject(error);
    }
  }

  /** Whether further rejections have no reason. */
  get hasReasonsMax(): boolean {
    return this.rejected.length >= reasonsMax;
  }

  reject(thrown: unknown): void {
    const error = tailraceErrorFrom(thrown);
    if (error.code === 'internal') this.internalError ??= thrown;
    this.#reject(error.code, error.message);
  }

  #add(report: Report): void {
    const { grant, receivedMs, clockAheadMs, devices } = this.#options;
    const { device } = report;
    if (!grant.allowsDevice(device)) {
      this.forbidden++;
      this.#reject('forbidden', `${shown(device)} is not covered: ${grant.covers}`);
      return;
    }
    const clocked = withClock(report, receivedMs, clockAheadMs);
    const value = encodeReport(clocked, receivedMs);
    devices.admit(device);
    this.records.push({ key: device, value });
    this.readings += report.readings.length;
    if (clocked.clock === 'ahead') this.clockAhead++;
  }

  #reject(code: ErrorCode, message: string): void {
    const place = this.line === 0 ? '' : `line ${this.line}: `;
    // Most of what a rejected report costs is the stack trace of its error. `BodyParser` restores the limit.
    if (this.hasReasonsMax) Error.stackTraceLimit = 0;
    const reason = this.rejected.length < reasonsMax ? place + message : noReason;
    this.rejected.push({ index: this.reports, code, message: reason });
  }
}

/**
 * Returns a sender's report with what ingest knows of its clock; the report itself if there is nothing to add.
 *
 * A report without a time gets ingest's, marked `ingest`. One with a time further ahead of ingest's clock than
 * `aheadMs` keeps it, marked `ahead`: a device whose clock is wrong still measures, but not at a known time, so that
 * its readings are at least `uncertain`. Where only the times of some readings are ahead, only those are.
 */
function withClock(report: Report, receivedMs: number, aheadMs: number): Report {
  const { time, readings } = report;
  const aheadFrom = receivedMs + aheadMs;
  if (time > aheadFrom) return { ...report, readings: readings.map(atLeastUncertain), clock: 'ahead' };
  for (let index = 0; index < readings.length; index++) {
    const { time: readingTime } = readings[index]!;
    if (readingTime === undefined || readingTime <= aheadFrom) continue;
    const marked = readings.map((each) => ((each.time ?? 0) > aheadFrom ? atLeastUncertain(each) : each));
    return { ...report, time: time === 0 ? receivedMs : time, readings: marked, clock: 'ahead' };
  }
  return time === 0 ? { ...report, time: receivedMs, clock: 'ingest' } : report;
}

function atLeastUncertain(reading: Reading): Reading {
  const isMarked = reading.quality === 'uncertain' || reading.quality === 'bad';
  return isMarked ? reading : { ...reading, quality: 'uncertain' };
}

/**
 * A step has at most this number of reports or lines, and at most these bytes or one report: a few milliseconds' work,
 * accepted or rejected.
 */
export const stepReportsMax = runElementsMax;
export const stepBytesMax = runCharactersMax;

/** Parses the reports of one step. Returns whether there are more. */
type Step = () => boolean;

/**
 * Parses a body into records for the log, in steps of bounded work, so that the process can serve others between them.
 * An error of a single report is among the rejections.
 */
export class BodyParser {
  readonly parsed: ParsedBody;
  readonly #open: (parsed: ParsedBody) => Step;
  #step: Step | undefined;

  constructor(body: Buffer, format: Format, options: ParseOptions) {
    this.parsed = new ParsedBody(options);
    const { reportsMax } = options;
    this.#open = (parsed) => {
      if (format === 'json') return jsonReports(parsed, body, reportsMax);
      return format === 'ndjson' ? lineReports(parsed, body, reportsMax) : protobufReports(parsed, body, reportsMax);
    };
  }

  /**
   * Returns whether the body is parsed. Throws `invalid_report` for a body that is not of its format or has no report,
   * and `too_large` for one with more than `reportsMax`.
   */
  step(): boolean {
    const { parsed } = this;
    const { stackTraceLimit } = Error;
    try {
      if (parsed.hasReasonsMax) Error.stackTraceLimit = 0;
      this.#step ??= this.#open(parsed);
      if (this.#step()) return false;
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
    if (parsed.reports > 0) return true;
    throw new TailraceError('invalid_report', 'the body: expected at least one report, got none');
  }
}

/** Parses a whole body at once. Throws as `BodyParser.step` does. */
export function parseBody(body: Buffer, format: Format, options: ParseOptions): ParsedBody {
  const parser = new BodyParser(body, format, options);
  while (!parser.step());
  return parser.parsed;
}

/** Parses a small body, or a single report, in one step, and one run of a larger array in each. */
function jsonReports(parsed: ParsedBody, body: Buffer, reportsMax: number): Step {
  const text = textFrom(body);
  if (text.length <= stepBytesMax) return wholeJson(parsed, text, reportsMax);
  const { isArray, runs, elements } = jsonRunsOf(text);
  if (!isArray) return wholeJson(parsed, text, reportsMax);
  if (elements > reportsMax) throw tooMany(`${elements}`, reportsMax);
  let next = 0;
  return () => {
    const { from, until } = runs[next++]!;
    // The last one with the rest of the text, so that JSON.parse checks the end of the array and what follows it.
    const run = next < runs.length ? `[${text.slice(from, until)}]` : `[${text.slice(from)}`;
    const reports = parseJson(run, 1, { text, from: from - 1 }) as readonly unknown[];
    if (reports.length === 0 && runs.length > 1) throw malformedAt(text, { at: until, expected: jsonValueText }, 1);
    addAll(parsed, reports, run);
    return next < runs.length;
  };
}

function wholeJson(parsed: ParsedBody, text: string, reportsMax: number): Step {
  return () => {
    const value = parseJson(text, 1);
    if (!Array.isArray(value)) parsed.addJson(value, new JsonText(text));
    else if (value.length > reportsMax) throw tooMany(`${value.length}`, reportsMax);
    else addAll(parsed, value, text);
    return false;
  };
}

/** `source`: the text of this array. */
function addAll(parsed: ParsedBody, reports: readonly unknown[], source: string): void {
  const text = new JsonText(source);
  for (let index = 0; index < reports.length; index++) parsed.addJson(reports[index], text, index);
}

const lineFeed = 0x0a;

/** By bytes, so that a line which is not UTF-8 does not affect another. Blank lines do not count. */
function lineReports(parsed: ParsedBody, body: Buffer, reportsMax: number): Step {
  let at = 0;
  return () => {
    const linesEnd = parsed.line + stepReportsMax;
    const bytesEnd = Math.min(body.length, at + stepBytesMax);
    while (at < bytesEnd && parsed.line < linesEnd) {
      let end = body.indexOf(lineFeed, at);
      if (end === -1) end = body.length;
      parsed.line++;
      if (!isBlank(body, at, end)) {
        if (parsed.reports === reportsMax) throw tooMany('more', reportsMax);
        parseLine(parsed, body.subarray(at, end));
      }
      at = end + 1;
    }
    return at < body.length;
  };
}

function parseLine(parsed: ParsedBody, line: Buffer): void {
  try {
    const text = textFrom(line);
    // A shorter one is parsed in bounded time whatever it holds.
    if (line.length > stepBytesMax && jsonRunsOf(text).isArray)
      throw new TailraceError(
        'invalid_report',
        'the report: expected an object with device and readings, got an array',
      );
    parsed.addJson(parseJson(text, 0, { hasReason: !parsed.hasReasonsMax }), new JsonText(text));
  } catch (error) {
    parsed.reject(error);
  }
}

function isBlank(body: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = body[at];
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false;
  }
  return true;
}

function protobufReports(parsed: ParsedBody, body: Buffer, reportsMax: number): Step {
  const reports = batchedReports(body, reportsMax);
  let next = 0;
  return () => {
    // All are decoded before the first is added: one by one, each took a quarter longer.
    const decoded: (Report | TailraceError)[] = [];
    let bytes = 0;
    while (next < reports.length && decoded.length < stepReportsMax && bytes < stepBytesMax) {
      const report = reports[next++]!;
      bytes += report.length;
      decoded.push(decodeSentReport(report));
    }
    for (const result of decoded) {
      if (result instanceof TailraceError) parsed.reject(result);
      else parsed.add(result);
    }
    return next < reports.length;
  };
}

interface JsonPart {
  /** The whole text of which it is a part. Default: the part. */
  readonly text?: string;
  /** Offset of the part in it. Default: 0. */
  readonly from?: number;
  /** Whether the message of the error is sent. Default: true. */
  readonly hasReason?: boolean;
}

/** `line` 0: the part is a line, whose number the message has anyway. */
function parseJson(part: string, line: 0 | 1, { text = part, from = 0, hasReason = true }: JsonPart = {}): unknown {
  try {
    return JSON.parse(part);
  } catch (cause) {
    throw hasReason
      ? malformed(part, from, text, line, cause)
      : new TailraceError('invalid_report', noReason, { cause });
  }
}

/**
 * A fault is searched in this part of the text, which takes a hundred times as long as JSON.parse. Beyond it the message
 * of V8 is sent.
 */
const explainedCharactersMax = 65_536;

/** JSON.parse has refused a part of the text, which starts at `from`. */
function malformed(part: string, from: number, text: string, line: 0 | 1, cause: unknown): TailraceError {
  if (text.trim() === '') {
    return new TailraceError('invalid_report', 'the body: expected a report or an array of reports, got nothing', {
      cause,
    });
  }
  const fault = jsonFaultIn(part, explainedCharactersMax);
  if (fault !== undefined) return malformedAt(text, { ...fault, at: from + fault.at }, line, cause);
  return new TailraceError('invalid_report', `the JSON is malformed (${shown((cause as Error).message)})`, { cause });
}

function malformedAt(text: string, fault: JsonFault, line: 0 | 1, cause?: unknown): TailraceError {
  const sentence = jsonFaultSentence(text, fault);
  const place = line === 0 ? sentence.replace(/^line 1, /, '') : sentence;
  // The usual mistake: one report on each line, sent as JSON.
  const isLines = line === 1 && fault.expected.startsWith('the end of the text') && text[fault.at] === '{';
  const hint = isLines ? '; one report on each line is application/x-ndjson' : '';
  return new TailraceError('invalid_report', `the JSON is malformed at ${place}${hint}`, { cause });
}

function tooMany(found: string, reportsMax: number): TailraceError {
  return new TailraceError(
    'too_large',
    `the body: expected at most ${reportsMax} reports, got ${found}: send less at once`,
  );
}

/** Returns the text of UTF-8 bytes, without a byte order mark. Throws `invalid_report` with the place. */
export function textFrom(bytes: Buffer): string {
  if (!isUtf8(bytes)) {
    const at = utf8FaultAt(bytes);
    const found = bytes.subarray(at, at + 4).toString('hex');
    throw new TailraceError('invalid_report', `byte ${at}: expected UTF-8, got 0x${found}`);
  }
  // Windows programs put it there; RFC 8259 section 8.1 allows to ignore it.
  const hasMark = bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return bytes.toString('utf8', hasMark ? 3 : 0);
}

/** Returns the first byte that is not UTF-8: where the decoder puts a replacement character that the bytes do not have. */
function utf8FaultAt(bytes: Buffer): number {
  const text = bytes.toString('utf8');
  let at = 0;
  let from = 0;
  for (let index = text.indexOf('\ufffd'); index !== -1; index = text.indexOf('\ufffd', from)) {
    at += Buffer.byteLength(text.slice(from, index));
    if (bytes[at] !== 0xef || bytes[at + 1] !== 0xbf || bytes[at + 2] !== 0xbd) break;
    at += 3;
    from = index + 1;
  }
  return at;
}

/** A double does not hold every integer from here on, and JSON.parse rounds them without an error. */
const exactBelow = 2 ** 53;

/** Whether JSON.parse may have rounded a value; only then is the text scanned. Hot: once for each JSON report. */
function hasLargeNumber(readings: readonly Reading[]): boolean {
  for (let index = 0; index < readings.length; index++) {
    const { value } = readings[index]!;
    if (typeof value === 'number' && (value >= exactBelow || value <= -exactBelow)) return true;
  }
  return false;
}

/** A JSON text that JSON.parse accepts, with the integers that it has rounded. Scanned at most once. */
class JsonText {
  readonly #text: string;
  #marked: { readonly value: unknown } | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /**
   * Throws `invalid_report` if the report has a value that a double does not hold: the report that is the whole text,
   * or the element `index` of its array.
   */
  assertExact(index: number | undefined): void {
    if (this.#marked === undefined) {
      const marked = markedJson(this.#text);
      this.#marked = { value: marked === undefined ? undefined : JSON.parse(marked) };
    }
    const { value } = this.#marked;
    if (value !== undefined) assertExact(index === undefined ? value : (value as readonly unknown[])[index]);
  }
}
