import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { answersOf, defines, unclearFilesOf } from './names.ts';
import { root } from './pages.ts';

const folders = ['packages', 'services', 'test', 'scripts', 'loadtest'];
const files = folders
  .flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: root }))
  .filter((file) => !file.includes('node_modules'));
const page = 'docs/ARCHITECTURE.md';
const read = (file: string) => readFileSync(join(root, file), 'utf8');

test('"Where to find" of ARCHITECTURE.md names existing files and functions', () => {
  const answers = answersOf(read(page));
  assert.ok(answers.length >= 17, `expected 17 answers or more, got ${answers.length}`);
  const wrong = answers.filter(({ file, name }) => {
    const path = /^(packages|services)\//.test(file) ? file : `services/fanout/src/${file}`;
    return !files.includes(path) || !defines(read(path), name);
  });
  assert.deepEqual(wrong, []);
});

test('every TypeScript file that ARCHITECTURE.md names is one file', () => {
  assert.deepEqual(unclearFilesOf(read(page), files, ['main.ts', 'config.ts', 'app.ts']), []);
});

test('a function or a file that does not exist is found', () => {
  assert.deepEqual(answersOf('| Where? | [A](#a) | `a/b.ts` | `B.#c` |\n| no | `x.ts` |\n'), [
    { file: 'a/b.ts', name: 'B.#c' },
  ]);
  const source =
    'export class A {\n  b() {\n    c();\n  }\n}\n\nclass B {\n  async *#c(): X {}\n}\nexport function d() {}\n';
  assert.deepEqual(
    ['A.b', 'B.#c', 'd', 'A.c', 'A.#c', 'B.b', 'c'].map((name) => defines(source, name)),
    [true, true, true, false, false, false, false],
  );
  const tree = ['p/src/a.ts', 'p/src/b.ts', 'q/src/b.ts', 'p/main.ts', 'q/main.ts'];
  const unclear = unclearFilesOf('`a.ts` `b.ts` `q/src/b.ts` `main.ts` `none.ts` `c.md`', tree, ['main.ts']);
  assert.deepEqual(unclear, ['b.ts', 'none.ts']);
});
