import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type NabFile, nabScore, probationRows } from './nab-score.ts';

function fileOf(name: string, rows: number, windows: NabFile['windows']): NabFile {
  return {
    name,
    times: Array.from({ length: rows }, (_, index) => String(index)),
    values: Array(rows).fill(0),
    windows,
  };
}

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-9, `expected ${expected}, got ${actual}`);
}

const files = [
  fileOf('one', 1000, [
    [200, 299],
    [600, 699],
  ]),
  fileOf('two', 1000, []),
];
/** Scores of 1 at these rows of the first file. */
const at = (...rows: number[]) =>
  files.map((file, n) => ({ file, scores: file.values.map((_, i) => (n === 0 && rows.includes(i) ? 1 : 0)) }));

test('no detection has 0, and a detection at the left edge of each window has 100', () => {
  const none = nabScore(at());
  assert.deepEqual([none.score, none.windowsFound, none.falseRows], [0, 0, 0]);
  const perfect = nabScore(at(200, 600));
  near(perfect.score, 100);
  assert.deepEqual(perfect, { ...perfect, threshold: 1, windows: 2, windowsFound: 2, falseRows: 0 });
});

test('a window counts by its first detection', () => {
  // NAB's own documentation has 0.84828 for the middle of a window, before its division by 0.98661.
  near(nabScore(at(250, 260, 600)).score, (100 * (2 + 0.848283639957513 / 0.9866142981514305 + 1)) / 4);
});

test('each false row costs 0.11, and less shortly after a window', () => {
  near(nabScore(at(200, 598, 600), 1).score, (100 * (4 - 0.11)) / 4);
  const [inProbation, after] = [nabScore(at(100, 200, 600), 1), nabScore(at(200, 310, 600), 1)];
  near(inProbation.score, 100);
  const position = (310 - 299) / 99;
  near(after.score, (100 * (4 + 0.11 * (2 / (1 + Math.exp(5 * position)) - 1))) / 4);
});

test('the threshold is the best one over all files', () => {
  const [one, two] = files;
  const scores = one!.values.map((_, i) => (i === 200 ? 0.9 : i === 600 ? 0.5 : i === 800 ? 0.7 : 0.1));
  const best = nabScore([
    { file: one!, scores },
    { file: two!, scores: two!.values.map(() => 0) },
  ]);
  assert.equal(best.threshold, 0.5);
  assert.equal(best.falseRows, 1);
});

test('the probation has 15 % of the rows, at most 750', () => {
  assert.equal(probationRows(4032), 604);
  assert.equal(probationRows(22_695), 750);
});
