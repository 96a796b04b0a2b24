import { shown, TailraceError } from '@tailrace/protocol/error';
import { isObject } from '@tailrace/protocol/reading';
import { reportLimits } from '@tailrace/protocol/report-limits';

/*
 * What JSON.parse does not do: divide a text into runs that are parsed in bounded time (`jsonRunsOf`), find integers
 * that a double does not hold (`jsonWithInexact`), and locate the first syntax error (`jsonSyntaxErrorIn`).
 */

const codeOf = (character: string) => character.charCodeAt(0);
const quote = codeOf('"');
const backslash = codeOf('\\');
const comma = codeOf(',');
const colon = codeOf(':');
const arrayStart = codeOf('[');
const arrayEnd = codeOf(']');
const objectStart = codeOf('{');
const objectEnd = codeOf('}');

/** A run is complete with the element that reaches this number of characters: about a millisecond of work. */
export const runCharactersMax = 65_536;
/** Most elements of a run. */
export const runElementsMax = 500;
/**
 * Most brackets, commas and colons of one report. A reading has five members, so at most 11 of them. The time of
 * JSON.parse depends on their number, not on the length of the text: 1 MB of `[` takes 60 ms.
 */
const tokensMax = 20 * reportLimits.readingsMax;

/** Consecutive elements of a JSON array, or one value that is not an array. */
export interface JsonRun {
  /** Index into the text. */
  readonly from: number;
  /** Exclusive: the index of the comma, or of the end of the array. */
  readonly until: number;
}

export interface JsonRuns {
  readonly isArray: boolean;
  readonly runs: readonly JsonRun[];
  /** Number of elements of the array. An empty array counts as one with an empty element. */
  readonly elements: number;
}

/**
 * Divides a JSON text into runs, each of which is parsed in bounded time: some 1.5 ms for 1 MiB. Does not check the
 * grammar, and ignores what follows the array or other value.
 *
 * Throws `invalid_report` if one report has more brackets, commas and colons than a report can need.
 */
export function jsonRunsOf(text: string): JsonRuns {
  let at = skipSpace(text, 0);
  const isArray = text.charCodeAt(at) === arrayStart;
  if (isArray) at++;
  const runs: JsonRun[] = [];
  let [from, elements, elementsOfRun, depth, tokens] = [at, 1, 1, 0, 0];
  const endingAt = (until: number): JsonRuns => {
    runs.push({ from, until });
    return { isArray, runs, elements };
  };
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    switch (code) {
      case quote:
        at = stringEnd(text, at);
        break;
      case arrayStart:
      case objectStart:
        depth++;
        if (++tokens > tokensMax) throw tooManyTokens(elements);
        break;
      case arrayEnd:
      case objectEnd:
        depth--;
        if (depth < 0) return endingAt(at);
        if (depth === 0 && !isArray) return endingAt(at + 1);
        break;
      case colon:
        if (++tokens > tokensMax) throw tooManyTokens(elements);
        break;
      case comma:
        if (depth > 0) {
          if (++tokens > tokensMax) throw tooManyTokens(elements);
          break;
        }
        tokens = 0;
        elements++;
        if (elementsOfRun < runElementsMax && at - from < runCharactersMax) {
          elementsOfRun++;
          break;
        }
        runs.push({ from, until: at });
        from = at + 1;
        elementsOfRun = 1;
        break;
      default:
    }
  }
  return endingAt(text.length);
}

/**
 * Returns the index of the first character at or after `from` that is not JSON whitespace; the text's length if none
 * is.
 */
export function skipSpace(text: string, from: number): number {
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // RFC 8259 section 2: space, tab, line feed, carriage return, and no others.
    if (code !== 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) break;
  }
  return at;
}

/** Returns the index of the closing quote of the string that starts at `start`; beyond the text if it has none. */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) break;
    if (code === backslash) at++;
  }
  return at;
}

