import { shown } from '@tailrace/protocol/error';
import {
  arrayEnd,
  arrayStart,
  backslash,
  colon,
  comma,
  objectEnd,
  objectStart,
  pastSpace,
  quote,
} from './json-characters.ts';

/**
 * What may come next. `item` and `member` are the first of an array or object, which may end instead; `next` is what follows a value:
 * a comma, the end of what it stands in, or the end of all.
 */
type Expected = 'value' | 'item' | 'name' | 'member' | 'colon' | 'next';

/** Where a text stops being JSON, and what would have been right there. */
export interface JsonFault {
  /** Index into the text; its length where the text ends too soon. */
  readonly at: number;
  readonly right: string;
}

/**
 * Finds the first place at which a text is not JSON (RFC 8259, the same grammar as JSON.parse). Undefined: it is JSON.
 *
 * For messages only: JSON.parse is the judge, but says where in some of its complaints and not in others, in words that change with V8.
 * One pass and no recursion, so that depth costs no stack. Undefined also where there is none up to `charactersMax`.
 */
export function jsonFaultIn(text: string, charactersMax: number = text.length): JsonFault | undefined {
  const closers: number[] = [];
  let expected: Expected = 'value';
  let at = 0;
  for (;;) {
    at = pastSpace(text, at);
    if (at > charactersMax) return undefined;
    // NaN at the end of the text, which equals nothing.
    const code = text.charCodeAt(at);
    const closer = closers.at(-1);
    if (expected === 'next') {
      if (closer === undefined)
        return at === text.length ? undefined : { at, right: 'nothing more, since a value has ended' };
      if (code === comma) expected = closer === arrayEnd ? 'value' : 'name';
      else if (code === closer) closers.pop();
      else return { at, right: closer === arrayEnd ? '"," or "]"' : '"," or "}"' };
      at++;
    } else if (expected === 'colon') {
      if (code !== colon) return { at, right: '":"' };
      expected = 'value';
      at++;
    } else if ((expected === 'item' || expected === 'member') && code === closer) {
      closers.pop();
      expected = 'next';
      at++;
    } else if ((expected === 'value' || expected === 'item') && (code === objectStart || code === arrayStart)) {
      closers.push(code === objectStart ? objectEnd : arrayEnd);
      expected = code === objectStart ? 'member' : 'item';
      at++;
    } else {
      const named: boolean = expected === 'name' || expected === 'member';
      if (named && code !== quote)
        return { at, right: expected === 'name' ? 'a name in double quotes' : 'a name in double quotes, or "}"' };
      const end = code === quote ? textEnd(text, at) : scalarEnd(text, at);
      if (typeof end !== 'number') return end;
      expected = named ? 'colon' : 'next';
      at = end;
    }
  }
}

const escapePattern = /\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})/y;

/** The end of the text whose quote is at `start`. */
function textEnd(text: string, start: number): number | JsonFault {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) return at + 1;
    if (code < 0x20) return { at, right: 'an escape such as \\n: control characters cannot stand in a text' };
    if (code !== backslash) continue;
    escapePattern.lastIndex = at;
    if (!escapePattern.test(text))
      return { at, right: 'an escape: \\" \\\\ \\/ \\b \\f \\n \\r \\t or \\u and four hexadecimal digits' };
    at = escapePattern.lastIndex - 1;
  }
  return { at: text.length, right: 'the double quote that ends the text' };
}

/** What a value is, for messages. */
export const jsonValueWords = 'a value: an object, an array, a text in double quotes, a number, true, false or null';

const scalarPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null/y;

function scalarEnd(text: string, at: number): number | JsonFault {
  scalarPattern.lastIndex = at;
  if (scalarPattern.test(text)) return scalarPattern.lastIndex;
  return { at, right: jsonValueWords };
}

const excerptCharacters = 20;

/** A word that other languages write for a value, such as NaN, -Infinity or None: shown whole. */
const wordPattern = /-?[A-Za-z]{2,20}/y;

/** The fault in one sentence: place, what stands there, what would be right, and the text around it. `line`: of the text's first line. */
export function jsonFaultSentence(text: string, fault: JsonFault, line = 1): string {
  const { at, right } = fault;
  const lineStart = text.lastIndexOf('\n', at - 1) + 1;
  let lines = line;
  for (let end = text.indexOf('\n'); end !== -1 && end < lineStart; end = text.indexOf('\n', end + 1)) lines++;
  const found = at >= text.length ? 'the text ends' : `${shown(wordAt(text, at))} stands`;
  const excerpt = shown(text.slice(Math.max(0, at - excerptCharacters), at + excerptCharacters));
  return `line ${lines}, column ${at - lineStart + 1}: ${found} where ${right} is right, near ${excerpt}`;
}

function wordAt(text: string, at: number): string {
  wordPattern.lastIndex = at;
  return wordPattern.exec(text)?.[0] ?? String.fromCodePoint(text.codePointAt(at)!);
}
