import { isUtf8 } from 'node:buffer';
import type { NewRecord } from '@tailrace/eventlog/event-log';
import { type ErrorCode, shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Rejection } from '@tailrace/protocol/ingest-result';
import { decodeIotData, isIotData } from '@tailrace/protocol/iot-data-proto';
import { type Reading, type Report, reportFromJson } from '@tailrace/protocol/report';
import { batchedReports, decodeSentReport } from '@tailrace/protocol/report-proto';
import { type RecordContext, recordFrom } from './intake/record-from.ts';
import {
  assertExact,
  type JsonSyntaxError,
  jsonRunsOf,
  jsonSyntaxErrorIn,
  jsonSyntaxErrorText,
  jsonValueText,
  jsonWithInexact,
  runCharactersMax,
  runElementsMax,
} from './json-text.ts';

/** How the reports of a body are written. `protobuf`: a `ReportBatch` or an `IoTData`, which its fields distinguish. */
export type Format = 'json' | 'ndjson' | 'protobuf' | 'report-batch' | 'iot-data' | 'iot-data-batch';

export interface ParseOptions extends RecordContext {
  readonly reportsMax: number;
}

/** Most rejections of a request that have a reason: an answer stays below about 1 MB. */
export const reasonsMax = 100;
const noReason = `no reason: only the first ${reasonsMax} rejections have one`;

/** Reports of a request, and how many of them were rejected. */
export interface EarlierReports {
  readonly reports: number;
  readonly rejected: number;
}

/** The result of a body: records for the log, in the order of the reports, and a rejection for each other report. */
export class ParsedBody {
  readonly records: NewRecord[] = [];
  /** By index, ascending. Every report is either here or in `records`. */
  readonly rejected: Rejection[] = [];
  /** Number of readings in the records. */
  readings = 0;
  /** Rejections because the token does not cover the device. */
  forbidden = 0;
  /** Reports in the records whose device has a clock that is ahead. */
  clockAhead = 0;
  /** The first internal error, for the logger. */
  internalError: unknown;
  /** Current line of NDJSON, from 1; 0 for the other formats. */
  line = 0;
  readonly #options: ParseOptions;
  readonly #earlier: EarlierReports;

  /** `earlier`: the reports of the same request in other parsed bodies. Default: none. */
  constructor(options: ParseOptions, earlier: EarlierReports = { reports: 0, rejected: 0 }) {
    this.#options = options;
    this.#earlier = earlier;
  }

  /** Reports parsed so far. */
  get reports(): number {
    return this.records.length + this.rejected.length;
  }

  /**
   * Adds a report that JSON.parse returned: for the whole text, or for the element `index` of its array. Hot, as is
   * `add`: allocates the record of the report and nothing else. The text is not kept, because a parsed body lives until
   * the log has confirmed.
   */
  addJson(value: unknown, text: JsonText, index?: number): void {
    let report: Report;
    try {
      report = reportFromJson(value);
      if (hasLargeNumber(report.readings)) text.assertExact(index);
    } catch (error) {
      this.reject(error);
      return;
    }
    this.add(report);
  }

