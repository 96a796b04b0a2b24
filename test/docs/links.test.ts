import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { linkErrorsOf } from './links.ts';
import { root } from './pages.ts';

const files = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...globSync('docs/**/*.md', { cwd: root }),
];
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const exists = (file: string) => existsSync(join(root, file));

test('links of pages lead to existing files and headings', () => {
  assert.deepEqual(
    files.flatMap((file) => linkErrorsOf(file, read(file), { read, exists })),
    [],
  );
});

test('files that SECURITY.md and the operations page name exist', () => {
  const named = /`((?:\.github|deploy|docs|helm|loadtest|packages|proto|scripts|services|test)\/[\w./-]+)`/g;
  for (const page of ['SECURITY.md', 'docs/OPERATIONS.md']) {
    // An .env is made, and never committed.
    const missing = [...read(page).matchAll(named)]
      .map(([, file]) => file!)
      .filter((file) => !file.endsWith('.env') && !exists(file));
    assert.deepEqual(missing, [], page);
  }
});

test('a link to a file or a heading that does not exist is an error', () => {
  const pages: Record<string, string> = { 'docs/a.md': '# One thing, `b`\n\n## Twice\n\n## Twice\n' };
  const world = { read: (file: string) => pages[file]!, exists: (file: string) => file in pages };
  const errors = (text: string) => linkErrorsOf('b.md', text, world);
  assert.deepEqual(
    errors('[a](docs/a.md#one-thing-b) [b](docs/a.md#twice-1) [c](https://x.org/#y) [d](#here)\n# Here\n'),
    [],
  );
  assert.match(errors('[a](docs/none.md)').join(), /b\.md: docs\/none\.md does not exist/);
  assert.match(errors('[a](docs/a.md#two)').join(), /docs\/a\.md has no heading #two/);
  assert.match(errors('[a](#two)').join(), /b\.md has no heading #two/);
  assert.deepEqual(errors('```\n[a](docs/none.md)\n```\n'), []);
});
