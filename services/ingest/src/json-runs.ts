import { TailraceError } from '@tailrace/protocol/error';
import { reportLimits } from '@tailrace/protocol/reportlimits';
import {
  arrayEnd,
  arrayStart,
  colon,
  comma,
  objectEnd,
  objectStart,
  pastSpace,
  quote,
  stringEnd,
} from './json-characters.ts';

/** A run ends with the element that fills so many characters: about a millisecond's work. */
export const runCharactersMax = 65_536;
/** A run has at most so many elements. */
export const runElementsMax = 500;
/**
 * Brackets, commas and colons of one report. A reading has five members, so at most 11 of them. What JSON.parse takes
 * for a text depends on these, not on its length: 1 MB of `[` takes it 60 ms.
 */
const tokensMax = 20 * reportLimits.readingsMax;

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

function tooManyTokens(element: number): TailraceError {
  const what = `report ${element}: expected at most ${tokensMax} brackets, commas and colons, got more`;
  return new TailraceError('invalid_report', `${what}: a report has at most ${reportLimits.readingsMax} readings`);
}
