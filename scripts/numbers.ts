/**
 * `make numbers`: prints numbers that should stay small: lines and files of the product, import cycles, words that the
 * project does not use, and comment lines that are too long. test/path-of-a-reading.itest.ts prints the files that a
 * reading passes.
 *
 *   node scripts/numbers.ts --word <word>   lists the places of the words of that entry of words.json
 *   node scripts/numbers.ts --comments      lists the comment lines that are too long
 *   node scripts/numbers.ts --lower         lowers the bounds in words.json to today's numbers, and raises none
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { jsonText } from './generated-text.ts';
import { importCycles, importsOf } from './import-graph.ts';
import { projectRoot } from './services.ts';
import { isProductFile, packageFiles, writtenFiles } from './source-files.ts';
import { longComments, nameOf, type Place, textsOf, wordList, wordListFile, wordPlaces } from './words.ts';

const { values } = parseArgs({
  options: { word: { type: 'string' }, comments: { type: 'boolean' }, lower: { type: 'boolean' } },
});
const list = wordList();
const texts = textsOf(writtenFiles());
const places = wordPlaces(list.words, texts);
const comments = longComments(list.commentColumnsMax, texts);

if (values.comments) print(comments.map(lineOf));
else if (values.word !== undefined) print(placesOf(values.word).map(lineOf));
else if (values.lower) lower();
else print([...productLines(), ...cycleLines(), ...wordLines()]);

function productLines(): string[] {
  const files = packageFiles().filter((file) => isProductFile(file) && /\.tsx?$/.test(file));
  const lines = files.reduce(
    (sum, file) => sum + readFileSync(join(projectRoot, file), 'utf8').split('\n').length - 1,
    0,
  );
  return [`${lines} product lines in ${files.length} files of packages and services`];
}

function cycleLines(): string[] {
  const cycles = importCycles(packageFiles().filter(isProductFile).flatMap(importsOf));
  return [`${cycles.length} import cycles`, ...cycles.map((files) => `  ${files.join('\n    ')}`)];
}

function wordLines(): string[] {
  const rows = list.words.map((word, index) => ({ word, count: places[index]!.length }));
  const sum = rows.reduce((total, { count }) => total + count, 0);
  return [
    `${comments.length} comment lines over ${list.commentColumnsMax} columns`,
    `${sum} words that the project does not use`,
    ...rows.map(({ word, count }) => `${String(count).padStart(6)}  ${nameOf(word)}  (instead: ${word.use})`),
  ];
}

function placesOf(wanted: string): Place[] {
  const index = list.words.findIndex((word) => nameOf(word).split(', ').includes(wanted));
  if (index >= 0) return places[index]!;
  process.stderr.write(`numbers: expected a word of ${wordListFile}, got ${wanted}\n`);
  process.exit(1);
}

function lower(): void {
  const words = list.words.map((word, index) => ({ ...word, max: Math.min(word.max, places[index]!.length) }));
  const lowered = { ...list, longCommentsMax: Math.min(list.longCommentsMax, comments.length), words };
  writeFileSync(join(projectRoot, wordListFile), jsonText(lowered));
}

function lineOf({ file, line, text }: Place): string {
  return `${file}:${line}: ${text.trim()}`;
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
