import type { NewRecord } from '@tailrace/eventlog/eventlog';
import { type ErrorCode, shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Rejection } from '@tailrace/protocol/ingestresult';
import { type Report, reportFromJson } from '@tailrace/protocol/report';
import { batchedReports, decodeSentReport, encodeReport } from '@tailrace/protocol/reportproto';
import type { DeviceNames } from './device-names.ts';
import { hasLargeNumber, JsonText } from './exact-integers.ts';
import { jsonRunsOf, runCharactersMax, runElementsMax } from './json-runs.ts';
import { type JsonFault, jsonFaultIn, jsonFaultSentence, jsonValueWords } from './jsonfault.ts';
import { withClock } from './report-clock.ts';
import { type Format, textFrom } from './request.ts';

/** Who may send which reports; see admission.ts. */
export interface Grant {
  allowsDevice(path: string): boolean;
  /** What it covers, in words, for messages. */
  readonly covers: string;
}

export interface IntakeOptions {
  readonly grant: Grant;
  /** Ingest's clock, epoch ms: becomes `received` of every report. */
  readonly receivedMs: number;
  /** How far ahead of that a time may be; beyond it the report is marked. */
  readonly clockAheadMs: number;
  readonly reportsMax: number;
  /** The devices that have reported. */
  readonly devices: Pick<DeviceNames, 'admit'>;
}

/** Rejections that tell why; the rest only that, so that an answer stays below about 1 MB. */
const reasonsMax = 100;
const reasonLeftOut = `see the first ${reasonsMax}: only they tell why`;

/** What came of a body: records for the log, in the order of the reports, and a rejection for each report that is none. */
export class Intake {
  readonly records: NewRecord[] = [];
  /** By index, ascending. Every report is either in here or in `records`. */
  readonly rejected: Rejection[] = [];
  /** In the records. */
  readings = 0;
  /** Of the rejections, those for want of rights. */
  forbidden = 0;
  /** Reports in the records whose device has a clock that is ahead. */
  clockAhead = 0;
  /** A fault of ours, for the log: the first error that no report should be able to cause. */
  internalFault: unknown;
  /** Of NDJSON, from 1; 0: the body has no lines to speak of. */
  line = 0;
  readonly #options: IntakeOptions;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** Reports seen so far. */
  get reports(): number {
    return this.records.length + this.rejected.length;
  }

  /**
   * What JSON.parse made of one report: of the whole text, or of the element `index` of its array. Hot, as is `take`:
   * nothing is made for a report but its record. The text is not kept: the intake lives until the log has confirmed.
   */
  takeJson(value: unknown, text: JsonText, index?: number): void {
    try {
      const report = reportFromJson(value);
      if (hasLargeNumber(report.readings)) text.assertExact(index);
      this.#take(report);
    } catch (error) {
      this.rejectFor(error);
    }
  }

  /** A checked report. */
  take(report: Report): void {
    try {
      this.#take(report);
    } catch (error) {
      this.rejectFor(error);
    }
  }

  /** Whether further rejections go without their reason. */
  get hasReasonsEnough(): boolean {
    return this.rejected.length >= reasonsMax;
  }

  rejectFor(thrown: unknown): void {
    const error = tailraceErrorFrom(thrown);
    if (error.code === 'internal') this.internalFault ??= thrown;
    this.#reject(error.code, error.message);
  }

  #take(report: Report): void {
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
    // Most of what a refused report costs is the stack trace of its error. `BodyReader` sets the limit back.
    if (this.hasReasonsEnough) Error.stackTraceLimit = 0;
    const told = this.rejected.length < reasonsMax ? place + message : reasonLeftOut;
    this.rejected.push({ index: this.reports, code, message: told });
  }
}

/**
 * Most reports, or lines, of one step, and most bytes, or one report more: a few milliseconds' work, accepted or
 * refused.
 */
export const stepReportsMax = runElementsMax;
export const stepBytesMax = runCharactersMax;

/** Takes the next reports, as many as one step may. Returns whether there are more. */
type TakeSome = () => boolean;

/**
 * Takes a body apart into records for the log, in steps of bounded work, so that the process can serve others between
 * them. What is wrong with a single report is among the rejections of the intake.
 */
export class BodyReader {
  readonly intake: Intake;
  readonly #open: (intake: Intake) => TakeSome;
  #takeSome: TakeSome | undefined;