function tooManyTokens(element: number): TailraceError {
  const what = `report ${element}: expected at most ${tokensMax} brackets, commas and colons, got more`;
  return new TailraceError('invalid_report', `${what}: a report has at most ${reportLimits.readingsMax} readings`);
}

/** Decimal digits of 2^53 + 1, the smallest integer that a double does not hold. */
const digitsMin = 16;

/** The only key of the object that replaces an inexact integer. No report has such a key. */
const inexactKey = '\u0000';

/**
 * Returns a valid JSON text with an object in place of each inexact integer, one that a double does not hold; undefined
 * if there is none. An integer is a number without fraction and exponent: with one of those a sender requests the
 * nearest double.
 */
export function jsonWithInexact(text: string): string | undefined {
  let replaced = '';
  let copied = 0;
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code === quote) at = stringEnd(text, at) + 1;
    else if (!isOfNumber(code)) at++;
    else {
      const end = numberEnd(text, at);
      // Also the letter e of `true` and `false`, which is as short as most numbers.
      if (end - at >= digitsMin) {
        const number = text.slice(at, end);
        if (/^-?[0-9]+$/.test(number) && !isExactInteger(number)) {
          replaced += `${text.slice(copied, at)}{"\\u0000":"${number}"}`;
          copied = end;
        }
      }
      at = end;
    }
  }
  return copied === 0 ? undefined : replaced + text.slice(copied);
}

/**
 * Returns the value of a valid JSON text, with the digits as a text in place of each integer that a double does not
 * hold. For values of which a text is as good, such as IDs.
 */
export function jsonWithDigits(text: string): unknown {
  const replaced = jsonWithInexact(text);
  if (replaced === undefined) return JSON.parse(text);
  return JSON.parse(replaced, (_key, value: unknown) => {
    const written = isObject(value) ? (value as Readonly<Record<string, unknown>>)[inexactKey] : undefined;
    return written ?? value;
  });
}

/** Throws `invalid_report` if a value of the report is inexact. `report`: parsed from the text of `jsonWithInexact`. */
export function assertExact(report: unknown): void {
  const { readings, values } = report as { readings?: readonly unknown[]; values?: readonly unknown[] };
  const list = values === undefined || values === null ? 'readings' : 'values';
  for (const [index, reading] of (values ?? readings ?? []).entries()) {
    const written = (reading as { value?: Readonly<Record<string, string>> }).value?.[inexactKey];
    if (written === undefined) continue;
    throw new TailraceError(
      'invalid_report',
      `${list}[${index}].value: expected a number that a double holds exactly, or text; got ${written.slice(0, 80)}`,
    );
  }
}

function numberEnd(text: string, start: number): number {
  let at = start + 1;
  while (isOfNumber(text.charCodeAt(at))) at++;
  return at;
}

/** Whether a character is a digit, a sign, the decimal point, or the letter of an exponent. */
function isOfNumber(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x2b || code === 0x2e || (code | 0x20) === 0x65;
}

/**
 * Whether a double holds the integer, or it is the shortest form that JavaScript prints for a double, such as
 * 1152921504606847000 for 2^60. An integer of more than 309 digits is infinite, so that BigInt never parses a longer
 * one.
 */
export function isExactInteger(integer: string): boolean {
  const value = Number(integer);
  return Number.isFinite(value) && (String(value) === integer || BigInt(integer) === BigInt(value));
}

/**
 * The next token. `item` and `member`: the first of an array or object, or its end. `next`: a comma, the end of the
 * array or object, or the end of the text, after a value.
 */
type Next = 'value' | 'item' | 'name' | 'member' | 'colon' | 'next';

/** The first syntax error of a JSON text. */
export interface JsonSyntaxError {
  /** Index into the text; its length if the text is incomplete. */
  readonly at: number;
  readonly expected: string;
}

/**
 * Returns the first syntax error of a text (RFC 8259, the grammar of JSON.parse); undefined if there is none within
 * `charactersMax`.
 *
 * For messages only: JSON.parse decides, but its errors change with V8, and not all have the place. One pass without
 * recursion, so that depth costs no stack.
 */
