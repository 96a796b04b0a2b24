import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

/** The list of packages/sparkplug/test/statements.md, compared with the names of tests. */
const root = resolve(import.meta.dirname, '..');

const idsIn = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map((match) => match[1]!);

function listed(): { readonly tested: readonly string[]; readonly untested: readonly string[] } {
  const text = readFileSync(join(root, 'packages/sparkplug/test/statements.md'), 'utf8');
  const [, tested = '', untested = ''] = text.split(/^## .*$/m);
  const pattern = /^- `([A-Za-z0-9-]+)`$/gm;
  return { tested: idsIn(tested, pattern), untested: idsIn(untested, pattern) };
}

/** Names may be lists of the test: `[tck-id-a]`, or a text of a list that the test joins. */
function named(): ReadonlySet<string> {
  const files = ['packages/sparkplug/**/*test.ts', 'services/ingest/{src/sparkplug,test}/**/*test.ts'].flatMap(
    (pattern) => globSync(pattern, { cwd: root, exclude: (name) => name === 'node_modules' }),
  );
  const text = files.map((file) => readFileSync(join(root, file), 'utf8')).join('\n');
  return new Set([...idsIn(text, /tck-id-([A-Za-z0-9-]+)/g), ...idsIn(text, /'([a-z]+-[A-Za-z0-9-]+)'/g)]);
}

test('every statement of Sparkplug that concerns a host has a test, and each other one a reason', () => {
  const { tested, untested } = listed();
  assert.equal(tested.length + untested.length, 300);
  assert.equal(new Set([...tested, ...untested]).size, 300);
  const names = named();
  assert.deepEqual(
    tested.filter((id) => !names.has(id)),
    [],
  );
  assert.deepEqual(
    untested.filter((id) => names.has(id)),
    [],
  );
});
