import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writtenFiles } from './source-files.ts';
import {
  longComments,
  nameOf,
  textsOf,
  unusedExceptions,
  type Word,
  wordList,
  wordListFile,
  wordPlaces,
} from './words.ts';

const found = (word: Omit<Word, 'use' | 'max'>, text: string, file = 'a.ts') =>
  wordPlaces([{ use: '', max: 0, ...word }], [{ file, text }])[0]!.map(({ line }) => line);

test('a word is found in prose, in names of every style, and whatever its case', () => {
  const word = { words: 'wish, wishes' };
  assert.deepEqual(found(word, 'a wish\nonWish()\nWISH_MAX\nthe-wishes.ts\nwishful'), [1, 2, 3, 4]);
});

test('a word with a capital is found only where it is written so, and a phrase across the parts of a name and the end of a line', () => {
  assert.deepEqual(found({ words: 'Kept' }, 'it is kept\nnew Kept()\nKeptLog'), [2, 3]);
  assert.deepEqual(found({ words: 'let go' }, 'let it go\nlet go of it\nletGo()\n// let\n// go'), [2, 3, 4]);
});

test('a word is not reported in the phrases and the files that its entry allows, and outside of its folders', () => {
  const word = { words: 'flight', except: ['in flight'] };
  assert.deepEqual(found(word, 'requests in flight\ninFlightMax\nthe flight, in flight'), [3]);
  const cut = { words: 'cut', allowed: { 'the consistent cut': ['services/fanout/src/views/cut.ts'] } };
  assert.deepEqual(found(cut, 'cut', 'services/fanout/src/views/cut.ts'), []);
  assert.deepEqual(found(cut, 'cut', 'services/fanout/src/views/view.ts'), [1], 'a wrong use in any other file');
  assert.deepEqual(found({ words: 'lease', only: ['packages/eventlog/**'] }, 'lease', 'packages/bus/src/a.ts'), []);
  assert.deepEqual(found({ pattern: '\\broom\\(' }, 'room()\nroom'), [1]);
});

test('an exception with other characters than letters is code, and allows only what is written exactly so', () => {
  const word = { words: 'chain, told', except: ['.chain(', 'told: this.sent'] };
  assert.deepEqual(found(word, 'each.chain(map)\nchain(map)\n{ told: this.sent }\nclients are told: this'), [2, 4]);
});

test('an exception that allows nothing is reported', () => {
  const word: Word = {
    words: 'cut',
    use: '',
    max: 0,
    except: ['short cut', 'cut -d'],
    allowed: { a: ['a.ts', 'b.ts'] },
  };
  const texts = [
    { file: 'a.ts', text: 'a cut' },
    { file: 'b.ts', text: 'nothing' },
    { file: 'c.ts', text: 'a short cut' },
  ];
  assert.deepEqual(unusedExceptions([word], texts), ['cut: b.ts', 'cut: cut -d']);
});

test('a comment line is long by its columns, code and pages are not', () => {
  const long = 'x'.repeat(120);
  const lines = (file: string, text: string) => longComments(120, [{ file, text }]).map(({ line }) => line);
  assert.deepEqual(lines('a.ts', `// ${long}\n * ${long}\ncall('${long}');\ncall(); // ${long}\n// short`), [1, 2, 4]);
  assert.deepEqual(lines('a.yaml', `# ${long}\nkey: ${long}`), [1]);
  assert.deepEqual(lines('a.md', `# ${long}`), []);
});

test('no word of the list gets more frequent, and no comment line too long', () => {
  const list = wordList();
  const texts = textsOf(writtenFiles());
  const places = wordPlaces(list.words, texts);
  const over = list.words.flatMap((word, index) => {
    const count = places[index]!.length;
    if (count <= word.max) return [];
    const first = nameOf(word).split(', ')[0];
    return `"${nameOf(word)}": expected at most ${word.max}, got ${count}; write ${word.use}; node scripts/numbers.ts --word '${first}' lists them`;
  });
  const comments = longComments(list.commentColumnsMax, texts);
  if (comments.length > list.longCommentsMax)
    over.push(
      `comment lines over ${list.commentColumnsMax} columns: expected at most ${list.longCommentsMax}, got ${comments.length}; node scripts/numbers.ts --comments lists them`,
    );
  assert.deepEqual(over, [], `the bounds are in ${wordListFile}`);
  assert.deepEqual(unusedExceptions(list.words, texts), [], `exceptions of ${wordListFile} that allow nothing`);
});
