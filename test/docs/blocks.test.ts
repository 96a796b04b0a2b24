import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { blocksOf, isPrinted } from './blocks.ts';
import { pages, root } from './pages.ts';

const block = (directive: string, text = 'true') => `${directive}\n\`\`\`sh\n${text}\n\`\`\`\n`;
const directivesOf = (markdown: string) => blocksOf('p.md', markdown).blocks.map(({ directive }) => directive);
const errorsOf = (markdown: string) => blocksOf('p.md', markdown).errors;

test('every block of commands of the pages has a directive', () => {
  for (const page of pages) {
    const { blocks, errors } = blocksOf(page, readFileSync(join(root, page), 'utf8'));
    assert.deepEqual(errors, []);
    assert.ok(blocks.length > 0, `${page} has commands`);
  }
});

test('a directive has the setting, the deadline, and what stays', () => {
  assert.deepEqual(directivesOf(block('<!-- run: laptop -->')), [
    { setting: 'laptop', ready: undefined, stopsOthers: false, withinMs: 120_000 },
  ]);
  assert.deepEqual(directivesOf(block('<!-- run: cluster, stops others, within 600 s -->')), [
    { setting: 'cluster', ready: undefined, stopsOthers: true, withinMs: 600_000 },
  ]);
  assert.deepEqual(directivesOf(block('<!-- run: compose, stays, ready: Ctrl-C stops, within 30 s -->')), [
    { setting: 'compose', ready: 'Ctrl-C stops', stopsOthers: true, withinMs: 30_000 },
  ]);
  assert.deepEqual(directivesOf(block('<!-- run: laptop, stays too, ready: up -->')), [
    { setting: 'laptop', ready: 'up', stopsOthers: false, withinMs: 120_000 },
  ]);
  assert.deepEqual(directivesOf(block('<!-- not run: it needs a domain -->')), [
    { setting: 'not run', why: 'it needs a domain' },
  ]);
});

test('a block without a directive, with an invalid one, or that cannot be copied, is an error with its line', () => {
  assert.match(errorsOf(`text\n${block('')}`).join(), /p\.md:3: the line before/);
  assert.match(errorsOf(block('<!-- run: moon -->')).join(), /run: expected one of laptop, .*, got moon/);
  assert.match(errorsOf(block('<!-- run: laptop, sometimes -->')).join(), /the line before/);
  assert.match(
    errorsOf(block('<!-- run: laptop -->', 'helm install --set host=<your-domain>')).join(),
    /<your-domain>/,
  );
  assert.match(errorsOf(block('<!-- run: laptop -->', 'curl https://tailrace.example.org')).join(), /only an example/);
  assert.match(errorsOf('```sh\ntrue\n').join(), /no end/);
  assert.deepEqual(errorsOf(block('<!-- not run: a domain -->', 'curl https://<your-domain>')), []);
  assert.deepEqual(errorsOf(`\`\`\`yaml\na: <b>\n\`\`\`\n${block('<!-- run: laptop -->', 'cat <<EOF\nEOF')}`), []);
});

test('expected output of a block may have … for any text', () => {
  const [only] = blocksOf(
    'p.md',
    block('<!-- run: laptop -->', 'a\n# prints: 3 nodes … ready\nb\n  # prints: (done)'),
  ).blocks;
  assert.deepEqual(only!.prints, ['3 nodes … ready', '(done)']);
  assert.ok(isPrinted('3 nodes … ready', 'x 3 nodes are\nall ready.'));
  assert.ok(isPrinted('(done)', 'it is (done)'));
  assert.ok(!isPrinted('3 nodes … ready', 'ready: 3 nodes'));
});