export function jsonSyntaxErrorIn(text: string, charactersMax: number): JsonSyntaxError | undefined {
  const closers: number[] = [];
  let next: Next = 'value';
  let at = 0;
  for (;;) {
    at = skipSpace(text, at);
    if (at > charactersMax) return undefined;
    // NaN at the end of the text, which equals nothing.
    const code = text.charCodeAt(at);
    const closer = closers.at(-1);
    if (next === 'next') {
      if (closer === undefined)
        return at === text.length ? undefined : { at, expected: 'the end of the text, after a complete value' };
      if (code === comma) next = closer === arrayEnd ? 'value' : 'name';
      else if (code === closer) closers.pop();
      else return { at, expected: closer === arrayEnd ? '"," or "]"' : '"," or "}"' };
      at++;
    } else if (next === 'colon') {
      if (code !== colon) return { at, expected: '":"' };
      next = 'value';
      at++;
    } else if ((next === 'item' || next === 'member') && code === closer) {
      closers.pop();
      next = 'next';
      at++;
    } else if ((next === 'value' || next === 'item') && (code === objectStart || code === arrayStart)) {
      closers.push(code === objectStart ? objectEnd : arrayEnd);
      next = code === objectStart ? 'member' : 'item';
      at++;
    } else {
      const named: boolean = next === 'name' || next === 'member';
      if (named && code !== quote)
        return { at, expected: next === 'name' ? 'a name in double quotes' : 'a name in double quotes, or "}"' };
      const end = code === quote ? textEnd(text, at) : scalarEnd(text, at);
      if (typeof end !== 'number') return end;
      next = named ? 'colon' : 'next';
      at = end;
    }
  }
}

const escapePattern = /\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})/y;

/** Returns the index after the text whose opening quote is at `start`. */
function textEnd(text: string, start: number): number | JsonSyntaxError {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) return at + 1;
    if (code < 0x20) return { at, expected: 'an escape such as \\n: a text has no control characters' };
    if (code !== backslash) continue;
    escapePattern.lastIndex = at;
    if (!escapePattern.test(text))
      return { at, expected: 'an escape: \\" \\\\ \\/ \\b \\f \\n \\r \\t or \\u and four hexadecimal digits' };
    at = escapePattern.lastIndex - 1;
  }
  return { at: text.length, expected: 'the closing double quote of the text' };
}

/** A JSON value, for messages. */
export const jsonValueText = 'a value: an object, an array, a text in double quotes, a number, true, false or null';

const scalarPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null/y;

function scalarEnd(text: string, at: number): number | JsonSyntaxError {
  scalarPattern.lastIndex = at;
  if (scalarPattern.test(text)) return scalarPattern.lastIndex;
  return { at, expected: jsonValueText };
}

const excerptCharacters = 20;

/** A word of other languages for a value, such as NaN, -Infinity or None: it is quoted whole. */
const wordPattern = /-?[A-Za-z]{2,20}/y;

/** Returns a syntax error as text: the place, what was expected, what was found, and the text around it. */
export function jsonSyntaxErrorText(text: string, { at, expected }: JsonSyntaxError): string {
  const lineStart = text.lastIndexOf('\n', at - 1) + 1;
  let lines = 1;
  for (let end = text.indexOf('\n'); end !== -1 && end < lineStart; end = text.indexOf('\n', end + 1)) lines++;
  const found = at >= text.length ? 'the end of the text' : shown(wordAt(text, at));
  const excerpt = shown(text.slice(Math.max(0, at - excerptCharacters), at + excerptCharacters));
  return `line ${lines}, column ${at - lineStart + 1}: expected ${expected}, got ${found}, near ${excerpt}`;
}

function wordAt(text: string, at: number): string {
  wordPattern.lastIndex = at;
  return wordPattern.exec(text)?.[0] ?? String.fromCodePoint(text.codePointAt(at)!);
}