  constructor(body: Buffer, format: Format, options: IntakeOptions) {
    this.intake = new Intake(options);
    const { reportsMax } = options;
    this.#open = (intake) => {
      if (format === 'json') return jsonReports(intake, body, reportsMax);
      return format === 'ndjson' ? lineReports(intake, body, reportsMax) : protobufReports(intake, body, reportsMax);
    };
  }

  /**
   * Returns whether the intake is complete. Throws `invalid_report` where the body is none of that format at all or
   * holds no report, `too_large` where it holds more than `reportsMax`.
   */
  step(): boolean {
    const { intake } = this;
    const { stackTraceLimit } = Error;
    try {
      if (intake.hasReasonsEnough) Error.stackTraceLimit = 0;
      this.#takeSome ??= this.#open(intake);
      if (this.#takeSome()) return false;
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
    if (intake.reports > 0) return true;
    throw new TailraceError('invalid_report', 'the body holds no report; right is at least one');
  }
}

/** Takes a whole body apart at once. Throws as `BodyReader.step` does. */
export function intakeFrom(body: Buffer, format: Format, options: IntakeOptions): Intake {
  const reader = new BodyReader(body, format, options);
  while (!reader.step());
  return reader.intake;
}

/** A small body, or a single report, in one step; of a larger array a run in each. */
function jsonReports(intake: Intake, body: Buffer, reportsMax: number): TakeSome {
  const text = textFrom(body);
  if (text.length <= stepBytesMax) return wholeJson(intake, text, reportsMax);
  const { isArray, runs, elements } = jsonRunsOf(text);
  if (!isArray) return wholeJson(intake, text, reportsMax);
  if (elements > reportsMax) throw tooMany(`${elements} reports`, reportsMax);
  let next = 0;
  return () => {
    const { from, until } = runs[next++]!;
    // The last one with all that is left, so that JSON.parse sees how the array ends, and what stands behind it.
    const run = next < runs.length ? `[${text.slice(from, until)}]` : `[${text.slice(from)}`;
    const reports = parsed(run, 1, { text, from: from - 1 }) as readonly unknown[];
    if (reports.length === 0 && runs.length > 1) throw malformedAt(text, { at: until, right: jsonValueWords }, 1);
    takeAll(intake, reports, run);
    return next < runs.length;
  };
}

function wholeJson(intake: Intake, text: string, reportsMax: number): TakeSome {
  return () => {
    const value = parsed(text, 1);
    if (!Array.isArray(value)) intake.takeJson(value, new JsonText(text));
    else if (value.length > reportsMax) throw tooMany(`${value.length} reports`, reportsMax);
    else takeAll(intake, value, text);
    return false;
  };
}

/** `source`: the text of this array. */
function takeAll(intake: Intake, reports: readonly unknown[], source: string): void {
  const text = new JsonText(source);
  for (let index = 0; index < reports.length; index++) intake.takeJson(reports[index], text, index);
}

const lineFeed = 0x0a;

/** By bytes, so that a line which is not UTF-8 spoils no other. Lines of nothing but space are none. */
function lineReports(intake: Intake, body: Buffer, reportsMax: number): TakeSome {
  let at = 0;
  return () => {
    const linesEnd = intake.line + stepReportsMax;
    const bytesEnd = Math.min(body.length, at + stepBytesMax);
    while (at < bytesEnd && intake.line < linesEnd) {
      let end = body.indexOf(lineFeed, at);
      if (end === -1) end = body.length;
      intake.line++;
      if (!isBlank(body, at, end)) {
        if (intake.reports === reportsMax) throw tooMany(`more than ${reportsMax} reports`, reportsMax);
        takeLine(intake, body.subarray(at, end));
      }
      at = end + 1;
    }
    return at < body.length;
  };
}

function takeLine(intake: Intake, line: Buffer): void {
  try {
    const text = textFrom(line);
    // A shorter one is parsed in bounded time whatever it holds.
    if (line.length > stepBytesMax && jsonRunsOf(text).isArray)
      throw new TailraceError(
        'invalid_report',
        'the report: expected an object with device and readings, got an array',
      );
    intake.takeJson(parsed(text, 0, { isExplained: !intake.hasReasonsEnough }), new JsonText(text));
  } catch (error) {
    intake.rejectFor(error);
  }
}

function isBlank(body: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = body[at];
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false;
  }
  return true;
}

function protobufReports(intake: Intake, body: Buffer, reportsMax: number): TakeSome {
  const reports = batchedReports(body, reportsMax);
  let next = 0;
  return () => {
    // All are decoded before the first is taken: by turns each took a quarter longer.
    const decoded: (Report | TailraceError)[] = [];
    let bytes = 0;
    while (next < reports.length && decoded.length < stepReportsMax && bytes < stepBytesMax) {
      const report = reports[next++]!;
      bytes += report.length;
      decoded.push(decodeSentReport(report));
    }
    for (const result of decoded) {
      if (result instanceof TailraceError) intake.rejectFor(result);
      else intake.take(result);
    }
    return next < reports.length;
  };
}

interface ParsedPart {
  /** The whole of which it is a part. Default: the part. */
  readonly text?: string;
  /** Where the part begins in it. Default: 0. */
  readonly from?: number;
  /** Whether the error says what is wrong. Default: true. */
  readonly isExplained?: boolean;
}

/** `line` 0: the part is a line whose number stands before the message anyway. */
function parsed(part: string, line: 0 | 1, { text = part, from = 0, isExplained = true }: ParsedPart = {}): unknown {
  try {
    return JSON.parse(part);
  } catch (cause) {
    throw isExplained
      ? malformed(part, from, text, line, cause)
      : new TailraceError('invalid_report', reasonLeftOut, { cause });
  }
}

/** So far a fault is looked for, which takes a hundred times as long as JSON.parse. Behind it V8's own words do. */
const explainedCharactersMax = 65_536;

/** JSON.parse has refused a part of the text, which begins at `from`. */
function malformed(part: string, from: number, text: string, line: 0 | 1, cause: unknown): TailraceError {
  if (text.trim() === '') {
    return new TailraceError('invalid_report', 'the body is empty; right is a report, or an array of reports', {
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
  // The usual mistake: one report a line, sent as JSON.
  const isLines = line === 1 && fault.right.startsWith('nothing more') && text[fault.at] === '{';
  const hint = isLines ? '; reports one a line are application/x-ndjson' : '';
  return new TailraceError('invalid_report', `the JSON is malformed at ${place}${hint}`, { cause });
}

function tooMany(found: string, reportsMax: number): TailraceError {
  return new TailraceError('too_large', `the body holds ${found}; at most ${reportsMax} are taken: send less at once`);
}
