import { TailraceError } from '@tailrace/protocol/error';
import { reportLimits } from '@tailrace/protocol/reportlimits';

/** A run ends with the element that fills so many characters: about a millisecond's work. */
export const runCharactersMax = 65_536;
/** A run has at most so many elements. */
export const runElementsMax = 500;
/**
 * Brackets, commas and colons of one report. A reading has five members, so at most 11 of them. What JSON.parse takes
 * for a text depends on these, not on its length: 1 MB of `[` takes it 60 ms.
 */
const tokensMax = 20 * reportLimits.readingsMax;

const codeOf = (character: string) => character.charCodeAt(0);
const quote = codeOf('"');
const backslash = codeOf('\\');
const comma = codeOf(',');
const colon = codeOf(':');
const arrayStart = codeOf('[');
const arrayEnd = codeOf(']');
const objectStart = codeOf('{');
const objectEnd = codeOf('}');

/** Consecutive elements of a JSON array, or a value that is none. */
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
