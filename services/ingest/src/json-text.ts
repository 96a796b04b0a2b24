import { shown, TailraceError } from '@tailrace/protocol/error';
import { reportLimits } from '@tailrace/protocol/report-limits';

/*
 * What JSON.parse does not do with a text: divide it into parts that are parsed in bounded time (`jsonRunsOf`), keep
 * integers that a double does not hold (`markedJson`), and say where it is not JSON (`jsonFaultIn`).
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

/** A run ends with the element that fills so many characters: about a millisecond's work. */
export const runCharactersMax = 65_536;
/** A run has at most so many elements. */
export const runElementsMax = 500;
/**
 * Brackets, commas and colons of one report. A reading has five members, so at most 11 of them. What JSON.parse takes
 * for a text depends on these, not on its length: 1 MB of `[` takes it 60 ms.
 */
const tokensMax = 20 * reportLimits.readingsMax;

/** Consecutive elements of a JSON array, or one value that is not an array. */
export interface JsonRun {
  /** Index into the text. */
  readonly from: number;
  /** Exclusive: where the comma, or the end of the array, stands. */
  readonly until: number;
}

export interface JsonRuns {
  readonly isArray: boolean;
  readonly runs: readonly JsonRun[];
  /** Of the array. An empty array counts as one with an empty element. */
  readonly elements: number;
}

/**
 * Divides a JSON text into runs, each of which is parsed in bounded time: some 1.5 ms for 1 MiB. It does not check the
 * grammar. It stops at the end of the array or of the other value, and does not look at what follows.
 *
 * Throws `invalid_report` if one report has more brackets, commas and colons than a report can need.
 */
export function jsonRunsOf(text: string): JsonRuns {
  let at = pastSpace(text, 0);
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

/** Returns the index of the first character from `from` on that is no JSON space; the text's length if there is none. */
export function pastSpace(text: string, from: number): number {
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // RFC 8259 section 2: space, tab, line feed, carriage return, and no others.
    if (code !== 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) break;
  }
  return at;
}

/** Returns the index of the closing quote of the string that opens at `start`; beyond the text if there is none. */
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

/** The only key of the object that replaces an integer that a double does not hold. No report has such a key. */
const markKey = '\u0000';

/**
 * Returns the JSON text with an object in place of each integer that a double does not hold; undefined if there is
 * none. An integer is a number without fraction and exponent: with one of those a sender asks for the nearest double.
 * `text` is valid JSON.
 */
export function markedJson(text: string): string | undefined {
  let marked = '';
  let copied = 0;
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code === quote) at = stringEnd(text, at) + 1;
    else if (!isOfNumber(code)) at++;
    else {
      const end = numberEnd(text, at);
      // The letter e of `true` and `false` comes here, too, and is as short as most numbers.
      if (end - at >= digitsMin) {
        const number = text.slice(at, end);
        if (/^-?[0-9]+$/.test(number) && !isExact(number)) {
          marked += `${text.slice(copied, at)}{"\\u0000":"${number}"}`;
          copied = end;
        }
      }
      at = end;
    }
  }
  return copied === 0 ? undefined : marked + text.slice(copied);
}

/** Throws `invalid_report` if a value of the report is not held exactly. `report`: of a text from `markedJson`. */
export function assertExact(report: unknown): void {
  const { readings, values } = report as { readings?: readonly unknown[]; values?: readonly unknown[] };
  const list = values === undefined || values === null ? 'readings' : 'values';
  for (const [index, reading] of (values ?? readings ?? []).entries()) {
    const written = (reading as { value?: Readonly<Record<string, string>> }).value?.[markKey];
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

/** Digits, signs, the point, and the letter of an exponent. */
function isOfNumber(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x2b || code === 0x2e || (code | 0x20) === 0x65;
}

/**
 * Whether a double holds it, or it is what JavaScript writes for a double: the shortest digits that give it back, as
 * 1152921504606847000 for 2^60. An integer of more than 309 digits is infinite, so that BigInt never parses a longer
 * one.
 */
function isExact(integer: string): boolean {
  const value = Number(integer);
  return Number.isFinite(value) && (String(value) === integer || BigInt(integer) === BigInt(value));
}

/**
 * What may come next. `item` and `member` are the first of an array or object, which may end instead; `next` is what
 * follows a value: a comma, the end of the array or object around it, or the end of the text.
 */
type Next = 'value' | 'item' | 'name' | 'member' | 'colon' | 'next';

/** Where a text stops being JSON, and what was expected there. */
export interface JsonFault {
  /** Index into the text; its length if the text ends too early. */
  readonly at: number;
  readonly expected: string;
}

/**
 * Returns the first place at which a text is not JSON (RFC 8259, the same grammar as JSON.parse); undefined if it is
 * JSON as far as `charactersMax`.
 *
 * For messages only: JSON.parse decides, but not all of its errors say where, and their words change with V8. One pass
 * and no recursion, so that depth costs no stack.
 */
export function jsonFaultIn(text: string, charactersMax: number = text.length): JsonFault | undefined {
  const closers: number[] = [];
  let next: Next = 'value';
  let at = 0;
  for (;;) {
    at = pastSpace(text, at);
    if (at > charactersMax) return undefined;
    // NaN at the end of the text, which equals nothing.
    const code = text.charCodeAt(at);
    const closer = closers.at(-1);
    if (next === 'next') {
      if (closer === undefined)
        return at === text.length ? undefined : { at, expected: 'the end of the text, since a value has ended' };
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
function textEnd(text: string, start: number): number | JsonFault {
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
  return { at: text.length, expected: 'the double quote that ends the text' };
}

/** What a value is, for messages. */
export const jsonValueText = 'a value: an object, an array, a text in double quotes, a number, true, false or null';

const scalarPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null/y;

function scalarEnd(text: string, at: number): number | JsonFault {
  scalarPattern.lastIndex = at;
  if (scalarPattern.test(text)) return scalarPattern.lastIndex;
  return { at, expected: jsonValueText };
}

const excerptCharacters = 20;

/** A word that other languages write for a value, such as NaN, -Infinity or None: shown whole. */
const wordPattern = /-?[A-Za-z]{2,20}/y;

/** Returns the fault in one sentence: the place, what was expected, what came, and the text around it. */
export function jsonFaultSentence(text: string, { at, expected }: JsonFault): string {
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
