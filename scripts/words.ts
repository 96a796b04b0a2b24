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
  /** Instead of `words`: a regular expression for the text as it is. */
  readonly pattern?: string;
  /** What to write instead. */
  readonly use: string;
  /**
   * Phrases of the field that may contain the word, in lower case. One with other characters than lower-case letters
   * and spaces is code, and is found exactly as it is written: ".chain(".
   */
  readonly except?: readonly string[];
  /** Globs of files that may contain the word, by its meaning there. */
  readonly allowed?: Readonly<Record<string, readonly string[]>>;
  /** Globs of the only files that may not contain the word. Default: all. */
  readonly only?: readonly string[];
  /** How often it is there at most: today's number, so that it only falls. */
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

/** Returns the places of each word, in the order of the list. A phrase may go over the end of a line. */
export function wordPlaces(words: readonly Word[], texts: readonly Text[]): Place[][] {
  const finders = words.map((word) => ({ word, offsetsIn: finderOf(word) }));
  const places: Place[][] = words.map(() => []);
  for (const each of texts) {
    const { file, text } = each;
    const prose = proseOf(each);
    for (const [index, { word, offsetsIn }] of finders.entries()) {
      const [searched, offsets] = offsetsIn(prose, text);
      if (offsets.length === 0 || !isWrongIn(word, file)) continue;
      for (const offset of offsets) {
        const line = searched.slice(0, offset).split('\n').length;
        places[index]!.push({ file, line, text: text.split('\n')[line - 1]! });
      }
    }
  }
  return places;
}

/**
 * Returns the exceptions that allow nothing: globs of `allowed` without a file that has the word, and phrases of
 * `except` without which the same places would be found.
 */
export function unusedExceptions(words: readonly Word[], texts: readonly Text[]): string[] {
  const placesWithout = wordPlaces(
    words.map(({ except: _, allowed: __, ...word }) => word),
    texts,
  );
  return words.flatMap((word, index) => {
    const files = new Set(placesWithout[index]!.map(({ file }) => file));
    const own = texts.filter(({ file }) => files.has(file));
    const countOf = (changed: Word) => wordPlaces([changed], own)[0]!.length;
    const count = countOf(word);
    const { except = [] } = word;
    return [
      ...allowedGlobs(word).filter((glob) => ![...files].some((file) => matchesGlob(file, glob))),
      ...except.filter((phrase) => countOf({ ...word, except: except.filter((each) => each !== phrase) }) === count),
    ].map((exception) => `${nameOf(word)}: ${exception}`);
  });
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
  return !file.startsWith('scripts/words.') && !allowedGlobs(word).some(matches) && (word.only?.some(matches) ?? true);
}

function allowedGlobs({ allowed = {} }: Word): string[] {
  return Object.values(allowed).flat();
}

/** Each exception searches the same texts again. */
const proses = new WeakMap<Text, string>();

function proseOf(text: Text): string {
  let prose = proses.get(text);
  if (prose === undefined) {
    prose = spaced(text.text);
    proses.set(text, prose);
  }
  return prose;
}

/** Returns the words of a text: names are taken apart, lines stay lines. */
function spaced(text: string): string {
  return text
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .replace(/[^A-Za-z\n]+/g, ' ');
}

/** A function from the words of a text, and the text, to the one that was searched and where in it the word is. */
type Finder = (prose: string, text: string) => [searched: string, offsets: number[]];

function finderOf(word: Word): Finder {
  const offsets = (pattern: RegExp, text: string) => [...text.matchAll(pattern)].map(({ index }) => index);
  const { except = [] } = word;
  const phrases = except.filter(isPhrase);
  const code = except.filter((each) => !isPhrase(each));
  const withoutCode = (text: string) => code.reduce((rest, each) => rest.replaceAll(each, '; '), text);
  if (word.pattern !== undefined) {
    const pattern = new RegExp(word.pattern, 'g');
    return (_, text) => {
      const searched = withoutCode(text);
      return [searched, offsets(pattern, searched)];
    };
  }
  const all = (word.words ?? '').split(',').map((each) => each.trim());
  const exact = all.filter((each) => /[A-Z]/.test(each));
  const others = all.filter((each) => !/[A-Z]/.test(each));
  const patterns = [
    ...(exact.length > 0 ? [alternatives(exact, 'g')] : []),
    ...(others.length > 0 ? [alternatives(others, 'gi')] : []),
  ];
  const phrase = phrases.length > 0 ? alternatives(phrases, 'gi') : undefined;
  return (prose, text) => {
    const rest = code.some((each) => text.includes(each)) ? spaced(withoutCode(text)) : prose;
    const searched = phrase ? rest.replace(phrase, (found) => found.replace(/[^\n]+/g, ' ')) : rest;
    return [searched, patterns.flatMap((pattern) => offsets(pattern, searched))];
  };
}

function isPhrase(exception: string): boolean {
  return /^[a-z ]+$/.test(exception);
}

function alternatives(phrases: readonly string[], flags: string): RegExp {
  return new RegExp(`\\b(?:${phrases.map((phrase) => phrase.replaceAll(' ', '\\s+')).join('|')})\\b`, flags);
}