  /** Adds a valid report. */
  add(report: Report): void {
    try {
      const record = recordFrom(report, this.#options);
      this.records.push(record);
      this.readings += report.readings.length;
      if (record.clockAhead) this.clockAhead++;
    } catch (error) {
      this.reject(error);
    }
  }

  /** Whether further rejections have no reason. */
  get hasReasonsMax(): boolean {
    return this.#earlier.rejected + this.rejected.length >= reasonsMax;
  }

  reject(thrown: unknown): void {
    const error = tailraceErrorFrom(thrown);
    if (error.code === 'internal') this.internalError ??= thrown;
    if (error.code === 'forbidden') this.forbidden++;
    this.#reject(error.code, error.message);
  }

  #reject(code: ErrorCode, message: string): void {
    const place = this.line === 0 ? '' : `line ${this.line}: `;
    // Most of the cost of a rejected report is the stack trace of its error. `BodyParser` restores the limit.
    if (this.hasReasonsMax) Error.stackTraceLimit = 0;
    const reason = this.hasReasonsMax ? noReason : place + message;
    this.rejected.push({ index: this.#earlier.reports + this.reports, code, message: reason });
  }
}

/**
 * Most reports or lines of a step, and most bytes, except for a single larger report: a few milliseconds of work, for
 * accepted and rejected reports.
 */
export const stepReportsMax = runElementsMax;
export const stepBytesMax = runCharactersMax;

/** Parses the reports of one step. Returns whether more follow. */
type Step = () => boolean;

/**
 * Parses a body into records for the log, in steps of bounded work, so that the process serves other requests between
 * them. The error of a single report becomes a rejection.
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
      return format === 'ndjson'
        ? lineReports(parsed, body, reportsMax)
        : protobufReports(parsed, body, format, reportsMax);
    };
  }

  /**
   * Parses one step. Returns whether the body is complete. Throws `invalid_report` for a body that is not of its format
   * or has no report, and `too_large` for one with more than `reportsMax`.
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

/** Parses a small body, or a single report, in one step, and a larger array in a step for each run. */
function jsonReports(parsed: ParsedBody, body: Buffer, reportsMax: number): Step {
  const text = textFrom(body);
  if (text.length <= stepBytesMax) return wholeJson(parsed, text, reportsMax);
  const { isArray, runs, elements } = jsonRunsOf(text);
  if (!isArray) return wholeJson(parsed, text, reportsMax);
  if (elements > reportsMax) throw tooMany(`${elements}`, reportsMax);
  let next = 0;
  return () => {
    const { from, until } = runs[next++]!;
    // The last run has the rest of the text, so that JSON.parse checks the end of the array and what follows it.
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

/** Splits by bytes, so that a line that is not UTF-8 does not affect the others. Skips blank lines. */
function lineReports(parsed: ParsedBody, body: Buffer, reportsMax: number): Step {
  let at = 0;
  return () => {
    const linesEnd = parsed.line + stepReportsMax;
    const bytesEnd = Math.min(body.length, at + stepBytesMax);
    while (at < bytesEnd && parsed.line < linesEnd) {
      let end = body.indexOf(lineFeed, at);
      if (end === -1) end = body.length;
      parsed.line++;
      const line = body.subarray(at, end);
      if (parsed.reports === reportsMax && !isBlank(line)) throw tooMany('more', reportsMax);
      parseLine(parsed, line);
      at = end + 1;
    }
    return at < body.length;
  };
}

/** Adds the report of a line of NDJSON, or rejects it. Skips a blank line. */
export function parseLine(parsed: ParsedBody, line: Buffer): void {
  if (isBlank(line)) return;
  try {
    const text = textFrom(line);
    // A shorter line is parsed in bounded time, whatever its content.
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

function isBlank(line: Buffer): boolean {
  for (let at = 0; at < line.length; at++) {
    const byte = line[at];
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false;
  }
  return true;
}

function protobufReports(
  parsed: ParsedBody,
  body: Buffer,
  format: Exclude<Format, 'json' | 'ndjson'>,
  reportsMax: number,
): Step {
  if (format === 'iot-data' || (format === 'protobuf' && isIotData(body))) {
    return () => {
      addDecoded(parsed, decodeIotData(body));
      return false;
    };
  }
  const isIot = format === 'iot-data-batch';
  const reports = batchedReports(body, reportsMax, isIot ? 'IoTDataBatch' : 'ReportBatch');
  const decode = isIot ? decodeIotData : decodeSentReport;
  let next = 0;
  return () => {
    // All are decoded before the first is added: one at a time, each took a quarter longer.
    const decoded: (Report | TailraceError)[] = [];
    let bytes = 0;
    while (next < reports.length && decoded.length < stepReportsMax && bytes < stepBytesMax) {
      const report = reports[next++]!;
      bytes += report.length;
      decoded.push(decode(report));
    }
    for (const result of decoded) addDecoded(parsed, result);
    return next < reports.length;
  };
}

function addDecoded(parsed: ParsedBody, result: Report | TailraceError): void {
  if (result instanceof TailraceError) parsed.reject(result);
  else parsed.add(result);
}

interface JsonPart {
  /** The whole text. Default: the part. */
  readonly text?: string;
  /** Offset of the part in the text. Default: 0. */
  readonly from?: number;
  /** Whether the error needs a message. Default: true. */
  readonly hasReason?: boolean;
}

/**
 * Returns the value of a JSON text. Throws `invalid_report` with the place of the error. `line`: 0 for a text of one
 * line, such as of NDJSON, whose number the message has already.
 */
export function parseJson(
  part: string,
  line: 0 | 1,
  { text = part, from = 0, hasReason = true }: JsonPart = {},
): unknown {
  try {
    return JSON.parse(part);
  } catch (cause) {
    throw hasReason
      ? malformed(part, from, text, line, cause)
      : new TailraceError('invalid_report', noReason, { cause });
  }
}

/** The part of a text in which a syntax error is located: this takes a hundred times as long as JSON.parse. */
const explainedCharactersMax = 65_536;

/** Returns the error of a part of the text, starting at `from`, that JSON.parse has rejected. */
function malformed(part: string, from: number, text: string, line: 0 | 1, cause: unknown): TailraceError {
  if (text.trim() === '') {
    return new TailraceError('invalid_report', 'the body: expected a report or an array of reports, got nothing', {
      cause,
    });
  }
  const error = jsonSyntaxErrorIn(part, explainedCharactersMax);
  if (error !== undefined) return malformedAt(text, { ...error, at: from + error.at }, line, cause);
  return new TailraceError('invalid_report', `the JSON is malformed (${shown((cause as Error).message)})`, { cause });
}

function malformedAt(text: string, error: JsonSyntaxError, line: 0 | 1, cause?: unknown): TailraceError {
  const message = jsonSyntaxErrorText(text, error);
  const place = line === 0 ? message.replace(/^line 1, /, '') : message;
  // A common mistake: one report on each line, sent as JSON.
  const isLines = line === 1 && error.expected.startsWith('the end of the text') && text[error.at] === '{';
  const hint = isLines ? '; one report on each line is application/x-ndjson' : '';
  return new TailraceError('invalid_report', `the JSON is malformed at ${place}${hint}`, { cause });
}

function tooMany(found: string, reportsMax: number): TailraceError {
  return new TailraceError(
    'too_large',
    `the body: expected at most ${reportsMax} reports, got ${found}: send less at once`,
  );
}

/** Returns the text of UTF-8 bytes, without a BOM. Throws `invalid_report` with the place. */
export function textFrom(bytes: Buffer): string {
  if (!isUtf8(bytes)) {
    const at = utf8ErrorAt(bytes);
    const found = bytes.subarray(at, at + 4).toString('hex');
    throw new TailraceError('invalid_report', `byte ${at}: expected UTF-8, got 0x${found}`);
  }
  // Windows programs add a BOM; RFC 8259 section 8.1 allows to ignore it.
  const hasBom = bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return bytes.toString('utf8', hasBom ? 3 : 0);
}

/** Returns the first byte that is not UTF-8: the decoder replaces it by U+FFFD, which the bytes do not have there. */
function utf8ErrorAt(bytes: Buffer): number {
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

/** A double holds every integer below this; of larger ones JSON.parse loses digits without an error. */
const exactBelow = 2 ** 53;

/** Whether JSON.parse may have rounded a value: then the text is scanned. Hot: called once for each JSON report. */
export function hasLargeNumber(readings: readonly Reading[]): boolean {
  for (let index = 0; index < readings.length; index++) {
    const { value } = readings[index]!;
    if (typeof value === 'number' && (value >= exactBelow || value <= -exactBelow)) return true;
  }
  return false;
}

/** A valid JSON text, and the integers that JSON.parse has rounded. Scanned at most once. */
export class JsonText {
  readonly #text: string;
  #withInexact: { readonly value: unknown } | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /**
   * Throws `invalid_report` if a double does not hold a value of the report. `index`: in the array that the text is;
   * undefined for a text that is one report.
   */
  assertExact(index: number | undefined): void {
    if (this.#withInexact === undefined) {
      const text = jsonWithInexact(this.#text);
      this.#withInexact = { value: text === undefined ? undefined : JSON.parse(text) };
    }
    const { value } = this.#withInexact;
    if (value !== undefined) assertExact(index === undefined ? value : (value as readonly unknown[])[index]);
  }
}
