import { readFileSync } from 'node:fs';
import { join, matchesGlob } from 'node:path';
import { projectRoot } from './services.ts';

/** A word or phrase that the project does not use, as words.json has it. */
export interface Word {
  /**
   * Words and phrases, separated by commas. They are found in prose and inside names: "wish" in `onWish` and
   * `wish_count`. One with a capital is found only where it is written so.
   */
  readonly words?: string;
  /** Instead of `words`: a regular expression for the whole line. */
  readonly pattern?: string;
  /** What to write instead. */
  readonly use: string;
  /** Phrases of the field in which the word is right. */
  readonly except?: readonly string[];
  /** Globs of files in which the word is right. */
  readonly allowed?: readonly string[];
  /** Globs of the only files in which the word is wrong. Default: all. */
  readonly only?: readonly string[];
  /** The number of lines that have it, at most: today's number, so that it only falls. */
  readonly max: number;
}

export interface WordList {
  readonly commentColumnsMax: number;
  /** The number of comment lines that are longer, at most. */
  readonly longCommentsMax: number;
  readonly words: readonly Word[];
}

export interface Text {
  /** From the root. */
  readonly file: string;
  readonly text: string;
}

export interface Place {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

export const wordListFile = 'scripts/words.json';

export function wordList(): WordList {
  return JSON.parse(readFileSync(join(projectRoot, wordListFile), 'utf8')) as WordList;
}

/** Returns the text of each file. */
export function textsOf(files: readonly string[]): Text[] {
  return files.map((file) => ({ file, text: readFileSync(join(projectRoot, file), 'utf8') }));
}

export function nameOf(word: Word): string {
  return word.words ?? word.pattern ?? '';
}

/** Returns the lines that have each word, in the order of the list. */
export function wordPlaces(words: readonly Word[], texts: readonly Text[]): Place[][] {
  const finders = words.map((word) => ({ word, isIn: finderOf(word) }));
  const places: Place[][] = words.map(() => []);
  for (const { file, text: whole } of texts) {
    const here = finders.flatMap(({ word, isIn }, index) => (isWrongIn(word, file) ? [{ isIn, index }] : []));
    whole.split('\n').forEach((text, at) => {
      const prose = spaced(text);
      for (const { isIn, index } of here) if (isIn(prose, text)) places[index]!.push({ file, line: at + 1, text });
    });
  }
  return places;
}

/** Returns the comment lines with more than `columnsMax` columns, and lines that code and a comment share. */
export function longComments(columnsMax: number, texts: readonly Text[]): Place[] {
  const places: Place[] = [];
  for (const { file, text: whole } of texts) {
    if (/\.(md|html)$/.test(file)) continue;
    const comment = /\.(tsx?|m?js|java|proto|css)$/.test(file)
      ? /^\s*(\/\/|\/?\*)|[;,{)]\s+\/\/ /
      : /^\s*(#|\{\{-? *\/\*)/;
    whole.split('\n').forEach((text, at) => {
      if (text.length > columnsMax && comment.test(text)) places.push({ file, line: at + 1, text });
    });
  }
  return places;
}

function isWrongIn(word: Word, file: string): boolean {
  const matches = (glob: string) => matchesGlob(file, glob);
  return !file.startsWith('scripts/words.') && !word.allowed?.some(matches) && (word.only?.some(matches) ?? true);
}

/** Returns the words of a line with one space between them; names are taken apart. */
function spaced(line: string): string {
  return line
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .replace(/[^A-Za-z]+/g, ' ');
}

function finderOf(word: Word): (prose: string, line: string) => boolean {
  if (word.pattern !== undefined) {
    const pattern = new RegExp(word.pattern);
    return (_, line) => pattern.test(line);
  }
  const all = (word.words ?? '').split(',').map((each) => each.trim());
  const alternatives = (some: readonly string[], flags: string) => new RegExp(`\\b(?:${some.join('|')})\\b`, flags);
  const exact = all.filter((each) => /[A-Z]/.test(each));
  const any = all.filter((each) => !/[A-Z]/.test(each));
  const patterns = [
    ...(exact.length > 0 ? [alternatives(exact, '')] : []),
    ...(any.length > 0 ? [alternatives(any, 'i')] : []),
  ];
  const except = word.except === undefined ? undefined : alternatives(word.except, 'gi');
  const isIn = (prose: string) => patterns.some((pattern) => pattern.test(prose));
  return (prose) => isIn(prose) && (except === undefined || isIn(prose.replace(except, ' ')));
}
